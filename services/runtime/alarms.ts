import type { Config } from '../lib/config/load.js';
import type { Logger } from '../lib/logging.js';
import type { Metrics } from '../lib/telemetry/metrics.js';

/** Where an alert is processed. */
export const STAGES = ['fanout', 'delivery', 'stream', 'push'] as const;
export type Stage = (typeof STAGES)[number];

/** Something of ourselves that somebody should know of. */
export interface Alarm {
  /** What it is about, in few words of a bounded number: `slow delivery`, `lag of ssom-alert-consumer`. */
  readonly cause: string;
  readonly text: string;
  readonly traceId: string | undefined;
  /** The alerts that were in hand, as far as that is known. */
  readonly alertIds: readonly number[];
}

/**
 * raised: it is an alert now. limited: there was one for this cause in the same period. own: it is about nothing but
 * such alerts. failed: alert-api or PostgreSQL did not do it.
 */
export type AlertOutcome = 'raised' | 'limited' | 'own' | 'failed';

/** What was processed. Asked for only if it took too long. */
export interface Processed {
  /** Of one of the alerts. */
  readonly traceparent?: string | undefined;
  readonly alertIds: readonly number[];
}

/** Lines about the same are logged at most this often; the counters have all. */
const LOG_INTERVAL_MS: Readonly<Record<'slow' | 'lag', number>> = { slow: 1000, lag: 60_000 };
const IDS_LOGGED = 10;

/**
 * The one place that decides what is slow and which lag is too large (the guide's alert-slow-processing-ms and
 * max-acceptable-lag): it counts, logs with the trace, and tells whoever raises alerts about it.
 */
export class Alarms {
  readonly #slow: ReturnType<Metrics['counter']>;
  readonly #exceeded: ReturnType<Metrics['counter']>;
  readonly #raised: ReturnType<Metrics['counter']>;
  readonly #loggedAt = new Map<string, number>();
  /** Partitions whose lag is too large now. */
  readonly #lagging = new Set<string>();
  #listener: (alarm: Alarm) => void = () => undefined;

  constructor(
    private readonly config: Pick<Config, 'slowProcessingMs' | 'maxAcceptableLag'>,
    private readonly logger: Logger,
    metrics: Metrics,
  ) {
    this.#slow = metrics.counter(
      'ssom.slow',
      'What was processed for longer than ALERT_MONITORING_SLOW_PROCESSING_MS, by stage.',
      STAGES.map((stage) => ({ stage })),
    );
    this.#exceeded = metrics.counter(
      'ssom.lag.exceeded',
      'Times that the lag of a partition became larger than ALERT_MONITORING_MAX_ACCEPTABLE_LAG, by group.',
      [],
    );
    this.#raised = metrics.counter(
      'ssom.self_alerts',
      'Alarms that were to be alerts (ALERT_MONITORING_SELF_ALERTS), by what became of them.',
      STAGES.map((stage) => ({ cause: `slow ${stage}`, outcome: 'raised' })),
    );
  }

  /** What became of an alarm that was to be an alert. */
  noteAlert(cause: string, outcome: AlertOutcome): void {
    this.#raised.add(1, { cause, outcome });
  }

  /** Told of every alarm; it must return at once. */
  onAlarm(listener: (alarm: Alarm) => void): void {
    this.#listener = listener;
  }

  /** Whether processing that took so long is to be marked as slow. */
  isSlow(ms: number): boolean {
    return ms > this.config.slowProcessingMs;
  }

  /** Something was processed. @returns whether it was slow */
  processed(stage: Stage, ms: number, what: () => Processed): boolean {
    if (!this.isSlow(ms)) return false;
    const { traceparent, alertIds } = what();
    this.#slow.add(1, { stage });
    const cause = `slow ${stage}`;
    const slowMs = this.config.slowProcessingMs;
    const fields = { stage, ms: Math.round(ms), slowMs, alerts: alertIds.slice(0, IDS_LOGGED) };
    this.#log('slow', cause, { ...fields, ...traceField(traceparent) }, 'slow processing');
    this.#tell({
      cause,
      text: `${stage} took ${Math.round(ms)} ms; more than ${slowMs} ms is slow`,
      traceId: traceIdOf(traceparent),
      alertIds,
    });
    return true;
  }

  /** A group reads here: its counter shows from now on. */
  watch(group: string): void {
    this.#exceeded.add(0, { group });
  }

  /** The lag of a partition as it is. @param what asked for only if it is too large */
  lag(group: string, topic: string, partition: number, lag: number, what: () => Processed): void {
    const key = `${group} ${topic}-${partition}`;
    const { maxAcceptableLag } = this.config;
    if (lag <= maxAcceptableLag) {
      this.#lagging.delete(key);
      return;
    }
    const cause = `lag of ${group}`;
    const { traceparent, alertIds } = what();
    const fields = { group, topic, partition, lag, maxAcceptableLag, ...traceField(traceparent) };
    const logged = this.#log('lag', cause, fields, 'the lag is too large');
    const isNew = !this.#lagging.has(key);
    if (isNew) {
      this.#lagging.add(key);
      this.#exceeded.add(1, { group });
    }
    // One that stays is told again with each line: the first time alert-api may have been away.
    if (!isNew && !logged) return;
    const text = `${lag} records of ${topic}-${partition} wait for ${group}; more than ${maxAcceptableLag} are too many`;
    this.#tell({ cause, text, traceId: traceIdOf(traceparent), alertIds });
  }

  /** Partitions that are not read here any more. */
  forget(group: string): void {
    for (const key of this.#lagging) if (key.startsWith(`${group} `)) this.#lagging.delete(key);
  }

  /** @returns whether it was time for a line */
  #log(kind: 'slow' | 'lag', cause: string, fields: object, message: string): boolean {
    const now = performance.now();
    if (now < (this.#loggedAt.get(cause) ?? -Infinity) + LOG_INTERVAL_MS[kind]) return false;
    this.#loggedAt.set(cause, now);
    this.logger.warn(fields, message);
    return true;
  }

  /** Whatever becomes of an alarm, it must not reach what is being processed. */
  #tell(alarm: Alarm): void {
    try {
      this.#listener(alarm);
    } catch (error) {
      this.logger.warn({ err: error }, 'an alarm could not be passed on');
    }
  }
}

function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent === undefined || traceparent.length !== 55 ? undefined : traceparent.slice(3, 35);
}

/** As log lines name a trace. */
function traceField(traceparent: string | undefined): { trace_id?: string } {
  const traceId = traceIdOf(traceparent);
  return traceId === undefined ? {} : { trace_id: traceId };
}
