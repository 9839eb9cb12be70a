import { every } from '../lib/lifecycle.js';
import type { LatencyHistogram } from '../lib/telemetry/latency.js';
import { wallClock } from '../lib/wall-clock.js';
import type { RuntimeParts } from '../runtime/runtime.js';
import { creationTimes } from '../store/alerts.js';
import type { Delivery } from '../store/inbox-delivery.js';

/** One alert's part of a batch. */
interface Arrival {
  readonly alertId: number;
  /** When the batch was done, in milliseconds since 1970. */
  readonly at: number;
  recipients: number;
  readonly traceparent: string | undefined;
}

/** Arrivals that wait to be recorded; more are left out of the histogram. */
const WAITING_MAX = 10_000;
const INTERVAL_MS = 1000;
/** Alerts of one statement. */
const PAGE = 1000;

/**
 * How long alerts took from CreateAlert into inboxes, once for each recipient. Their records hold no time of creation,
 * so it is asked for afterwards: one small query a second, which delivers nothing later.
 */
export class CreateToInbox {
  readonly #histogram: LatencyHistogram;
  #waiting: Arrival[] = [];

  constructor(private readonly deps: RuntimeParts<'bulkDatabase' | 'logger' | 'metrics'>) {
    this.#histogram = deps.metrics.latency(
      'ssom.alert.create_to_inbox',
      "Time from CreateAlert's commit to the alert in an inbox, for each recipient.",
    );
    deps.metrics.queue('create_to_inbox', () => this.#waiting.length, WAITING_MAX);
  }

  /** A batch was delivered just now, all of it new. */
  note(deliveries: readonly Delivery[], traceparentOf: (alertId: number, userId: string) => string | undefined): void {
    const at = wallClock();
    let last: Arrival | undefined;
    // Records of one alert stand together.
    for (const { alertId, userId } of deliveries) {
      if (last?.alertId === alertId) {
        last.recipients += 1;
        continue;
      }
      if (this.#waiting.length >= WAITING_MAX) return;
      last = { alertId, at, recipients: 1, traceparent: traceparentOf(alertId, userId) };
      this.#waiting.push(last);
    }
  }

  /** Records what came, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { logger } = this.deps;
    await every(
      INTERVAL_MS,
      signal,
      () => this.#record(),
      (error) => logger.debug({ err: error }, 'when alerts were created could not be read; their latency is unknown'),
    );
  }

  async #record(): Promise<void> {
    const arrivals = this.#waiting;
    this.#waiting = [];
    const alertIds = [...new Set(arrivals.map(({ alertId }) => alertId))];
    for (let from = 0; from < alertIds.length; from += PAGE) {
      const createdAt = await creationTimes(this.deps.bulkDatabase, alertIds.slice(from, from + PAGE));
      for (const { alertId, at, recipients, traceparent } of arrivals) {
        const created = createdAt.get(alertId);
        if (created !== undefined) this.#histogram.record((at - created) / 1000, traceparent, recipients);
      }
    }
  }
}
