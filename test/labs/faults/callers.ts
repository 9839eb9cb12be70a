import { setTimeout as sleep } from 'node:timers/promises';
import type { AlertClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import type { Findings } from './findings.js';

/** Repetitions by the code that made them necessary. */
export type Retries = Map<string, number>;

export interface Answer<T> {
  readonly response: T;
  /** When the first attempt was sent and the last one answered: milliseconds since 1970. */
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly attempts: number;
}

const TIMEOUT_MS = 3000;
/** What the client waits unless it is told otherwise. */
const PATIENT_MS = 10_000;

/** The instances of alert-api as a load balancer would offer them: another one for each attempt. */
export class Callers {
  readonly retries: Retries = new Map();
  #next = 0;
  #timeoutMs = TIMEOUT_MS;
  #closed = false;

  constructor(
    private readonly clients: readonly AlertClient[],
    private readonly findings: Findings,
  ) {}

  /** Calls until there is an answer. @throws what no repetition cures, which is a finding too */
  async call<T>(what: string, work: (client: AlertClient, timeoutMs: number) => Promise<T>): Promise<Answer<T>> {
    const sentAt = Date.now();
    for (let attempts = 1; ; attempts += 1) {
      try {
        const response = await work(this.clients[this.#next++ % this.clients.length]!, this.#timeoutMs);
        return { response, sentAt, answeredAt: Date.now(), attempts };
      } catch (error) {
        if (this.#closed) throw error;
        if (!(error instanceof AlertClientError)) {
          this.findings.add('refused', `${what}: ${String(error)}`);
          throw error;
        }
        if (!error.canRetry) {
          this.findings.add('refused', `${what}: ${error.code} ${error.reason} ${error.message}`);
          throw error;
        }
        this.retries.set(error.code, (this.retries.get(error.code) ?? 0) + 1);
        await sleep(Math.max(error.retryAfterMs ?? 0, Math.min(50 * 2 ** attempts, 1000)));
      }
    }
  }

  /**
   * Does the work while each call may take as long as the client waits by itself. Two busy cores that start brokers
   * answer now and then after more than TIMEOUT_MS.
   * @returns how many calls had to be repeated meanwhile
   */
  async repeatedWhile(work: () => Promise<void>): Promise<number> {
    const repeated = () => [...this.retries.values()].reduce((sum, count) => sum + count, 0);
    const before = repeated();
    this.#timeoutMs = PATIENT_MS;
    try {
      await work();
      return repeated() - before;
    } finally {
      this.#timeoutMs = TIMEOUT_MS;
    }
  }

  close(): void {
    this.#closed = true;
  }
}
