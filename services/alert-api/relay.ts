import { alertCreatedRecord, type CreatedAlert } from '../events/records.js';
import type { Config } from '../lib/config/load.js';
import { GatheredLog } from '../lib/gathered-log.js';
import { deadLetterCounter, deadLetterHeaders } from '../lib/kafka/dead-letters.js';
import { deadLetterReason } from '../lib/kafka/failure.js';
import { type OutgoingRecord, PublishFailed } from '../lib/kafka/producer.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import { type Database, repeatConflicts } from '../lib/postgres.js';
import { wait } from '../lib/retry.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { traceIdOf, type Tracing } from '../lib/telemetry/tracing.js';
import { wallClock } from '../lib/wall-clock.js';
import { WriteBehind } from '../lib/write-behind.js';
import type { Publishing, Runtime } from '../runtime/runtime.js';
import { findRoutableAlerts } from '../store/alerts.js';
import { NO_PARTITION } from '../store/dead-letters.js';
import { LOCKS } from '../store/locks.js';
import { deadLetterAlert, outboxState, removePublished, unpublished } from '../store/outbox.js';
import { markPublishedLate } from '../store/progress.js';
import { RelayTracing } from './relay-trace.js';

const SWEEP_BATCH = 1000;
/** How long published alerts gather before they leave the outbox in one statement; they hurt nobody there meanwhile. */
const REMOVE_AFTER_MS = 50;
/** Sweeps in a row that must see an alert refused for good before it is given up: once may be another one's fault. */
const REFUSALS = 2;
/** Alerts of which it is remembered that a sweep has seen them refused. Others are not given up meanwhile. */
const REFUSED_MAX = 10_000;
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
  readonly jobs: Runtime['jobs'];
}

/**
 * Brings stored alerts to Kafka: what was just committed at once, what is left in the outbox by the sweeper, oldest
 * first. A row goes when Kafka has acknowledged it; what can never be published is a dead letter.
 */
export class Relay {
  readonly #inFlight = new Set<number>();
  /** In how many sweeps in a row these were refused for good. */
  #refused = new Map<number, number>();
  readonly #published: WriteBehind<number>;
  #publishing: Publishing | undefined;
  #outbox = { depth: 0, ageSeconds: 0 };
  /** The alert with the smallest id in the outbox, and since when it is that; by performance.now(). */
  #oldest: { readonly alertId: number | undefined; readonly since: number } = { alertId: undefined, since: 0 };
  #wasFull = false;
  readonly #traces;
  readonly #deadLetters;
  readonly #unpublished: GatheredLog;

  constructor(private readonly deps: RelayDeps) {
    this.#unpublished = new GatheredLog(deps.logger, 'alerts could not be published; the sweeper takes them', 'alerts');
    this.#published = new WriteBehind({ gatherMs: REMOVE_AFTER_MS, write: (ids) => this.#remove(ids) });
    this.#traces = new RelayTracing(deps.tracing, deps.config.slowProcessingMs);
    this.#deadLetters = deadLetterCounter(deps.metrics);
    deps.metrics.gauge('ssom.outbox.depth', 'Alerts that wait to be published.', () => this.#outbox.depth);
    deps.metrics.gauge(
      'ssom.outbox.age',
      'Seconds for which the oldest alert in the outbox has waited.',
      () => this.#outbox.ageSeconds,
    );
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
      this.deps.logger.error({ err: error, alerts: alerts.length }, 'what was published could not be noted');
    });
  }

  /** Sweeps the outbox, and looks how full it is, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, database, logger, jobs } = this.deps;
    let countFailed = false;
    const look = async () => {
      await this.#look();
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
      await database.withAdvisoryLock(LOCKS.sweepOutbox, (held) => this.#sweep(this.#publishing!, held), signal);
    };
    // Side by side: while Kafka is away a sweep hangs for as long as a record may take, and OUTBOX_MAX must hold.
    await Promise.all([
      every(config.outboxSweepIntervalMs, signal, look, noteUncounted),
      jobs.every('sweep', config.outboxSweepIntervalMs, signal, sweep),
    ]);
  }

  async #look(): Promise<void> {
    const { depth, oldestId, ageSeconds } = await outboxState(this.deps.database, this.deps.config.outboxMax);
    if (oldestId !== this.#oldest.alertId) this.#oldest = { alertId: oldestId, since: performance.now() };
    // PostgreSQL's clock may have stepped since the alert was created; how long it was seen here is known.
    const seen = oldestId === undefined ? 0 : (performance.now() - this.#oldest.since) / 1000;
    this.#outbox = { depth, ageSeconds: Math.max(ageSeconds, seen) };
  }

  /** Waits up to `timeoutMs` until what is in flight has left the outbox. The rest is left to a sweeper. */
  async drain(timeoutMs = 2000): Promise<void> {
    const until = performance.now() + timeoutMs;
    while (this.#inFlight.size > 0 && performance.now() < until) await wait(10);
    this.#unpublished.flush();
  }

  async #sweep(publishing: Publishing, signal: AbortSignal): Promise<void> {
    const { config, database } = this.deps;
    const left = new Map<number, Error>();
    const refused = new Map<number, number>();
    for (let gone = 1; gone > 0 && !signal.aborted;) {
      const except = [...this.#inFlight, ...left.keys()];
      const ids = await unpublished(database, config.outboxSweepAfterMs, SWEEP_BATCH, except);
      if (ids.length === 0) break;
      const alerts = (await findRoutableAlerts(database, ids)).sort((a, b) => a.alert.alertId - b.alert.alertId);
      try {
        const failures = await this.#send(publishing, alerts, true);
        // First, as what follows may fail.
        gone = await this.#takeOut(ids.filter((alertId) => !failures.has(alertId)));
        const failed = alerts.filter(({ alert }) => failures.has(alert.alertId));
        gone += await this.#setAside(publishing, failed, failures, refused);
        for (const [alertId, failure] of failures) left.set(alertId, failure);
      } finally {
        for (const id of ids) this.#inFlight.delete(id);
      }
    }
    this.#refused = refused;
    for (const [alertId, cause] of left)
      throw new Error(`${left.size} alerts stay in the outbox, ${alertId} among them: ${cause.message}`, { cause });
  }

  /** Not left to the batched removal: if it fails the sweep ends, rather than publish the same alerts again at once. */
  async #takeOut(alertIds: readonly number[]): Promise<number> {
    if (alertIds.length === 0) return 0;
    await removePublished(this.deps.database, alertIds);
    this.deps.logger.info({ alerts: alertIds.length }, 'left-over alerts were published from the outbox');
    return alertIds.length;
  }

  /**
   * Puts alerts that are refused for good among the dead letters, and strikes what has left the outbox off the
   * failures. A broker refuses a batch for one record in it, so each is sent once more, after the others.
   * @param refused is told of those that this sweep saw refused
   * @returns how many have left the outbox
   */
  async #setAside(
    publishing: Publishing,
    alerts: readonly CreatedAlert[],
    failures: Map<number, Error>,
    refused: Map<number, number>,
  ): Promise<number> {
    const before = failures.size;
    for (const created of alerts) {
      const { alertId } = created.alert;
      let failure = failures.get(alertId)!;
      if (failure instanceof PublishFailed && failure.permanent) {
        const again = (await this.#send(publishing, [created], true)).get(alertId);
        if (again === undefined) {
          await this.#takeOut([alertId]);
          failures.delete(alertId);
          continue;
        }
        failure = again;
        failures.set(alertId, failure);
      }
      if (this.#isProven(alertId, failure, refused)) {
        await this.#deadLetter(created, publishing, failure);
        failures.delete(alertId);
      }
    }
    return before - failures.size;
  }

  /** Whether an alert fails again however often it is tried: it cannot be encoded, or Kafka will never take it. */
  #isProven(alertId: number, failure: Error, refused: Map<number, number>): boolean {
    if (!(failure instanceof PublishFailed)) return true;
    if (!failure.permanent) return false;
    const refusals = (this.#refused.get(alertId) ?? 0) + 1;
    if (refusals >= REFUSALS) return true;
    if (refused.size < REFUSED_MAX) refused.set(alertId, refusals);
    return false;
  }

  async #deadLetter({ alert, traceparent }: CreatedAlert, { events }: Publishing, error: Error): Promise<void> {
    const { alertId, createdAt } = alert;
    const topic = events.topics.alertCreated;
    const [errorClass, now] = ['poison' as const, wallClock()];
    const attempts = error instanceof PublishFailed ? 2 * REFUSALS : 1;
    const reason = { errorClass, error, attempts, firstFailureAt: now, lastFailureAt: now };
    const origin = { topic, partition: NO_PARTITION, offset: alertId, timestamp: createdAt };
    const headers = deadLetterHeaders(origin, 'outbox', reason);
    await deadLetterAlert(this.deps.database, { topic, alertId, reason: error.message, headers });
    const why = error instanceof PublishFailed ? deadLetterReason(error) : 'unencodable';
    this.#deadLetters.add(1, { topic, class: errorClass, reason: why });
    this.deps.logger.error(
      { err: error, alert_id: alertId, trace_id: traceIdOf(traceparent), topic },
      'an alert cannot be published; it is among the dead letters, and reconcile brings it to its recipients without fan-out',
    );
  }

  async #publish(publishing: Publishing, alerts: readonly CreatedAlert[]): Promise<void> {
    const failures = await this.#send(publishing, alerts);
    this.#published.add(alerts.map(({ alert }) => alert.alertId).filter((alertId) => !failures.has(alertId)));
    const failed = alerts.find(({ alert }) => failures.has(alert.alertId));
    if (failed === undefined) return;
    const { alertId } = failed.alert;
    this.#unpublished.warn(failures.size, () => ({
      err: failures.get(alertId),
      alert_id: alertId,
      trace_id: traceIdOf(failed.traceparent),
    }));
  }

  /**
   * @param swept whether they were left over, so that an earlier attempt may be seen in their traces
   * @returns why alerts were not published, by id; those that were are in flight until they are out of the outbox
   */
  async #send(
    { producer, events }: Publishing,
    alerts: readonly CreatedAlert[],
    swept = false,
  ): Promise<Map<number, Error>> {
    const trace = this.#traces.begin(events.topics.alertCreated, alerts, swept);
    const failures = new Map<number, Error>();
    const sent: CreatedAlert[] = [];
    const records: OutgoingRecord[] = [];
    for (const created of alerts) {
      try {
        records.push(alertCreatedRecord(events, created, trace.traceparentFor(created)));
        sent.push(created);
      } catch (error) {
        failures.set(created.alert.alertId, error as Error);
      }
    }
    for (const { alert } of sent) this.#inFlight.add(alert.alertId);
    const startedAt = performance.now();
    for (const [index, failure] of (await producer.publishEach(records)).entries()) {
      if (failure === undefined) continue;
      const { alertId } = sent[index]!.alert;
      failures.set(alertId, failure);
      this.#inFlight.delete(alertId);
    }
    trace.end(failures);
    const published = sent.filter(({ alert }) => !failures.has(alert.alertId));
    if (published.length > 0 && performance.now() - startedAt > LATE_MS) await this.#noteLate(published);
    return failures;
  }

  async #noteLate(alerts: readonly CreatedAlert[]): Promise<void> {
    const ids = alerts.map(({ alert }) => alert.alertId);
    try {
      await repeatConflicts(() => markPublishedLate(this.deps.database, ids));
    } catch (error) {
      this.deps.logger.debug({ err: error, alerts: ids.length }, 'that Kafka was slow could not be noted');
    }
  }

  /** Takes what was published out of the outbox. What stays is published again by the sweeper. */
  async #remove(ids: readonly number[]): Promise<void> {
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
}
