import { alertCreatedRecord, type CreatedAlert } from '../events/records.js';
import type { Config } from '../lib/config/load.js';
import { every } from '../lib/lifecycle.js';
import { wait } from '../lib/retry.js';
import type { Logger } from '../lib/logging.js';
import { repeatConflicts, type Database } from '../lib/postgres.js';
import { traceIdOf, type Tracing } from '../lib/telemetry/tracing.js';
import type { Publishing } from '../runtime.js';
import { findRoutableAlerts } from '../store/alerts.js';
import { outboxState, removePublished, unpublished } from '../store/outbox.js';
import { markPublishedLate } from '../store/progress.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { RelayTracing } from './relay-trace.js';

/** One sweeper among all instances: the holder of this advisory lock. */
const SWEEPER_LOCK = 7_200_002;
const SWEEP_BATCH = 1000;
/** How long published alerts gather before they leave the outbox together. */
const REMOVE_AFTER_MS = 50;
/** From this many milliseconds on Kafka has acknowledged an alert late, which is noted. */
const LATE_MS = 1000;

export interface RelayDeps {
  readonly config: Pick<
    Config,
    'relayInFlightMax' | 'outboxMax' | 'outboxSweepIntervalMs' | 'outboxSweepAfterMs' | 'slowProcessingMs'
  >;
  readonly database: Database;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
}

/**
 * Brings stored alerts to Kafka. What this process has just committed is published at once; whatever is left in the outbox
 * (Kafka was away, a process died) is published by the sweeper, oldest first. A row leaves the outbox only when Kafka
 * has acknowledged its record, so an alert may be published twice and never not at all.
 */
export class Relay {
  readonly #inFlight = new Set<number>();
  #published: number[] = [];
  #removing: Promise<void> | undefined;
  #publishing: Publishing | undefined;
  #outbox = { depth: 0, ageSeconds: 0 };
  #wasFull = false;
  readonly #traces;

  constructor(private readonly deps: RelayDeps) {
    this.#traces = new RelayTracing(deps.tracing, deps.config.slowProcessingMs);
    deps.metrics.gauge('ssom.outbox.depth', 'Alerts that wait to be published.', () => this.#outbox.depth);
    deps.metrics.gauge('ssom.outbox.age', 'Seconds that the oldest of them has waited.', () => this.#outbox.ageSeconds);
    deps.metrics.gauge('ssom.relay.in_flight', 'Alerts that this process is publishing.', () => this.#inFlight.size);
    deps.metrics.queue('outbox', () => this.#outbox.depth, deps.config.outboxMax);
    deps.metrics.queue('relay', () => this.#inFlight.size, deps.config.relayInFlightMax);
  }

  /** Whether so many alerts wait for Kafka that no more are taken. */
  get isFull(): boolean {
    return this.#outbox.depth >= this.deps.config.outboxMax;
  }

  #noteFull(): void {
    if (this.isFull === this.#wasFull) return;
    this.#wasFull = this.isFull;
    const { logger, config } = this.deps;
    if (this.isFull) logger.error({ alerts: config.outboxMax }, 'the outbox is full: CreateAlert answers UNAVAILABLE');
    else logger.info('the outbox has room again: CreateAlert goes on');
  }

  /** Kafka is there: from now on alerts are published. */
  attach(publishing: Publishing): void {
    this.#publishing = publishing;
  }

  /** Publishes alerts that were just committed. Returns at once; a failure leaves them to the sweeper. */
  publishStored(alerts: readonly CreatedAlert[]): void {
    const publishing = this.#publishing;
    const room = this.deps.config.relayInFlightMax - this.#inFlight.size;
    // Who waits for room in the producer's buffer holds its records a second time: 20,000 large alerts are 300 MB.
    if (publishing === undefined || room < alerts.length || publishing.producer.stats.waiting > 0) return;
    this.#publish(publishing, alerts).catch((error: Error) => {
      this.deps.logger.warn(
        {
          err: error,
          alerts: alerts.length,
          alert_id: alerts[0]?.alert.alertId,
          trace_id: traceIdOf(alerts[0]?.traceparent),
        },
        'alerts could not be published; the sweeper takes them',
      );
    });
  }

  /** Sweeps the outbox, and looks how full it is, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, database, logger } = this.deps;
    let countFailed = false;
    const look = async () => {
      this.#outbox = await outboxState(database, config.outboxMax);
      countFailed = false;
      this.#noteFull();
    };
    // Once an outage: what is away, and for how long, is told by the circuit breaker.
    const noteUncounted = (error: unknown) => {
      logger[countFailed ? 'debug' : 'warn']({ err: error }, 'the outbox could not be counted; trying again');
      countFailed = true;
    };
    const sweep = async () => {
      if (this.#publishing === undefined || this.#outbox.depth === 0) return;
      await database.withAdvisoryLock(SWEEPER_LOCK, () => this.#sweep(this.#publishing!, signal));
    };
    // Beside each other: while Kafka is away a sweep hangs for as long as its records may take, and OUTBOX_MAX must hold.
    await Promise.all([
      every(config.outboxSweepIntervalMs, signal, look, noteUncounted),
      every(config.outboxSweepIntervalMs, signal, sweep, (error) =>
        logger.warn({ err: error }, 'the outbox could not be swept; trying again'),
      ),
    ]);
  }

  /** Waits up to `timeoutMs` until what is in flight is published and out of the outbox. The rest is left to a sweeper. */
  async drain(timeoutMs = 2000): Promise<void> {
    const until = performance.now() + timeoutMs;
    while (this.#inFlight.size > 0 && performance.now() < until) await wait(10);
  }

  async #sweep(publishing: Publishing, signal: AbortSignal): Promise<void> {
    const { config, database, logger } = this.deps;
    while (!signal.aborted) {
      const ids = await unpublished(database, config.outboxSweepAfterMs, SWEEP_BATCH, [...this.#inFlight]);
      if (ids.length === 0) return;
      const alerts = await findRoutableAlerts(database, ids);
      await this.#send(
        publishing,
        alerts.sort((a, b) => a.alert.alertId - b.alert.alertId),
        true,
      );
      // Not left to the batched removal: if it fails the sweep ends, rather than publish the same alerts again at once.
      try {
        await removePublished(database, ids);
      } finally {
        for (const id of ids) this.#inFlight.delete(id);
      }
      logger.info({ alerts: ids.length }, 'left-over alerts were published from the outbox');
    }
  }

  async #publish(publishing: Publishing, alerts: readonly CreatedAlert[]): Promise<void> {
    await this.#send(publishing, alerts);
    for (const { alert } of alerts) this.#published.push(alert.alertId);
    this.#removing ??= this.#remove();
  }

  /** @param swept whether they were left over, so that an earlier attempt may be seen in their traces */
  async #send({ producer, events }: Publishing, alerts: readonly CreatedAlert[], swept = false): Promise<void> {
    const trace = this.#traces.begin(events.topics.alertCreated, alerts, swept);
    const records = alerts.map((created) => alertCreatedRecord(events, created, trace.traceparentFor(created)));
    for (const { alert } of alerts) this.#inFlight.add(alert.alertId);
    const startedAt = performance.now();
    try {
      await producer.publish(records);
      trace.end();
      if (performance.now() - startedAt > LATE_MS) await this.#noteLate(alerts);
    } catch (error) {
      trace.end(error as Error);
      for (const { alert } of alerts) this.#inFlight.delete(alert.alertId);
      throw error;
    }
  }

  async #noteLate(alerts: readonly CreatedAlert[]): Promise<void> {
    const ids = alerts.map(({ alert }) => alert.alertId);
    try {
      await repeatConflicts(() => markPublishedLate(this.deps.database, ids));
    } catch (error) {
      this.deps.logger.debug({ err: error, alerts: ids.length }, 'that Kafka was slow could not be noted');
    }
  }

  /** Takes what was published out of the outbox, many rows at a time. */
  async #remove(): Promise<void> {
    while (this.#published.length > 0) {
      // The rows hurt nobody meanwhile, and one statement takes them all.
      await wait(REMOVE_AFTER_MS);
      const ids = this.#published.splice(0);
      try {
        await removePublished(this.deps.database, ids);
      } catch (error) {
        this.deps.logger.warn(
          { err: error, alerts: ids.length },
          'published alerts stay in the outbox and will be published again',
        );
      }
      for (const id of ids) this.#inFlight.delete(id);
    }
    this.#removing = undefined;
  }
}
