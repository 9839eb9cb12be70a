import { AlertError } from '../domain/errors.js';
import { tokenExpired } from '../domain/resume-token.js';
import type { Events } from '../events/events.js';
import type { InboxChangedEvent } from '../events/event-types.js';
import type { Config } from '../lib/config/load.js';
import type { Consumer, IncomingRecord } from '../lib/kafka/consumer.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { backoffMs, wait } from '../lib/retry.js';
import { ATTR } from '../lib/telemetry/names.js';
import { isSampled, SpanKind, type Span, type Tracing } from '../lib/telemetry/tracing.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { changesAfter, lastSequences } from '../store/inboxes.js';
import { AnnouncedAlerts } from './announced-alerts.js';
import type { AlertContents } from './alert-contents.js';
import type { AlertStream, StreamHost } from './alert-stream.js';
import { OpeningStreams } from './opening-streams.js';

export interface StreamHubDeps {
  readonly config: Pick<
    Config,
    | 'streamHealIntervalMs'
    | 'streamPageSize'
    | 'streamBufferMax'
    | 'streamsMax'
    | 'streamsPerUserMax'
    | 'streamStallMs'
    | 'streamMaxAgeMs'
    | 'streamCatchUpsMax'
    | 'consumerMaxPollRecords'
  >;
  readonly database: Database;
  readonly contents: AlertContents;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** Hears of users whose first stream is opened or whose last one ends. */
  readonly presence?: { note(userId: string, here: boolean): void };
}

const CHECKPOINT_TICK_MS = 500;
/** Users of one query when last numbers are compared. */
const HEAL_PAGE = 1000;
/** A change that PostgreSQL has may still be on its way through Kafka: it is given this long before it counts as lost. */
const HEAL_PATIENCE_MS = 500;
const PARTITIONS_INTERVAL_MS = 30_000;
const STREAM_RETRY_MS = 2000;
/** Changes that all streams together may buffer, about 30 MB; without room a stream reads PostgreSQL later. */
const BUFFERED_MAX = 100_000;
/** Changes whose alerts are loaded together: a backlog of one user is 1,000 in each record. */
const DISPATCH_CHANGES = 1000;

/** All streams of one gateway: hands them what Kafka brings, lets them catch up in turn, and heals what got lost. */
export class StreamHub implements StreamHost {
  readonly #byUser = new Map<string, Set<AlertStream>>();
  readonly #opening = new OpeningStreams();
  /** Streams that wait for a catch-up query; a stream is in it once. */
  readonly #queue = new Set<AlertStream>();
  readonly #sent;
  readonly #catchUps;
  readonly #gaps;
  readonly #healed;
  readonly #skipped;
  /** Streams that are being read for: a second reader would read the same page. */
  readonly #reading = new Set<AlertStream>();
  #running = 0;
  #count = 0;
  #failures = 0;
  #buffered = 0;
  #pending = 0;
  #closed = false;

  constructor(private readonly deps: StreamHubDeps) {
    const { metrics } = deps;
    this.#sent = metrics.counter('ssom.stream.changes', 'Inbox changes that were written to streams.');
    this.#catchUps = metrics.counter(
      'ssom.stream.catch_up.queries',
      'Pages that were read from PostgreSQL for streams.',
    );
    this.#gaps = metrics.counter(
      'ssom.stream.gaps',
      'Missing numbers that a stream noticed and filled from PostgreSQL.',
    );
    this.#healed = metrics.counter(
      'ssom.stream.healed',
      'Streams that were behind PostgreSQL without knowing and were brought up.',
    );
    this.#skipped = metrics.counter(
      'ssom.stream.records.skipped',
      'Inbox-change records of users who are not connected here.',
    );
    metrics.gauge('ssom.stream.open', 'Streams that are open.', () => this.#count);
    metrics.gauge('ssom.stream.opening', 'Streams that are being opened.', () => this.#opening.count);
    metrics.gauge('ssom.stream.catch_up.waiting', 'Streams that wait for a catch-up query.', () => this.#queue.size);
    metrics.gauge(
      'ssom.stream.announced.bytes',
      'Events of alerts that no stream has asked for yet; the oldest fall out at 8 MiB.',
      () => deps.contents.announced?.bytes ?? 0,
    );
    metrics.gauge(
      'ssom.stream.buffered',
      `Live changes that wait for streams which are catching up or slow; at most ${BUFFERED_MAX}.`,
      () => this.#buffered,
    );
    metrics.gauge(
      'ssom.stream.pending.bytes',
      'Bytes of responses that wait for slow clients; at most some 128 KiB a stream.',
      () => this.#pending,
    );
    metrics.gauge('ssom.stream.content_cache.size', 'Alerts in the content cache.', () => deps.contents.size);
    metrics.gauge('ssom.stream.content_cache.bytes', 'Bytes of the alerts in it.', () => deps.contents.bytes);
  }

  get contents(): AlertContents {
    return this.deps.contents;
  }

  get bufferMax(): number {
    return this.deps.config.streamBufferMax;
  }

  get stallMs(): number {
    return this.deps.config.streamStallMs;
  }

  /** When a stream that begins now is to end, by performance.now(). */
  newEnd(): number {
    return performance.now() + this.deps.config.streamMaxAgeMs * (1 - Math.random() / 10);
  }

  /** Users who hold a stream here. */
  get users(): Iterable<string> {
    return this.#byUser.keys();
  }

  /**
   * Keeps room for a stream while it is being opened.
   * @returns what gives the room back, once the stream was added or was not
   * @throws AlertError RESOURCE_EXHAUSTED if no more streams are taken here, or of this user
   */
  keepRoom(userId: string): () => void {
    const { streamsMax, streamsPerUserMax } = this.deps.config;
    if ((this.#byUser.get(userId)?.size ?? 0) + this.#opening.of(userId) >= streamsPerUserMax) {
      throw new AlertError(
        'RESOURCE_EXHAUSTED',
        'TOO_MANY_STREAMS_OF_USER',
        `user '${userId}' holds ${streamsPerUserMax} streams here already (STREAMS_PER_USER_MAX); end one of them first`,
        { retryAfterMs: STREAM_RETRY_MS },
      );
    }
    if (this.#count + this.#opening.count < streamsMax) return this.#opening.begin(userId);
    throw new AlertError(
      'RESOURCE_EXHAUSTED',
      'TOO_MANY_STREAMS',
      `this gateway holds ${streamsMax} streams already (STREAMS_MAX); try again, at another one if there are several`,
      { retryAfterMs: STREAM_RETRY_MS },
    );
  }

  /** Registers a stream: from now on it hears of every change, and reads what it has missed. */
  add(stream: AlertStream): void {
    if (this.#closed) return leave(stream);
    const streams = this.#byUser.get(stream.userId);
    if (streams === undefined) {
      this.#byUser.set(stream.userId, new Set([stream]));
      this.deps.presence?.note(stream.userId, true);
    } else streams.add(stream);
    this.#count += 1;
    this.catchUp(stream);
  }

  ended(stream: AlertStream): void {
    this.#queue.delete(stream);
    const streams = this.#byUser.get(stream.userId);
    if (streams?.delete(stream)) this.#count -= 1;
    if (streams?.size !== 0) return;
    this.#byUser.delete(stream.userId);
    this.deps.presence?.note(stream.userId, false);
  }

  reserve(changes: number): boolean {
    if (this.#buffered + changes > BUFFERED_MAX) return false;
    this.#buffered += changes;
    return true;
  }

  release(changes: number): void {
    this.#buffered -= changes;
  }

  pending(bytes: number): void {
    this.#pending += bytes;
  }

  sent(changes: number): void {
    this.#sent.add(changes);
  }

  gap(): void {
    this.#gaps.add(1);
  }

  catchUp(stream: AlertStream): void {
    // Whoever reads for it looks again when the page is done.
    if (stream.hasEnded || this.#reading.has(stream)) return;
    this.#queue.add(stream);
    if (this.#running < this.deps.config.streamCatchUpsMax) {
      this.#running += 1;
      void this.#work();
    }
  }

  /** Reads pages for the streams that wait, one page a turn, so that a long way back holds nobody up. */
  async #work(): Promise<void> {
    for (let [stream] = this.#queue; stream !== undefined && !this.#closed; [stream] = this.#queue) {
      this.#queue.delete(stream);
      if (!stream.wantsPage) continue;
      this.#reading.add(stream);
      try {
        await this.#readPage(stream);
        this.#failures = 0;
      } catch (error) {
        this.#failures += 1;
        const waitMs = 200 + backoffMs(this.#failures, 200, 3000);
        this.deps.logger.warn({ err: error, waitMs: Math.round(waitMs) }, 'a stream could not catch up; trying again');
        await wait(waitMs);
      } finally {
        this.#reading.delete(stream);
      }
      if (stream.wantsPage) this.#queue.add(stream);
    }
    this.#running -= 1;
  }

  async #readPage(stream: AlertStream): Promise<void> {
    const limit = this.deps.config.streamPageSize;
    const page = await changesAfter(this.deps.database, stream.userId, stream.cursor, limit);
    this.#catchUps.add(1);
    if (stream.cursor < page.prunedSequence) return stream.end(tokenExpired());
    const contents = await this.contents.load(page.changes.map(({ alertId }) => alertId));
    stream.take(page.changes, page.changes.length < limit, page, contents);
  }

  /** Reads the inbox changes of all users, and the alerts that they will be about, until the signal aborts. */
  async consume(consumer: Consumer, events: Events, signal: AbortSignal): Promise<void> {
    const { config, logger } = this.deps;
    const { alertCreated, inboxChange } = events.topics;
    this.contents.announced = new AnnouncedAlerts(events.alertCreated);
    const interrupt = () => consumer.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    const newPartitions = every(
      PARTITIONS_INTERVAL_MS,
      signal,
      async () => {
        const found = await consumer.assignNewPartitions([inboxChange, alertCreated]);
        if (found > 0) logger.info({ partitions: found }, 'new partitions are read');
      },
      (error) => logger.debug({ err: error }, 'partitions could not be looked for'),
    );
    while (!signal.aborted) {
      try {
        await this.#dispatch(await consumer.poll(config.consumerMaxPollRecords), events);
      } catch (error) {
        // What is lost here is found by comparing last numbers.
        logger.warn({ err: error }, 'inbox changes could not be read from Kafka; going on');
        await wait(500, signal);
      }
    }
    await newPartitions;
  }

  async #dispatch(records: readonly IncomingRecord[], events: Events): Promise<void> {
    let wanted: InboxChangedEvent[] = [];
    let changes = 0;
    let skipped = 0;
    for (const record of records) {
      if (record.topic === events.topics.alertCreated) this.contents.announced?.add(record);
    }
    for (const record of records) {
      if (record.topic !== events.topics.inboxChange) continue;
      // Without decoding: most records are for users of other gateways.
      if (record.key === null || record.value === null) continue;
      if (!this.#byUser.has(record.key)) {
        skipped += 1;
        continue;
      }
      try {
        const event = events.inboxChanged.decodeKnown(record.value) ?? (await events.inboxChanged.decode(record.value));
        wanted.push(event);
        changes += event.changes.length;
      } catch (error) {
        const { topic, partition, offset } = record;
        this.deps.logger.error(
          { err: error, topic, partition, offset },
          'an inbox change cannot be decoded; PostgreSQL has it',
        );
      }
      if (changes < DISPATCH_CHANGES) continue;
      await this.#handOut(wanted);
      wanted = [];
      changes = 0;
    }
    this.#skipped.add(skipped);
    if (wanted.length > 0) await this.#handOut(wanted);
  }

  async #handOut(wanted: readonly InboxChangedEvent[]): Promise<void> {
    try {
      await this.contents.load(wanted.flatMap(({ changes }) => changes.map(({ alertId }) => alertId)));
    } catch (error) {
      this.deps.logger.warn({ err: error }, 'alerts could not be loaded; their streams read them later');
    }
    const spans = this.#startSpans(wanted);
    for (const event of wanted) {
      const streams = this.#byUser.get(event.userId);
      if (streams !== undefined) for (const stream of streams) stream.offer(event);
    }
    for (const span of spans) span.end();
  }

  /** One span for each trace of a batch. */
  #startSpans(events: readonly InboxChangedEvent[]): Span[] {
    const { tracing } = this.deps;
    if (!tracing.enabled) return [];
    const changes = new Map<string, { alertId: number; count: number }>();
    for (const { changes: list } of events) {
      for (const { traceparent, alertId } of list) {
        const entry = changes.get(traceparent);
        if (entry !== undefined) entry.count += 1;
        else if (isSampled(traceparent)) changes.set(traceparent, { alertId, count: 1 });
      }
    }
    return [...changes].map(([parent, { alertId, count }]) =>
      tracing.start('deliver StreamAlerts', {
        kind: SpanKind.CONSUMER,
        parent,
        attributes: { [ATTR.alertId]: alertId, [ATTR.messagingBatchCount]: count },
      }),
    );
  }

  /** Sends checkpoints when they are due, until the signal aborts. */
  async checkpoints(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await wait(CHECKPOINT_TICK_MS, signal);
      const now = performance.now();
      for (const streams of this.#byUser.values()) for (const stream of streams) stream.tick(now);
    }
  }

  /**
   * Compares the last numbers of connected users with what their streams have seen, until the signal aborts: that finds a
   * change whose record never came. Streams of users who became inactive are ended.
   */
  async heal(signal: AbortSignal): Promise<void> {
    const { config, logger } = this.deps;
    await every(
      config.streamHealIntervalMs,
      signal,
      async () => {
        const users = [...this.#byUser.keys()];
        const ahead = new Map<string, number>();
        for (let from = 0; from < users.length; from += HEAL_PAGE) {
          for (const [userId, last] of await this.#compare(users.slice(from, from + HEAL_PAGE)))
            ahead.set(userId, last);
        }
        if (ahead.size === 0) return;
        await wait(HEAL_PATIENCE_MS, signal);
        for (const [userId, last] of ahead) this.#healUser(userId, last);
      },
      (error) => logger.debug({ err: error }, 'last numbers could not be compared; trying again'),
    );
  }

  async #compare(users: readonly string[]): Promise<[string, number][]> {
    const states = await lastSequences(this.deps.database, users);
    const ahead: [string, number][] = [];
    for (const userId of users) {
      const streams = [...(this.#byUser.get(userId) ?? [])];
      const state = states.get(userId);
      if (state === undefined || !state.active) {
        for (const stream of streams)
          stream.end(new AlertError('PERMISSION_DENIED', 'USER_INACTIVE', `user '${userId}' is inactive`));
      } else if (streams.some((stream) => stream.isLive && stream.cursor < state.lastSequence)) {
        ahead.push([userId, state.lastSequence]);
      }
    }
    return ahead;
  }

  #healUser(userId: string, lastSequence: number): void {
    for (const stream of this.#byUser.get(userId) ?? []) {
      if (!stream.isLive || stream.cursor >= lastSequence) continue;
      this.#healed.add(1);
      stream.heal(lastSequence);
    }
  }

  /** Ends all streams so that their clients resume elsewhere. */
  close(): void {
    this.#closed = true;
    for (const streams of [...this.#byUser.values()]) for (const stream of [...streams]) leave(stream);
  }
}

/** Clients come back at once, and elsewhere; by chance one a little later than the other. */
function leave(stream: AlertStream): void {
  stream.leave('SHUTTING_DOWN', 'this server shuts down; connect again', Math.round(Math.random() * 200));
}
