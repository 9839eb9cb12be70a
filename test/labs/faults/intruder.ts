import { setTimeout as sleep } from 'node:timers/promises';
import type { AlertClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import type { Findings } from './findings.js';

/** By which methods somebody tries to reach another's. */
export const INTRUSIONS = ['ListInbox', 'MarkAllRead', 'ListAlerts', 'StreamAlerts'] as const;

export const INTRUDER = 'solo-1';
const VICTIM = 'operation-1';
const EVERY_MS = 500;
const TIMEOUT_MS = 2000;
/** These say nothing of what would have been answered. */
const OUT_OF_REACH: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED', 'INTERNAL']);

/** Somebody asks for what is not theirs, with every way there is. */
export class Intruder {
  /** The methods by which it was refused. */
  readonly denied = new Set<string>();
  #stopping = false;

  constructor(
    private readonly client: AlertClient,
    private readonly findings: Findings,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopping) {
      for (const method of INTRUSIONS) {
        await this.#try(method);
        await sleep(EVERY_MS);
      }
    }
  }

  async #try(method: (typeof INTRUSIONS)[number]): Promise<void> {
    try {
      await this.#ask(method);
      this.findings.add('cross-user', `${method}: ${INTRUDER} was answered about ${VICTIM}`);
    } catch (error) {
      const { code } = error as AlertClientError;
      if (code === 'PERMISSION_DENIED') this.denied.add(method);
      // Anything else would mean that the attempt was no attempt.
      else if (!OUT_OF_REACH.has(code)) this.findings.add('cross-user', `${method}: ${INTRUDER} got ${String(error)}`);
    }
  }

  async #ask(method: (typeof INTRUSIONS)[number]): Promise<unknown> {
    const options = { timeoutMs: TIMEOUT_MS };
    switch (method) {
      case 'ListInbox':
        return this.client.listInbox({ userId: VICTIM }, options);
      case 'MarkAllRead':
        return this.client.markAllRead({ userId: VICTIM }, options);
      case 'ListAlerts':
        return this.client.listAlerts({}, options);
      case 'StreamAlerts': {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        for await (const response of this.client.streamAlerts({ userId: VICTIM, reconnect: false, signal }))
          return response;
        throw new AlertClientError('UNAVAILABLE', '', 'nothing came');
      }
    }
  }

  stop(): void {
    this.#stopping = true;
  }
}
