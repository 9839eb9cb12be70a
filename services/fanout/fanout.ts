import { ALERT_LEVELS } from '../domain/alert.js';
import type { AlertCreatedEvent } from '../events/event-types.js';
import type { Events } from '../events/events.js';
import { groupOf } from '../events/groups.js';
import { countOtherEpoch, readAlertCreated, readEach } from '../events/read-records.js';
import { traceHeaders, userAlertRecord } from '../events/records.js';
import type { Consumer, IncomingRecord, PartitionOffset } from '../lib/kafka/consumer.js';
import { OffsetTracker } from '../lib/kafka/offset-tracker.js';
import { PoisonRecord } from '../lib/kafka/poison-record.js';
import type { OutgoingHeader, OutgoingRecord } from '../lib/kafka/producer.js';
import { recordTraceparent } from '../lib/kafka/record-traceparent.js';
import { SUSPECT_WAIT_MS } from '../lib/kafka/set-aside.js';
import type { Triage } from '../lib/kafka/triage.js';
import type { Service } from '../lib/lifecycle.js';
import { backoffMs, wait } from '../lib/retry.js';
import { StatementLog } from '../lib/telemetry/statements.js';
import { isSampled } from '../lib/telemetry/tracing.js';
import type { Processed } from '../runtime/alarms.js';
import type { Publish, Runtime, RuntimeParts } from '../runtime/runtime.js';
import { KnownEpoch } from '../store/known-epoch.js';
import { markFannedOut } from '../store/progress.js';
import type { RecipientResolver } from '../store/recipient-resolver.js';
import { type FanoutTrace, FanoutTracing, type Take } from './fanout-trace.js';

interface Resolved {
  readonly event: AlertCreatedEvent;
  readonly recipients: readonly string[];
}

/** An alert that is being turned into one record a recipient. */
interface Job {
  readonly record: IncomingRecord;
  readonly alertId: number;
  /** Of its event, so that its records are set aside with it. */
  readonly epoch: number;
  readonly recipients: readonly string[];
  /** How many recipients' records were handed to Kafka. */
  next: number;
  /** When its record was taken, before its recipients were known; by performance.now(). */
  readonly since: number;
  readonly trace: FanoutTrace | undefined;
  /** What its user alerts are children of; undefined if the alert's trace is not recorded. */
  readonly traceparent: string | undefined;
  /** The same, as each of them carries it. */
  readonly headers: readonly OutgoingHeader[] | undefined;
}

/** Recipients of one alert in one turn: what a small alert behind a broadcast waits for is a round of such slices. */
const SLICE = 200;
/** Records of one round. 2,000 take 10-20 ms; smaller rounds cost throughput, larger ones the next alert's latency. */
const ROUND = 2000;
/** How long complete alerts gather before their progress is stored together. */
const MARK_AFTER_MS = 50;
/** Alerts that are done while an older one of their partition is not: from here on no more are taken. */
const UNCOMMITTED_MAX = 100_000;

/**
 * Turns each alert into one small event for each of its recipients.
 * @param resolver cleared when the database is another one
 */
export function createFanout(runtime: Runtime, resolver: RecipientResolver): Service {
  runtime.metrics.cache('directory_fanout', () => resolver.lookups);
  const epoch = new KnownEpoch(runtime.database, () => resolver.clear());
  runtime.metrics.gauge('ssom.directory.versions', 'Versions of the directory in memory.', () => [
    { value: resolver.size, attributes: { role: 'fanout' } },
  ]);
  let loop: FanoutLoop | undefined;

  return {
    async run(signal) {
      await runtime.databaseReady(signal);
      const publishing = await runtime.publishing(signal);
      const { events } = publishing;
      const publish = await runtime.publisher(signal);
      const triage = runtime.triage(publishing, 'fanout', (record) => identify(events, record));
      loop = new FanoutLoop(runtime, { resolver, epoch }, publish, events, triage);
      const consumer = await runtime.subscribe('fanout', loop.settled, signal);
      runtime.started('fanout');
      await loop.run(consumer, signal);
    },
    close: () => loop?.settled() ?? Promise.resolve(),
  };
}

/** A record that is a dead letter may be unreadable; its key is the alert then. If the two disagree it is nobody's. */
function identify(events: Events, { key, value }: IncomingRecord): { alertId?: number } {
  const alertId = Number(key);
  if (!(alertId > 0)) return {};
  try {
    const event = events.alertCreated.decodeKnown(value);
    return event === undefined || event.alertId === alertId ? { alertId } : {};
  } catch {
    return { alertId };
  }
}

/**
 * Works on several alerts at once, a slice of recipients of each in turn: one to 100,000 does not hold up the next. An
 * offset is committed when all records of its alert, and of those in front of it, are acknowledged.
 */
class FanoutLoop {
  #jobs: Job[] = [];
  /** Alerts whose records are all acknowledged; their progress and offsets are still to be stored. */
  #complete: Job[] = [];
  #marking: Promise<void> | undefined;
  readonly #tracker = new OffsetTracker();
  #generation = -1;
  #round: Promise<void> = Promise.resolve();
  readonly #recipients;
  readonly #withoutRecipients;
  readonly #setAside;
  readonly #traces;

  constructor(
    private readonly deps: RuntimeParts<'alarms' | 'config' | 'database' | 'logger' | 'metrics' | 'tracing'>,
    private readonly known: { readonly resolver: RecipientResolver; readonly epoch: KnownEpoch },
    private readonly publish: Publish,
    private readonly events: Events,
    private readonly triage: Triage,
  ) {
    this.#traces = new FanoutTracing({
      tracing: deps.tracing,
      group: groupOf('fanout', deps.config).group,
      slowMs: deps.config.slowProcessingMs,
      userAlertTopic: events.topics.userAlert,
    });
    this.#setAside = countOtherEpoch(deps.metrics, deps.logger, events.topics.alertCreated);
    this.#recipients = deps.metrics.counter('ssom.fanout.recipients', 'User-alert events that were published.');
    this.#withoutRecipients = deps.metrics.counter(
      'ssom.fanout.without_recipients',
      'Alerts that reach nobody, by level.',
      // An alarm asks for their increase, and the first one may be the only one.
      ALERT_LEVELS.map((level) => ({ level })),
    );
    deps.metrics.gauge('ssom.fanout.jobs', 'Alerts that are being fanned out.', () => this.#jobs.length);
    deps.metrics.gauge(
      'ssom.fanout.uncommitted',
      `Alerts that were taken and whose position is not committed; at most about ${UNCOMMITTED_MAX}.`,
      () => this.#tracker.size,
    );
    deps.metrics.queue('fanout_jobs', () => this.#jobs.length, deps.config.consumerMaxPollRecords);
    deps.metrics.queue('fanout_uncommitted', () => this.#tracker.size, UNCOMMITTED_MAX);
  }

  /** Resolves when the round in hand is done and committed. */
  settled = async (): Promise<void> => {
    await this.#round;
    await this.#marking;
  };

  async run(consumer: Consumer, signal: AbortSignal): Promise<void> {
    const { logger, config } = this.deps;
    const interrupt = () => consumer.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#forgetRevoked(consumer);
        const isFull = this.#tracker.size >= UNCOMMITTED_MAX;
        // A PostgreSQL that answers slowly holds up the marking, and with it what is fanned out already.
        if (this.#complete.length >= config.consumerMaxPollRecords || (isFull && this.#jobs.length === 0))
          await (this.#marking ?? wait(MARK_AFTER_MS));
        const room = isFull ? 0 : config.consumerMaxPollRecords - this.#jobs.length;
        if (room > 0 && this.#largeJobs() < config.listenerConcurrency) await this.#take(consumer, room, signal);
        if (this.#jobs.length === 0) continue;
        await this.#startRound(consumer);
        failures = 0;
      } catch (error) {
        const waitMs = 100 + backoffMs(failures, 200, 5000);
        failures += 1;
        for (const { trace } of this.#jobs) trace?.retried(error as Error);
        this.triage.noteRetry('outage');
        logger.warn(
          { err: error, alerts: this.#jobs.length, waitMs: Math.round(waitMs) },
          'fan-out failed and will be tried again',
        );
        await consumer.idle(waitMs, signal);
      }
    }
    signal.removeEventListener('abort', interrupt);
  }

  #largeJobs(): number {
    return this.#jobs.filter(({ recipients, next }) => recipients.length - next > ROUND).length;
  }

  /** After a rebalance the jobs in hand belong to whoever reads their partitions now. */
  #forgetRevoked(consumer: Consumer): void {
    if (consumer.generation === this.#generation) return;
    for (const { trace } of this.#jobs) trace?.end();
    this.#jobs = [];
    this.#complete = [];
    this.#tracker.clear();
    this.#generation = consumer.generation;
  }

  /** Polls, waiting only if there is nothing else to do, and makes jobs of what came. */
  async #take(consumer: Consumer, room: number, signal: AbortSignal): Promise<void> {
    const records = await consumer.poll(room, this.#jobs.length > 0 ? 0 : undefined);
    if (records.length === 0) return;
    this.#forgetRevoked(consumer);
    const generation = this.#generation;
    const resolved = new Map<IncomingRecord, Resolved>();
    /** By partition, the first record that waits: it comes again, with all behind it. */
    const waiting = new Map<number, number>();
    const take = this.#traces.take(records);
    const resolve = async (some: readonly IncomingRecord[]) => {
      const { found, refused, held } = await this.#resolve(some, take);
      for (const [record, recipients] of found) resolved.set(record, recipients);
      for (const { partition, offset } of held)
        waiting.set(partition, Math.min(waiting.get(partition) ?? Infinity, offset));
      // Dead letters of what comes again would be written each time.
      const answered = refused.filter(
        ({ record: { partition, offset } }) => offset < (waiting.get(partition) ?? Infinity),
      );
      return { refused: answered, held };
    };
    for (let attempt = 0; ; attempt += 1) {
      try {
        const suspects = await this.triage.process(records, resolve, signal);
        if (consumer.generation !== generation) return;
        this.#accept(consumer, records, suspects, resolved, take);
        return;
      } catch (error) {
        const { logger } = this.deps;
        if (consumer.generation !== generation) return;
        const waitMs = 100 + backoffMs(attempt, 200, 5000);
        take.failures += 1;
        this.triage.noteRetry('outage');
        logger.warn(
          { err: error, records: records.length, attempt: attempt + 1, waitMs: Math.round(waitMs) },
          'recipients could not be found; trying again',
        );
        await consumer.idle(waitMs, signal);
        if (signal.aborted || consumer.generation !== generation) return;
      }
    }
  }

  /** Makes jobs of what was resolved; from one that has to wait on its partition is set aside and comes again. */
  #accept(
    consumer: Consumer,
    records: readonly IncomingRecord[],
    suspects: readonly IncomingRecord[],
    resolved: ReadonlyMap<IncomingRecord, Resolved>,
    take: Take,
  ): void {
    const stops = new Map<number, IncomingRecord>();
    for (const suspect of suspects) {
      if ((stops.get(suspect.partition)?.offset ?? Infinity) > suspect.offset) stops.set(suspect.partition, suspect);
    }
    const accepted = records.filter(({ partition, offset }) => offset < (stops.get(partition)?.offset ?? Infinity));
    for (const record of accepted) this.#tracker.begin(record);
    const done: IncomingRecord[] = [];
    for (const record of accepted) {
      const found = resolved.get(record);
      // Dead letters, and records of another epoch.
      if (found === undefined) done.push(record);
      else {
        const { event, recipients } = found;
        if (recipients.length === 0) this.#withoutRecipients.add(1, { level: event.level });
        this.#jobs.push(this.#job(record, event, recipients, take));
      }
    }
    this.#finish(consumer, done);
    for (const suspect of stops.values()) consumer.park(suspect, SUSPECT_WAIT_MS);
  }

  async #resolve(records: readonly IncomingRecord[], { statements }: Take) {
    const { read, refused, held } = await readEach(records, (record) => readAlertCreated(this.events, record));
    const { resolver, epoch } = this.known;
    const others = await epoch.others(read.map(({ event }) => event.epoch));
    const known = read.filter(({ event }) => !others.has(event.epoch));
    this.#setAside(read.length - known.length);
    // Events of writers that did not know the directory's version are completed from PostgreSQL.
    const bare = known.filter(({ event }) => event.directoryVersion === 0).map(({ event }) => event.alertId);
    const recipients = await resolver.resolve(
      known.filter(({ event }) => event.directoryVersion > 0).map(({ event }) => event),
      this.deps.database.observedBy(statements),
    );
    if (bare.length > 0) {
      for (const [alertId, list] of await resolver.recipientsOf(bare)) recipients.set(alertId, list);
    }
    const found = new Map<IncomingRecord, Resolved>();
    for (const { record, event } of known) {
      const list = recipients.get(event.alertId);
      if (list === undefined)
        refused.push(new PoisonRecord(record, new Error(`alert ${event.alertId} does not exist`)));
      else found.set(record, { event, recipients: list });
    }
    return { found, refused, held };
  }

  #job(record: IncomingRecord, event: AlertCreatedEvent, recipients: readonly string[], take: Take): Job {
    const trace = this.#traces.begin(record, event, recipients.length, take);
    const parent = trace?.traceparent ?? recordTraceparent(record);
    // What nobody records need not travel with each of thousands of records.
    const traceparent = isSampled(parent) ? parent : undefined;
    return {
      record,
      alertId: event.alertId,
      epoch: event.epoch,
      recipients,
      next: 0,
      since: take.since,
      trace,
      traceparent,
      headers: traceHeaders(traceparent),
    };
  }

  #startRound(consumer: Consumer): Promise<void> {
    const round = this.#work(consumer);
    this.#round = round.catch(() => undefined);
    return round;
  }

  /** One round: slices of the jobs in turn, up to ROUND records; then whatever is complete is finished. */
  async #work(consumer: Consumer): Promise<void> {
    const generation = this.#generation;
    const positions = new Map<Job, number>();
    const records: OutgoingRecord[] = [];
    for (let progress = true; progress && records.length < ROUND;) {
      progress = false;
      for (const job of this.#jobs) {
        const from = positions.get(job) ?? job.next;
        const to = Math.min(from + SLICE, job.recipients.length, from + ROUND - records.length);
        positions.set(job, to);
        for (let index = from; index < to; index += 1) {
          const userId = job.recipients[index]!;
          records.push(userAlertRecord(this.events, { alertId: job.alertId, userId, epoch: job.epoch }, job.headers));
        }
        progress ||= to > from;
      }
    }
    await this.publish(records);
    if (consumer.generation !== generation) return;
    this.#recipients.add(records.length);
    const rest: Job[] = [];
    const now = performance.now();
    for (const job of this.#jobs) {
      job.next = positions.get(job) ?? job.next;
      if (job.next < job.recipients.length) {
        rest.push(job);
        continue;
      }
      this.deps.alarms.processed('fanout', now - job.since, () => processedBy(job));
      job.trace?.end();
      this.#complete.push(job);
    }
    this.#jobs = rest;
    if (this.#complete.length > 0) this.#marking ??= this.#mark(consumer);
    // Lets polls, heartbeats and other roles of this process have their turn between two rounds of a large alert.
    if (rest.length > 0) await wait(0);
  }

  /** Notes the progress of complete alerts and commits their offsets, many at a time, beside the next rounds. */
  async #mark(consumer: Consumer): Promise<void> {
    try {
      while (this.#complete.length > 0) {
        await wait(MARK_AFTER_MS);
        await this.#markOnce(consumer);
      }
    } finally {
      // Before the promise resolves, or what is added in between starts no new run.
      this.#marking = undefined;
    }
  }

  async #markOnce(consumer: Consumer): Promise<void> {
    const generation = this.#generation;
    const complete = this.#complete.splice(0);
    const recorded = complete.find(({ trace }) => trace !== undefined)?.trace;
    const statements = recorded && new StatementLog();
    try {
      await markFannedOut(
        this.deps.database.observedBy(statements),
        complete.map(({ alertId, recipients, record }) => ({
          alertId,
          recipients: recipients.length,
          publishedAt: record.timestamp,
        })),
      );
    } catch (error) {
      // The records are published, which is what counts; reconciliation fills in the progress.
      this.deps.logger.warn({ err: error, alerts: complete.length }, 'the progress of alerts could not be stored');
    }
    if (statements !== undefined) recorded!.show(statements);
    if (this.#generation === generation)
      this.#finish(
        consumer,
        complete.map(({ record }) => record),
      );
  }

  #finish(consumer: Consumer, records: readonly IncomingRecord[]): void {
    const positions = new Map<number, PartitionOffset>();
    for (const record of records) {
      const position = this.#tracker.finish(record);
      if (position !== undefined) positions.set(position.partition, position);
    }
    consumer.commit([...positions.values()], this.#generation);
  }
}

function processedBy({ alertId, traceparent }: Job): Processed {
  return { alertIds: [alertId], traceparent };
}
