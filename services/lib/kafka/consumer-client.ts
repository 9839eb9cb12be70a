import { RdKafka } from '@confluentinc/kafka-javascript';
import { holdThread } from '../lifecycle.js';
import type { Logger } from '../logging.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import { consumerSettings, type Brokers, type KafkaConfig } from './client-config.js';
import type { IncomingRecord, PartitionOffset } from './incoming-record.js';

export interface ClientOptions {
  readonly clientId: string;
  readonly groupId: string;
  /** How long connecting may take. */
  readonly timeoutMs?: number;
  /** Bytes for which a broker waits (up to 500 ms) before it answers a fetch; absent: as configured. */
  readonly fetchMinBytes?: number;
}

/** What the present client tells; nobody listens to one that was replaced. */
export interface ClientEvents {
  /** Its queue was empty, and is not any more. */
  readonly onArrival: () => void;
  readonly onRebalance: (client: RawClient, assigned: boolean, partitions: PartitionOffset[]) => void;
  /** Every 5 s, as JSON. */
  readonly onStatistics: (json: string) => void;
}

/** librdkafka's consumer with the methods that its type declarations leave out. */
export type RawClient = InstanceType<typeof RdKafka.KafkaConsumer> & {
  commitCb(offsets: PartitionOffset[], done: (error: Error | null) => void): void;
  incrementalAssign(partitions: readonly PartitionOffset[]): void;
  assignmentLost(): boolean;
};

const ASSIGN = RdKafka.CODES.ERRORS.ERR__ASSIGN_PARTITIONS;

/**
 * The client of librdkafka through which a consumer reads at present: it is made, connected, replaced by a new one and
 * closed here. What belongs to the assignment that it has, and must not outlive it, is told by the generation.
 */
export class ConsumerClient {
  #raw: RawClient;
  #lastError: Error | undefined;
  #generation = 0;
  #replaced = 0;
  #isReplacing = false;
  #isClosed = false;

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly options: ClientOptions,
    private readonly events: ClientEvents,
  ) {
    this.#raw = this.#create();
  }

  #create(): RawClient {
    const { brokers, config, logger, options, events } = this;
    // One that was replaced may still call back.
    const isCurrent = () => this.isCurrent(client);
    const settings = {
      ...consumerSettings(brokers, config, options.clientId, options.groupId),
      ...(options.fetchMinBytes === undefined ? {} : { 'fetch.min.bytes': options.fetchMinBytes }),
      queue_non_empty_cb: () => {
        if (isCurrent()) events.onArrival();
      },
      rebalance_cb: (error: { code: number } | undefined, partitions: PartitionOffset[]) => {
        if (isCurrent()) events.onRebalance(client, error?.code === ASSIGN, partitions);
        // One that was replaced takes nothing more, and gives up what it has: it cannot leave its group otherwise.
        else client.unassign();
      },
    };
    // A consumer that has lost its place reads everything again rather than skip: delivering twice has no effect.
    const client = new RdKafka.KafkaConsumer(settings, { 'auto.offset.reset': 'earliest' }) as RawClient;
    client.setDefaultConsumeTimeout(0);
    client.on('event.stats', (stats: { message: string }) => {
      if (isCurrent()) events.onStatistics(stats.message);
    });
    client.on('event.error', (error) => {
      this.#lastError = error as unknown as Error;
      logger.debug({ err: error }, 'the Kafka consumer reports an error and goes on');
    });
    client.on('rebalance.error', (error) => logger.warn({ err: error }, 'a rebalance failed'));
    return client;
  }

  /** For what is asked of librdkafka itself; throws at every question unless the client is usable. */
  get raw(): RawClient {
    return this.#raw;
  }

  isCurrent(client: RawClient): boolean {
    return client === this.#raw;
  }

  get bootstrapServers(): string {
    return this.brokers.bootstrapServers;
  }

  /** Grows with every assignment, revocation and replacement. */
  get generation(): number {
    return this.#generation;
  }

  startGeneration(): void {
    this.#generation += 1;
  }

  /** How often it was replaced. */
  get replaced(): number {
    return this.#replaced;
  }

  get isReplacing(): boolean {
    return this.#isReplacing;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Neither closed nor not connected yet. */
  get isUsable(): boolean {
    return !this.#isClosed && !this.#isReplacing;
  }

  /** None while it is not usable. */
  get assignment(): readonly PartitionOffset[] {
    return this.isUsable ? (this.#raw.assignments() as PartitionOffset[]) : [];
  }

  /** @throws when no broker answers; nothing is left open then */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#raw.connect({ timeout: this.options.timeoutMs ?? 3000 }, (error) => {
        if (error === null || error === undefined) return resolve();
        this.#raw.disconnect();
        const { message } = this.#lastError ?? error;
        reject(new Error(`no Kafka broker answered at ${this.bootstrapServers}: ${message}`));
      });
    });
  }

  /** Up to `max` records that are in librdkafka's queue, as it gives them: the key is bytes, and headers may be absent. */
  consume(max: number): Promise<IncomingRecord[]> {
    return new Promise((resolve, reject) => {
      this.#raw.consume(max, (error, messages) => {
        if (error) reject(error);
        else resolve(messages as unknown as IncomingRecord[]);
      });
    });
  }

  /** Puts a new client in the place of this one; tries until it is connected and has begun, or everything is closed. */
  async replace(begin: () => Promise<void> | void): Promise<void> {
    this.#isReplacing = true;
    await this.#putAnother(begin).finally(() => (this.#isReplacing = false));
  }

  async #putAnother(begin: () => Promise<void> | void): Promise<void> {
    const stalled = this.#raw;
    this.#replaced += 1;
    this.#raw = this.#create();
    // It may never answer. Its group membership ends with its session.
    stalled.disconnect(holdThread());
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      let opened = false;
      try {
        await this.open();
        opened = true;
        await begin();
        break;
      } catch (error) {
        this.logger.warn({ err: error }, 'the Kafka consumer could not be replaced yet');
        if (opened) this.#raw.disconnect(holdThread());
        await wait(200 + backoffMs(attempt, 200, 5000));
        if (!this.#isClosed) this.#raw = this.#create();
      }
    }
  }

  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    const released = holdThread();
    const disconnected = new Promise<void>((resolve) => this.#raw.disconnect(() => resolve())).then(released);
    await withTimeout(disconnected, timeoutMs, 'closing the Kafka consumer').catch((error: Error) =>
      this.logger.warn({ err: error }, 'the Kafka consumer did not close in time'),
    );
  }
}
