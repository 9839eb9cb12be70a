import { setTimeout as sleep } from 'node:timers/promises';
import type { Callers } from './callers.js';
import type { Ledger } from './ledger.js';

const INTERVAL_MS = 200;
/** Enough that several partitions and both gateways have some of them. */
export const PROBES = 8;
/** Alerts that arrive so quickly after their request mean that all is well. */
export const WELL_MS = 1000;
const KEPT = 20_000;

interface Sent {
  readonly sentAt: number;
  arrivedAt: number | undefined;
}

/**
 * Sends an alert to one of several people five times a second, in turn, and measures how long each takes to that
 * person's stream.
 */
export class Probe {
  readonly #sent = new Map<string, Sent>();
  #stopping = false;

  constructor(
    private readonly callers: Callers,
    private readonly ledger: Ledger,
  ) {}

  async run(): Promise<void> {
    const running = new Set<Promise<unknown>>();
    for (let count = 0; !this.#stopping; count += 1) {
      const title = `probe-${count}`;
      const person: ReadonlySet<string> = new Set([`probe-${(count % PROBES) + 1}`]);
      this.#sent.set(title, { sentAt: Date.now(), arrivedAt: undefined });
      if (this.#sent.size > KEPT) this.#sent.delete(this.#sent.keys().next().value!);
      const request = {
        requestId: title,
        kind: 'ALERT_KIND_OTHER' as const,
        appName: 'probe',
        level: 'ALERT_LEVEL_INFO' as const,
        title,
        recipients: { userIds: [...person] },
      };
      const one: Promise<unknown> = this.callers
        .call('the probe', (client, timeoutMs) => client.createAlert(request, { attempts: 1, timeoutMs }))
        .then(({ response, sentAt, answeredAt }) => {
          const [must, may] = [person, person];
          const { alertId } = response.alert!;
          const times = { sentAt, acknowledgedAt: answeredAt };
          this.ledger.acknowledged({ alertId, requestId: title, ...times, must, may, isCritical: false });
        })
        .catch(() => undefined)
        .finally(() => running.delete(one));
      running.add(one);
      await sleep(INTERVAL_MS);
    }
    await Promise.all(running);
  }

  arrived(title: string): void {
    const sent = this.#sent.get(title);
    if (sent !== undefined) sent.arrivedAt ??= Date.now();
  }

  /**
   * When the first of the probes since `since` arrived from which on all do well, one for each person; undefined: not
   * yet.
   */
  wellFrom(since: number): number | undefined {
    let first: number | undefined;
    let row = 0;
    for (const { sentAt, arrivedAt } of this.#sent.values()) {
      if (sentAt < since) continue;
      if (arrivedAt === undefined || arrivedAt - sentAt > WELL_MS) {
        row = 0;
        continue;
      }
      row += 1;
      if (row === 1) first = arrivedAt;
      if (row === PROBES) return first;
    }
    return undefined;
  }

  /**
   * The longest that a probe sent between these times took, in milliseconds; one that has not arrived counts until now.
   */
  longest(from: number, to: number): number {
    const now = Date.now();
    const taken = [...this.#sent.values()]
      .filter(({ sentAt }) => sentAt >= from && sentAt < to)
      .map(({ sentAt, arrivedAt = now }) => arrivedAt - sentAt);
    return Math.max(0, ...taken);
  }

  stop(): void {
    this.#stopping = true;
  }
}
