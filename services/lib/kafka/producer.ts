import { RdKafka } from '@confluentinc/kafka-javascript';
import { holdThread } from '../lifecycle.js';
import type { Logger } from '../logging.js';
import { backoffMs, wait } from '../retry.js';
import { type Brokers, type KafkaConfig, producerSettings } from './client-config.js';
import { type BatchMeans, batchMeans, type ClientStatistics, NO_REQUESTS, requestTimes } from './client-statistics.js';
import { ConnectionFaults, type KafkaRefusal } from './connection-faults.js';
import { hear } from './hear.js';
import { Batch, EachBatch, type Outcome } from './publish-batch.js';
import { principalOf } from './security-settings.js';
import { likelyCause, TopicRefusals } from './topic-refusals.js';

/** One header: an object with one property, as a record that was read has them. */
export type OutgoingHeader = Readonly<Record<string, Buffer | string>>;

export interface OutgoingRecord {
  readonly topic: string;
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  /** Names may be repeated. */
  readonly headers?: readonly OutgoingHeader[] | undefined;
}

/** Records were not acknowledged. They may have been written all the same. */
export class PublishFailed extends Error {
  /** Whether it is the record's fault, so that it fails again. */
  readonly permanent: boolean;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PublishFailed';
    this.permanent = PERMANENT.has((options?.cause as { code?: number } | undefined)?.code ?? 0);
  }
}

const { ERR__QUEUE_FULL: QUEUE_FULL, ERR__FATAL: FATAL } = RdKafka.CODES.ERRORS;
const PERMANENT: ReadonlySet<number> = new Set([
  RdKafka.CODES.ERRORS.ERR_MSG_SIZE_TOO_LARGE,
  RdKafka.CODES.ERRORS.ERR_INVALID_RECORD,
]);

const CLUSTER_DENIED = /cluster authorization failed/i;

/** Publishers that may wait for room in librdkafka's queue; one more fails at once. */
export const WAITING_MAX = 1000;

/** One that is replaced again within this time waits as long before. */
const REPLACED_AGAIN_MS = 5000;

/** Records that are unacknowledged for so long make their client suspect. */
const STALL_MS = 20_000;

type Client = InstanceType<typeof RdKafka.Producer>;

export interface ProducerOptions {
  readonly clientId: string;
  /** How long connecting may take. */
  readonly timeoutMs?: number;
  /** Told why brokers do not let us in, every 5 s while it lasts. */
  readonly onRefusal?: ((refusal: KafkaRefusal) => void) | undefined;
}

/**
 * Publishes records with acks from all in-sync replicas, in order, and without duplicates as long as one client lives.
 * The raw client is used because it delivers 240k records/s where the promise API delivers 93-127k.
 */
export class Producer {
  /** Undefined while a new client is made in place of one that broke for good. */
  #client: Client | undefined;
  /** Publishers wait here, in their order, while librdkafka's queue is full. */
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #inFlight = 0;
  #sent = 0;
  #failed = 0;
  #queued = 0;
  #requestTimes = NO_REQUESTS;
  /** Of each topic, as of when something was last sent to it. */
  readonly #batches = new Map<string, BatchMeans>();
  /** What was the oldest at the last look, while brokers answered. */
  #suspect: Batch | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  /** Since when no broker has answered this client, by performance.now(); undefined: one has, or was not asked. */
  #unansweredSince: number | undefined;
  readonly #refusals = new TopicRefusals();
  readonly #open = new Set<Batch>();
  /** Why a client has no connection. */
  readonly #faults = new WeakMap<Client, ConnectionFaults>();
  #comparing = false;
  #replacedAt = -Infinity;
  /** Brokers give no number to who may write nothing, and no record is taken without. */
  #mayWriteNothing = false;
  #closed = false;

  private constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly options: ProducerOptions,
  ) {}

  /**
   * Connects.
   * @throws when no broker answers within `timeoutMs`; nothing is left open then
   */
  static async connect(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    options: ProducerOptions,
  ): Promise<Producer> {
    const producer = new Producer(brokers, config, logger, options);
    producer.#client = await producer.#connect();
    producer.#watchdog = setInterval(() => void producer.#watch(), STALL_MS / 2).unref();
    return producer;
  }

  async #connect(): Promise<Client> {
    const settings = producerSettings(this.brokers, this.config, this.options.clientId, this.logger);
    const client = new RdKafka.Producer(settings);
    const faults = this.#watchConnection(client);
    let lastError: Error | undefined;
    client.on('event.error', (error) => {
      lastError = error as unknown as Error;
      if (CLUSTER_DENIED.test(lastError.message)) this.#mayWriteNothing = true;
      this.#noteFatal(client, lastError);
      this.logger.debug({ err: error }, 'the Kafka producer reports an error');
    });
    client.on('event.stats', (stats: { message: string }) =>
      hear(this.logger, 'statistics', () => {
        if (client === this.#client) this.#readStatistics(stats.message);
      }),
    );
    client.on('delivery-report', (error, report) =>
      hear(this.logger, 'delivery report', () => {
        const failure = error as unknown as Error | null | undefined;
        // Those of a client that was replaced have been counted as failed.
        if (client === this.#client) this.#noteReport(report.topic, failure);
        this.#noteFatal(client, failure);
        (report.opaque as Outcome).settleOne(failure);
      }),
    );
    await new Promise<void>((resolve, reject) => {
      client.connect({ timeout: this.options.timeoutMs ?? 3000 }, (error) => {
        if (error === null || error === undefined) return resolve();
        // The client has closed itself by then; its disconnect() would throw.
        reject(faults.explain('no Kafka broker answered', lastError ?? error));
      });
    });
    client.setPollInBackground(true);
    return client;
  }

  #watchConnection(client: Client): ConnectionFaults {
    const faults = new ConnectionFaults(this.brokers.bootstrapServers, this.config, (refusal) => {
      this.options.onRefusal?.(refusal);
      if (client === this.#client) void this.#tryAnotherUnlessAnswered(client);
    });
    this.#faults.set(client, faults);
    client.on('event.log', faults.note);
    (client as NodeJS.EventEmitter).on('error', faults.noteToken);
    return faults;
  }

  #noteReport(topic: string, error: Error | null | undefined): void {
    this.#refusals.note(topic, error);
    this.#inFlight -= 1;
    if (error === null || error === undefined) {
      this.#sent += 1;
      this.#mayWriteNothing = false;
      this.#unansweredSince = undefined;
    } else this.#failed += 1;
  }

  #readStatistics(json: string): void {
    const statistics = JSON.parse(json) as ClientStatistics;
    this.#queued = statistics.msg_cnt ?? 0;
    this.#requestTimes = requestTimes(statistics) ?? this.#requestTimes;
    for (const [topic, means] of batchMeans(statistics)) this.#batches.set(topic, means);
  }

  /** The event alone is not enough: after a broker answered "out of order sequence number" it never came. */
  #noteFatal(client: Client, error: unknown): void {
    if ((error as { code?: number } | null | undefined)?.code === FATAL) void this.#replace(client, error as Error);
  }

  /**
   * A fatal error ends an idempotent producer for good: a cluster that was wiped no longer knows its sequence numbers.
   * A new client takes its place; what was in flight fails, and its publishers try again.
   * @param successor connected already; without it one is connected, however often it takes
   */
  async #replace(broken: Client, reason: Error, successor?: Client): Promise<void> {
    if (this.#client !== broken || this.#closed) {
      hear(this.logger, 'replacement', () => successor?.disconnect(holdThread()));
      return;
    }
    this.#client = undefined;
    this.#unansweredSince = undefined;
    this.logger.error({ err: reason }, 'the Kafka producer is replaced');
    // It throws for one that has closed itself.
    hear(this.logger, 'replacement', () => broken.disconnect(holdThread()));
    for (const batch of this.#open) batch.abandon(reason);
    this.#failed += this.#inFlight;
    this.#inFlight = 0;
    this.#queued = 0;
    this.#client = successor;
    const isAgain = performance.now() < this.#replacedAt + REPLACED_AGAIN_MS;
    this.#replacedAt = performance.now();
    if (isAgain && successor === undefined) await wait(REPLACED_AGAIN_MS);
    for (let attempt = 0; !this.#closed && this.#client === undefined; attempt += 1) {
      try {
        const client = await this.#connect();
        if (this.#closed) client.disconnect(holdThread());
        else this.#client = client;
      } catch (error) {
        this.logger.warn({ err: error }, 'the Kafka producer could not be replaced yet');
        await wait(200 + backoffMs(attempt, 200, 5000));
      }
    }
  }

  /**
   * Takes a new client: the old one's view of the cluster is known to be wrong. What is in flight fails, to be tried
   * again.
   */
  async renew(reason: Error): Promise<void> {
    if (this.#client !== undefined) await this.#replace(this.#client, reason);
  }

  /** Records that were handed over and not acknowledged yet, and publishers that wait for room. */
  get stats(): { inFlight: number; waiting: number } {
    return { inFlight: this.#inFlight, waiting: this.#waiting };
  }

  /** Records that were acknowledged, and that failed, so far. */
  get totals(): { sent: number; failed: number } {
    return { sent: this.#sent, failed: this.#failed };
  }

  /** Topics that refuse records for how they are set, each with what is likely wrong. */
  get refusals(): string[] {
    const nothing = `${principalOf(this.config)} has no right to write to any topic`;
    return this.#mayWriteNothing ? [nothing] : this.#refusals.causes();
  }

  /** What librdkafka says of itself, at most 5 s old. */
  get statistics() {
    return { queued: this.#queued, requestTimes: this.#requestTimes, batches: this.#batches };
  }

  /**
   * Resolves when every record is acknowledged. Records of one call, and of calls made one after the other, keep their
   * order within a partition.
   * @throws PublishFailed with the first failure, after all records have settled; the others may have been written
   */
  async publish(records: readonly OutgoingRecord[]): Promise<void> {
    if (records.length === 0) return;
    if (this.#waiting >= WAITING_MAX) throw new PublishFailed(`${WAITING_MAX} publishers wait for Kafka already`);
    const batch = new Batch(records.length);
    this.#open.add(batch);
    try {
      await this.#handOver(records, batch);
      await batch.done;
    } catch (error) {
      const topics = [...new Set(records.map(({ topic }) => topic))].join(', ');
      throw new PublishFailed(`Kafka did not take the records of ${topics}: ${reasonOf(error as Error)}`, {
        cause: error,
      });
    } finally {
      this.#open.delete(batch);
    }
  }

  /**
   * Publishes records as `publish` does, and tells of each whether it was acknowledged.
   * @returns in their order: undefined, or why it was not
   */
  async publishEach(records: readonly OutgoingRecord[]): Promise<(PublishFailed | undefined)[]> {
    if (records.length === 0) return [];
    if (this.#waiting >= WAITING_MAX) {
      const refusal = new PublishFailed(`${WAITING_MAX} publishers wait for Kafka already`);
      return records.map(() => refusal);
    }
    const batch = new EachBatch(records.length);
    this.#open.add(batch);
    let failure: Error | undefined;
    try {
      await this.#handOver(records, batch);
      await batch.done;
    } catch (error) {
      failure = error as Error;
    } finally {
      this.#open.delete(batch);
    }
    return batch.failures.map((error, index) => {
      const cause = error === null ? (failure ?? new Error('nothing was heard of it')) : error;
      if (cause === undefined) return undefined;
      return new PublishFailed(`Kafka did not take the record of ${records[index]!.topic}: ${reasonOf(cause)}`, {
        cause,
      });
    });
  }

  async #handOver(records: readonly OutgoingRecord[], batch: Batch): Promise<void> {
    if (this.#waiting > 0) await this.#queue(records, 0, batch);
    else {
      const sent = this.#send(records, 0, batch);
      if (sent < records.length) await this.#queue(records, sent, batch);
    }
  }

  /** Hands records to librdkafka from index `from` on; returns where its queue was full, or the length. */
  #send(records: readonly OutgoingRecord[], from: number, batch: Batch): number {
    for (let index = from; index < records.length; index += 1) {
      const record = records[index]!;
      try {
        if (this.#client === undefined || this.#closed) throw new Error('the Kafka producer is not connected');
        const { topic, value, key, headers } = record;
        const outcome = batch.outcomeOf(index);
        this.#client.produce(topic, null, solid(value), solid(key), null, outcome, headers as OutgoingHeader[]);
        this.#inFlight += 1;
      } catch (error) {
        if ((error as { code?: number }).code === QUEUE_FULL) return index;
        if (this.#client !== undefined) this.#noteFatal(this.#client, error);
        this.#failed += 1;
        batch.outcomeOf(index).settleOne(error as Error);
      }
    }
    return records.length;
  }

  async #queue(records: readonly OutgoingRecord[], from: number, batch: Batch): Promise<void> {
    this.#waiting += 1;
    const before = this.#turn;
    let release!: () => void;
    this.#turn = new Promise((resolve) => (release = resolve));
    await before;
    for (let next = this.#send(records, from, batch); next < records.length;) {
      // Acknowledgements make room; 2 ms is about one round trip to a broker.
      await wait(2);
      next = this.#send(records, next, batch);
    }
    this.#waiting -= 1;
    release();
  }

  /**
   * After a cluster was wiped, librdkafka ignores some leaders as outdated, again and again. Brokers that answer while
   * old records stay unacknowledged give that away; that others are acknowledged says nothing.
   */
  async #watch(): Promise<void> {
    const client = this.#client;
    const [oldest] = this.#open;
    if (client === undefined) return;
    if (this.#unansweredSince !== undefined) {
      if (performance.now() < this.#unansweredSince + STALL_MS) return;
      return this.#tryAnother(client);
    }
    if (oldest === undefined || performance.now() < oldest.heardAt + STALL_MS) return;
    try {
      await this.probe();
    } catch {
      return; // an outage, or this client alone: the next look tells
    }
    // Brokers that have just come back are given until the next look.
    const again = this.#suspect === oldest;
    this.#suspect = oldest;
    if (!again || !this.#open.has(oldest) || performance.now() < oldest.heardAt + STALL_MS) return;
    await this.#replace(client, new Error(`records stay unacknowledged for ${STALL_MS} ms although brokers answer`));
  }

  /**
   * After all brokers had been away one client of ten never found them again, not even for metadata, while its
   * connections stood; one whose password was replaced never does. A new client tells that from an outage, and takes
   * its place.
   */
  async #tryAnother(client: Client): Promise<void> {
    if (this.#comparing) return;
    this.#comparing = true;
    await this.#compare(client).finally(() => (this.#comparing = false));
  }

  /**
   * What it was made with may have been replaced: another one has what is there now. Where one broker refuses us and
   * others answer, the client stays.
   */
  async #tryAnotherUnlessAnswered(client: Client): Promise<void> {
    if (this.#unansweredSince === undefined) await this.probe().catch(() => undefined);
    if (this.#unansweredSince !== undefined && client === this.#client) await this.#tryAnother(client);
  }

  async #compare(client: Client): Promise<void> {
    let another: Client;
    try {
      another = await this.#connect();
    } catch {
      return; // an outage: what is in flight is sent when it ends
    }
    // After an outage the old one may only have been slower to come back.
    await this.probe().catch(() => undefined);
    if (this.#unansweredSince === undefined)
      return hear(this.logger, 'comparison', () => another.disconnect(holdThread()));
    await this.#replace(client, new Error('no broker answers this client, but another'), another);
  }

  /** @throws if no broker answers in 3 s */
  async probe(): Promise<void> {
    const client = this.#client;
    if (client === undefined) throw new Error('the Kafka producer is being replaced');
    await new Promise<void>((resolve, reject) => {
      client.getMetadata({ timeout: 3000, allTopics: false }, (error) => {
        const answered = error === null || error === undefined;
        if (client === this.#client)
          this.#unansweredSince = answered ? undefined : (this.#unansweredSince ?? performance.now());
        const faults = this.#faults.get(client)!;
        if (!answered) return reject(faults.explain('no Kafka broker answers', error));
        faults.clear();
        resolve();
      });
    });
  }

  /** Waits up to `timeoutMs` for what is in flight, then disconnects. */
  async close(timeoutMs = 3000): Promise<void> {
    if (this.#closed) return;
    const deadline = performance.now() + timeoutMs;
    while (this.#inFlight > 0 && performance.now() < deadline) await wait(5);
    if (this.#inFlight > 0)
      this.logger.warn({ records: this.#inFlight }, 'the Kafka producer closes with records in flight');
    this.#closed = true;
    clearInterval(this.#watchdog);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      if (this.#client === undefined) return resolve();
      const released = holdThread();
      this.#client.disconnect(() => {
        released();
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function reasonOf(error: Error): string {
  const cause = likelyCause(error);
  return cause === undefined ? error.message : `${error.message} (${cause})`;
}

/** No bytes, which the client would now and then take for null: a buffer of its own that is empty may point nowhere. */
const NO_BYTES = Buffer.alloc(1).subarray(0, 0);

function solid<T extends string | Buffer | null>(bytes: T): T | Buffer {
  return bytes !== null && bytes.length === 0 ? NO_BYTES : bytes;
}
