import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../../../services/client/client.js';
import { USER_IDS } from './filled-database.js';

const CALLERS = 4;
const PAUSE_MS = 5;
/** Whatever blocks, the call is waited for. */
const TIMEOUT_MS = 60_000;

/** What calls took, in milliseconds. */
export interface Taken {
  readonly calls: number;
  readonly longestMs: number;
}

/** Several callers who create one alert after the other. */
export class Creating {
  readonly #client;
  readonly #loops: Promise<void>[];
  #stopping = false;
  #phase = { calls: 0, longestMs: 0 };
  readonly #running = new Map<number, number>();

  constructor(address: string) {
    this.#client = createClient({ address, identity: { caller: 'tables' } });
    this.#loops = Array.from({ length: CALLERS }, (_, caller) => this.#create(caller));
    // A failure is told by stop().
    for (const loop of this.#loops) loop.catch(() => undefined);
  }

  async #create(caller: number): Promise<void> {
    for (let count = 0; !this.#stopping; count += 1) {
      const started = performance.now();
      this.#running.set(caller, started);
      await this.#client.createAlert(
        {
          kind: 'ALERT_KIND_GRAFANA',
          level: 'ALERT_LEVEL_WARNING',
          appName: 'ssok-transfer',
          title: `${caller}-${count}`,
          recipients: { userIds: [USER_IDS[(count * CALLERS + caller) % USER_IDS.length]!] },
        },
        { attempts: 1, timeoutMs: TIMEOUT_MS },
      );
      this.#running.delete(caller);
      this.#phase.calls += 1;
      this.#phase.longestMs = Math.max(this.#phase.longestMs, performance.now() - started);
      await sleep(PAUSE_MS);
    }
  }

  /** Does the work. @returns what the calls meanwhile took, with those that were under way at its end */
  async during(work: () => Promise<unknown>): Promise<Taken> {
    this.#phase = { calls: 0, longestMs: 0 };
    await work();
    const endedAt = performance.now();
    const blocked = () => [...this.#running.values()].some((startedAt) => startedAt < endedAt);
    while (blocked()) await Promise.race([sleep(10), ...this.#loops]);
    return { ...this.#phase };
  }

  /** @throws what a call failed with */
  async stop(): Promise<void> {
    this.#stopping = true;
    try {
      await Promise.all(this.#loops);
    } finally {
      this.#client.close();
    }
  }
}
