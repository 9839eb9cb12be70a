import { RdKafka } from '@confluentinc/kafka-javascript';
import { holdThread } from '../lifecycle.js';
import type { Logger } from '../logging.js';
import type { ClientStatistics } from './client-statistics.js';
import type { ConnectionFaults } from './connection-faults.js';
import { hear } from './hear.js';
import type { IncomingRecord, PartitionOffset, TopicPartition } from './incoming-record.js';
import type { Settings } from './security-settings.js';

/** What a client tells of itself. What a listener throws is logged: no event ends the process. */
export interface NativeListeners {
  /** Its queue was empty, and is not any more. */
  readonly onArrival: () => void;
  readonly onRebalance: (assigned: boolean, partitions: PartitionOffset[]) => void;
  /** Every 5 s. */
  readonly onStatistics: (statistics: ClientStatistics) => void;
  /** It will never work again. Told anew with the statistics, until it is closed. */
  readonly onFatal: (error: Error) => void;
  /** It goes on. */
  readonly onError?: (error: Error) => void;
}

export interface TopicMetadata {
  readonly name: string;
  readonly partitions: readonly { readonly id: number }[];
}

/** librdkafka's consumer with the methods that its type declarations leave out. */
type Raw = InstanceType<typeof RdKafka.KafkaConsumer> & {
  commitCb(offsets: PartitionOffset[], done: (error: Error | null) => void): void;
  incrementalAssign(partitions: readonly PartitionOffset[]): void;
  assignmentLost(): boolean;
};

/** `failed`: no broker answered, and it has closed itself. */
type State = 'new' | 'opening' | 'open' | 'failed' | 'closing' | 'closed';

const ASSIGN = RdKafka.CODES.ERRORS.ERR__ASSIGN_PARTITIONS;
const FATAL = RdKafka.CODES.ERRORS.ERR__FATAL;
/** How long a broker may take to answer. */
const REQUEST_MS = 5000;
const PROBE_MS = 3000;

/**
 * One client of librdkafka, and the only place that calls it. Called in a wrong state it throws now and then, or ends
 * the process (assignmentLost without a connection): every call looks at the state first.
 */
export class NativeConsumer {
  readonly #raw: Raw;
  #state: State = 'new';
  /** Settles when it is connected, or is gone. */
  #opening: Promise<void> | undefined;
  #lastError: Error | undefined;
  readonly #onFatal: (error: Error) => void;
  readonly #onError: (error: Error) => void;
  /** The group waits for our answer to a rebalance: until then one that is closing does not end. */
  #isRebalancing = false;

  constructor(
    settings: Settings,
    listeners: NativeListeners,
    private readonly faults: ConnectionFaults,
    private readonly logger: Logger,
  ) {
    this.#onError = (error) => listeners.onError?.(error);
    this.#onFatal = (error) => hear(logger, 'fatal error', () => listeners.onFatal(error));
    const callbacks = {
      queue_non_empty_cb: () => hear(logger, 'arrival', listeners.onArrival),
      rebalance_cb: (error: { code: number } | undefined, partitions: PartitionOffset[]) => {
        this.#isRebalancing = true;
        hear(logger, 'rebalance', () => listeners.onRebalance(error?.code === ASSIGN, partitions));
      },
    };
    // A consumer that has lost its place reads everything again rather than skip: delivering twice has no effect.
    const raw = new RdKafka.KafkaConsumer({ ...settings, ...callbacks }, { 'auto.offset.reset': 'earliest' }) as Raw;
    raw.setDefaultConsumeTimeout(0);
    raw.on('event.stats', (stats: { message: string }) =>
      hear(logger, 'statistics', () => {
        const statistics = JSON.parse(stats.message) as ClientStatistics;
        if (statistics.fatal !== undefined) this.#onFatal(new Error(statistics.fatal.reason));
        listeners.onStatistics(statistics);
      }),
    );
    raw.on('event.error', (error) => {
      this.#lastError = error as unknown as Error;
      this.#onError(this.#lastError);
      logger.debug({ err: error }, 'the Kafka consumer reports an error and goes on');
    });
    raw.on('event.log', faults.note);
    (raw as NodeJS.EventEmitter).on('error', faults.noteToken);
    raw.on('rebalance.error', (error) => logger.warn({ err: error }, 'a rebalance failed'));
    this.#raw = raw;
  }

  /** Whether it takes calls. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Connects. @throws when no broker answers in time; nothing is left open then */
  async open(timeoutMs: number): Promise<void> {
    if (this.#state !== 'new') throw new Error(`the Kafka consumer is ${this.#state} already`);
    this.#state = 'opening';
    let isOver!: () => void;
    this.#opening = new Promise((resolve) => (isOver = resolve));
    await new Promise<void>((resolve, reject) => {
      this.#raw.connect({ timeout: timeoutMs }, (error) => {
        const failed = error !== null && error !== undefined;
        const wasClosed = this.#state === 'closed';
        if (this.#state === 'opening') this.#state = failed ? 'failed' : 'open';
        if (this.#state === 'open') resolve();
        else {
          const what = 'no Kafka broker answered';
          const before = new Error(`${what} before it was closed`);
          reject(failed ? this.faults.explain(what, this.#lastError ?? error) : before);
        }
        // It has disconnected itself; this ends its callbacks.
        if (failed) this.#raw.disconnect();
        // One that was closed meanwhile did not know that it was open.
        if (wasClosed && !failed) void this.#disconnect().then(isOver);
        else isOver();
      });
    });
  }

  /**
   * Resolves when it has left its group and is gone; it may never answer, and holds a thread of libuv's pool meanwhile.
   */
  async close(): Promise<void> {
    if (this.#state === 'open') return this.#disconnect();
    if (this.#state === 'closing') return;
    this.#state = 'closed';
    // One that still connects, by TLS above all, would end the process with SIGSEGV.
    await this.#opening;
  }

  #disconnect(): Promise<void> {
    this.#state = 'closing';
    const released = holdThread();
    return new Promise((resolve) => {
      this.#raw.disconnect(() => {
        this.#state = 'closed';
        released();
        resolve();
      });
    });
  }

  /** None unless it is open. */
  get assignment(): readonly PartitionOffset[] {
    return this.isOpen ? (this.#raw.assignments() as PartitionOffset[]) : [];
  }

  /** Whether the group took its partitions away without asking; only while a rebalance is heard. */
  get assignmentLost(): boolean {
    return this.#isAlive && this.#raw.assignmentLost();
  }

  /** One that is closing may end at any moment, under a call, unless it waits for that call. */
  get #isAlive(): boolean {
    return this.#state === 'open' || (this.#state === 'closing' && this.#isRebalancing);
  }

  /** @throws unless it is open */
  get #open(): Raw {
    if (!this.isOpen) throw new Error(`the Kafka consumer is not connected: it is ${this.#state}`);
    return this.#raw;
  }

  /** @throws unless it is open */
  subscribe(topics: readonly string[]): void {
    this.#open.subscribe([...topics]);
  }

  /** @throws unless it is open */
  assign(partitions: readonly PartitionOffset[]): void {
    this.#open.assign([...partitions]);
    this.#isRebalancing = false;
  }

  /** @throws unless it is open */
  incrementalAssign(partitions: readonly PartitionOffset[]): void {
    this.#open.incrementalAssign(partitions);
  }

  /** Gives up its partitions; one that is gone has none. */
  unassign(): void {
    if (this.#isAlive) this.#raw.unassign();
    this.#isRebalancing = false;
  }

  /** Fetches nothing of them, until they are resumed; without effect unless it is open. */
  pause(partitions: readonly TopicPartition[]): void {
    this.#switch('pause', partitions);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#switch('resume', partitions);
  }

  #switch(how: 'pause' | 'resume', partitions: readonly TopicPartition[]): void {
    if (!this.isOpen || partitions.length === 0) return;
    try {
      this.#raw[how]([...partitions]);
    } catch (error) {
      this.logger.warn({ err: error }, `partitions could not be ${how}d`);
    }
  }

  /** @throws unless it is open, or if it does not bring itself to it */
  seek(position: PartitionOffset): Promise<void> {
    return this.#ask((raw, done) => raw.seek(position, REQUEST_MS, (error) => done(error)));
  }

  /** @throws unless it is open, or if the broker refuses */
  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#ask((raw, done) => raw.commitCb([...offsets], done));
  }

  /** Committed positions of its group, as they come. @throws unless it is open, or if no broker answers */
  committed(partitions: readonly TopicPartition[]): Promise<(TopicPartition & { readonly offset?: number })[]> {
    return this.#ask((raw, done) => raw.committed(partitions as never, REQUEST_MS, done as never));
  }

  /** @throws unless it is open, or if no broker answers in 3 s; where one refuses us, that */
  async probe(): Promise<void> {
    try {
      await this.#ask<unknown>((raw, done) => void raw.getMetadata({ timeout: PROBE_MS, allTopics: false }, done));
    } catch (error) {
      throw this.faults.explain('no Kafka broker answers', error as Error);
    }
    this.faults.clear();
  }

  /** @throws unless it is open, or if no broker answers */
  async metadata(topic: string): Promise<readonly TopicMetadata[]> {
    const { topics } = await this.#ask<{ topics: TopicMetadata[] }>(
      (raw, done) => void raw.getMetadata({ topic, timeout: REQUEST_MS }, done),
    );
    return topics;
  }

  /** First and next offset of a partition. @throws unless it is open, or if no broker answers */
  watermarks({ topic, partition }: TopicPartition): Promise<{ lowOffset: number; highOffset: number }> {
    return this.#ask((raw, done) => void raw.queryWatermarkOffsets(topic, partition, REQUEST_MS, done as never));
  }

  /** Up to `max` records that are in its queue, as it gives them: the key is bytes, and headers may be absent. */
  async consume(max: number): Promise<IncomingRecord[]> {
    try {
      return await this.#ask((raw, done) => raw.consume(max, done as never));
    } catch (error) {
      // Said once, and never if records came before it: then the statistics say so.
      if ((error as { code?: number }).code === FATAL) this.#onFatal(error as Error);
      else this.#onError(error as Error);
      throw error;
    }
  }

  async #ask<T = void>(call: (raw: Raw, done: (error: unknown, answer?: T) => void) => void): Promise<T> {
    const raw = this.#open;
    return new Promise((resolve, reject) => {
      call(raw, (error, answer) => (error ? reject(error) : resolve(answer as T)));
    });
  }
}
