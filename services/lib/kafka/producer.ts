import { RdKafka } from '@confluentinc/kafka-javascript';
import type { Logger } from '../logging.js';
import { wait } from '../retry.js';
import type { Brokers, KafkaConfig } from './client-config.js';
import { type BatchMeans, batchMeans, type ClientStatistics, NO_REQUESTS, requestTimes } from './client-statistics.js';
import type { OutgoingHeader, OutgoingRecord } from './outgoing-record.js';
import { ProducerClient, type ProducerOptions } from './producer-client.js';
import { Batch, EachBatch } from './publish-batch.js';
import { notTaken, PublishFailed } from './publish-failed.js';
import { principalOf } from './security-settings.js';
import { TopicRefusals } from './topic-refusals.js';
import { UnacknowledgedWatch } from './unacknowledged-watch.js';

export type { OutgoingHeader, OutgoingRecord } from './outgoing-record.js';
export { PublishFailed } from './publish-failed.js';

const { ERR__QUEUE_FULL: QUEUE_FULL } = RdKafka.CODES.ERRORS;

const CLUSTER_DENIED = /cluster authorization failed/i;

/** Publishers that may wait for room in librdkafka's queue; one more fails at once. */
export const WAITING_MAX = 1000;

/**
 * Publishes records with acks from all in-sync replicas, in order, and without duplicates as long as one client lives.
 * The raw client is used because it delivers 240k records/s where the promise API delivers 93-127k.
 */
export class Producer {
  readonly #client: ProducerClient;
  readonly #watch: UnacknowledgedWatch;
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
  readonly #refusals = new TopicRefusals();
  readonly #open = new Set<Batch>();
  /** Brokers give no number to who may write nothing, and no record is taken without. */
  #mayWriteNothing = false;
  #closed = false;

  private constructor(
    brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    options: ProducerOptions,
  ) {
    this.#client = new ProducerClient(brokers, config, logger, options, {
      onReport: (topic, error) => this.#noteReport(topic, error),
      onStatistics: (json) => this.#readStatistics(json),
      onError: ({ message }) => {
        if (CLUSTER_DENIED.test(message)) this.#mayWriteNothing = true;
      },
      onReplaced: (reason) => this.#abandon(reason),
    });
    this.#watch = new UnacknowledgedWatch(this.#client, this.#open);
  }

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
    await producer.#client.open();
    producer.#watch.begin();
    return producer;
  }

  #noteReport(topic: string, error: Error | null | undefined): void {
    this.#refusals.note(topic, error);
    this.#inFlight -= 1;
    if (error === null || error === undefined) {
      this.#sent += 1;
      this.#mayWriteNothing = false;
      this.#client.noteAnswer();
    } else this.#failed += 1;
  }

  #readStatistics(json: string): void {
    const statistics = JSON.parse(json) as ClientStatistics;
    this.#queued = statistics.msg_cnt ?? 0;
    this.#requestTimes = requestTimes(statistics) ?? this.#requestTimes;
    for (const [topic, means] of batchMeans(statistics)) this.#batches.set(topic, means);
  }

  /** What a client was handed that is used no more is heard of no more. */
  #abandon(reason: Error): void {
    for (const batch of this.#open) batch.abandon(reason);
    this.#failed += this.#inFlight;
    this.#inFlight = 0;
    this.#queued = 0;
  }

  /**
   * Takes a new client: the old one's view of the cluster is known to be wrong. What is in flight fails, to be tried
   * again.
   */
  async renew(reason: Error): Promise<void> {
    await this.#client.renew(reason);
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
      throw notTaken(`the records of ${topics}`, error as Error);
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
      return cause === undefined ? undefined : notTaken(`the record of ${records[index]!.topic}`, cause);
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
        const client = this.#client.native;
        if (client === undefined || this.#closed) throw new Error('the Kafka producer is not connected');
        const { topic, value, key, headers } = record;
        const outcome = batch.outcomeOf(index);
        client.produce(topic, null, solid(value), solid(key), null, outcome, headers as OutgoingHeader[]);
        this.#inFlight += 1;
      } catch (error) {
        if ((error as { code?: number }).code === QUEUE_FULL) return index;
        this.#client.noteFatal(error);
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

  /** @throws if no broker answers in 3 s */
  probe(): Promise<void> {
    return this.#client.probe();
  }

  /** Waits up to `timeoutMs` for what is in flight, then disconnects. */
  async close(timeoutMs = 3000): Promise<void> {
    if (this.#closed) return;
    const deadline = performance.now() + timeoutMs;
    while (this.#inFlight > 0 && performance.now() < deadline) await wait(5);
    if (this.#inFlight > 0)
      this.logger.warn({ records: this.#inFlight }, 'the Kafka producer closes with records in flight');
    this.#closed = true;
    this.#watch.end();
    await this.#client.close(timeoutMs);
  }
}

/** No bytes, which the client would now and then take for null: a buffer of its own that is empty may point nowhere. */
const NO_BYTES = Buffer.alloc(1).subarray(0, 0);

function solid<T extends string | Buffer | null>(bytes: T): T | Buffer {
  return bytes !== null && bytes.length === 0 ? NO_BYTES : bytes;
}
