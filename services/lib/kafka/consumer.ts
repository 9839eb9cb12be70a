import { RdKafka } from '@confluentinc/kafka-javascript';
import { holdThread } from '../lifecycle.js';
import type { Logger } from '../logging.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import { NO_REQUESTS, requestTimes, type ClientStatistics, type PartitionStatistics } from './client-statistics.js';
import { consumerSettings, type Brokers, type KafkaConfig } from './client-config.js';
import { watchForStalls, type Waiting } from './stall-watch.js';

export interface IncomingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** As UTF-8. */
  readonly key: string | null;
  /** The key's bytes. */
  readonly rawKey: Buffer | null;
  /** Null in a tombstone. */
  readonly value: Buffer | null;
  readonly headers: readonly Readonly<Record<string, Buffer | string>>[];
}

export interface PartitionOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface ConsumerOptions {
  readonly clientId: string;
  readonly groupId: string;
  readonly timeoutMs?: number;
  /**
   * Awaited before partitions are given up, at most 10 s: finish and commit what is in hand. Only a member of a
   * group needs it.
   */
  readonly onRevoke?: () => Promise<void>;
  /**
   * Called when a broadcast begins at the ends, the first time and after its client was replaced: what was published before
   * will not come.
   */
  readonly onBegin?: () => void;
  /** Bytes for which a broker waits (up to 500 ms) before it answers a fetch; absent: as configured. */
  readonly fetchMinBytes?: number;
  /** Told every 5 s of each partition's lag, with the record of it that was handed out last, and when partitions are given up. */
  readonly lags?: {
    note(topic: string, partition: number, lag: number, last: IncomingRecord | undefined): void;
    forget(): void;
  };
}

/** The raw client with the methods that its type declarations leave out. */
type Client = InstanceType<typeof RdKafka.KafkaConsumer> & {
  commitCb(offsets: PartitionOffset[], done: (error: Error | null) => void): void;
  incrementalAssign(partitions: readonly PartitionOffset[]): void;
  assignmentLost(): boolean;
};

const ASSIGN = RdKafka.CODES.ERRORS.ERR__ASSIGN_PARTITIONS;
const POLL_WAIT_MS = 1000;
const REVOKE_WAIT_MS = 10_000;
const METADATA_TIMEOUT_MS = 5000;
/**
 * A consumer commits at most this often. Each commit is an append to a topic of Kafka's own: at 200 alerts/s, one a batch and
 * group made 600 appends/s, more than the alerts themselves. What was handled and not committed is handled again after a
 * crash, without effect.
 */
const COMMIT_INTERVAL_MS = 100;

/**
 * Reads records when it is asked for them, so that back-pressure is simply not asking: librdkafka goes on fetching up to
 * its own bounds and keeps the group membership alive.
 *
 * It uses the raw client, woken by librdkafka's queue-not-empty callback and then reading with a time-out of 0. At 200
 * records/s that takes 1.6 ms from produce to handler, as flow mode does (1.5); `consume(n)` with a blocking time-out
 * takes 2.6, since it waits 1 ms for a second message, and holds a thread of libuv's pool of four. A lost wake-up costs
 * POLL_WAIT_MS.
 */
export class Consumer {
  #client: Client;
  #lastError: Error | undefined;
  readonly #logger: Logger;
  #wake: (() => void) | undefined;
  #mayHaveMore = true;
  #generation = 0;
  #rebalancing = false;
  #paused = false;
  #strays: IncomingRecord[] = [];
  #joined = false;
  /** Partitions that were set aside, which no resume may wake before their time. */
  readonly #parked = new Set<string>();
  #closed = false;
  #lastCommit: Promise<void> = Promise.resolve();
  /** Positions that wait for the next commit, by partition. */
  readonly #uncommitted = new Map<string, PartitionOffset>();
  #commitTimer: NodeJS.Timeout | undefined;
  #committedAt = 0;
  /** The offset behind the last record that was handed out, by partition. */
  readonly #positions = new Map<string, number>();
  /** That record, where somebody wants to know it. */
  readonly #last = new Map<string, IncomingRecord>();
  readonly #consumed = new Map<string, { topic: string; partition: number; records: number }>();
  #commits = 0;
  #commitFailures = 0;
  #rebalances = 0;
  #pauses = 0;
  #requestTimes = NO_REQUESTS;
  /** Has a new client read what this one read. */
  #begin: (() => Promise<void> | void) | undefined;
  #replacing = false;
  #topics: readonly string[] = [];
  /** Positions at the last look for stalls. */
  #lookedAt: ReadonlyMap<string, number> = new Map();
  /** When everything that was fetched had been handed out. */
  #drainedAt = 0;
  /** Since when it is meant to bring records. */
  #activeSince = Date.now();
  #askedAt = 0;
  #watchdog: NodeJS.Timeout | undefined;
  #replaced = 0;
  /** Since when this member of a group has had no word of which partitions are its own. */
  #unassignedSince: number | undefined;
  #fetchedBytes = 0;
  #lag = new Map<string, { topic: string; partition: number; lag: number }>();

  private constructor(
    readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    logger: Logger,
    private readonly options: ConsumerOptions,
  ) {
    this.#logger = logger;
    this.#client = this.#create();
  }

  #create(): Client {
    const { brokers, config, options } = this;
    // A client that was replaced may still call back; nobody listens to it then.
    const current = () => client === this.#client;
    const settings = {
      ...consumerSettings(brokers, config, options.clientId, options.groupId),
      ...(options.fetchMinBytes === undefined ? {} : { 'fetch.min.bytes': options.fetchMinBytes }),
      queue_non_empty_cb: () => {
        if (!current()) return;
        this.#mayHaveMore = true;
        this.#wake?.();
      },
      rebalance_cb: (error: { code: number } | undefined, assignment: PartitionOffset[]) => {
        if (current()) void this.#rebalance(client, error?.code === ASSIGN, assignment);
        // One that was replaced takes nothing more, and gives up what it has: it cannot leave its group otherwise.
        else client.unassign();
      },
    };
    // A consumer that has lost its place reads everything again rather than skip: delivering twice has no effect.
    const client = new RdKafka.KafkaConsumer(settings, { 'auto.offset.reset': 'earliest' }) as Client;
    client.setDefaultConsumeTimeout(0);
    client.on('event.stats', (stats: { message: string }) => {
      if (current()) this.#readStatistics(stats.message);
    });
    client.on('event.error', (error) => {
      this.#lastError = error as unknown as Error;
      this.#logger.debug({ err: error }, 'the Kafka consumer reports an error and goes on');
    });
    client.on('rebalance.error', (error) => this.#logger.warn({ err: error }, 'a rebalance failed'));
    return client;
  }

  /**
   * Joins the group and subscribes.
   * @throws when no broker answers, or a topic does not exist; nothing is left open then
   */
  static async subscribe(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    topics: readonly string[],
    options: ConsumerOptions,
  ): Promise<Consumer> {
    const consumer = await Consumer.#connect(brokers, config, logger, topics, options);
    const begin = () => {
      consumer.#unassignedSince = Date.now();
      consumer.#client.subscribe([...topics]);
    };
    begin();
    consumer.#guard(topics, begin);
    return consumer;
  }

  /**
   * Reads all partitions of a topic from their present ends, outside any group. When this returns, whatever is published
   * afterwards will be read.
   */
  static async broadcast(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    topics: readonly string[],
    options: ConsumerOptions,
  ): Promise<Consumer> {
    const consumer = await Consumer.#connect(brokers, config, logger, topics, options);
    try {
      const begin = async () => {
        await consumer.assignNewPartitions(topics);
        options.onBegin?.();
      };
      await begin();
      consumer.#guard(topics, begin);
      return consumer;
    } catch (error) {
      await consumer.close();
      throw error;
    }
  }

  /** Connects without reading: for asking about offsets of a group and a topic's ends. */
  static async observe(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    options: ConsumerOptions,
  ): Promise<Consumer> {
    return Consumer.#connect(brokers, config, logger, [], options);
  }

  static async #connect(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    topics: readonly string[],
    options: ConsumerOptions,
  ): Promise<Consumer> {
    const consumer = new Consumer(brokers, config, logger, options);
    await consumer.#open();
    try {
      for (const topic of topics) await consumer.partitionsOf(topic);
      return consumer;
    } catch (error) {
      await consumer.close();
      throw error;
    }
  }

  async #open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#client.connect({ timeout: this.options.timeoutMs ?? 3000 }, (error) => {
        if (error === null || error === undefined) return resolve();
        this.#client.disconnect();
        const { message } = this.#lastError ?? error;
        reject(new Error(`no Kafka broker answered at ${this.brokers.bootstrapServers}: ${message}`));
      });
    });
  }

  /** Grows with every assignment and revocation: work that was polled in an older generation must not be committed. */
  get generation(): number {
    return this.#generation;
  }

  /** Records between the committed position and the end, by partition, at most 5 s old. */
  get lag(): readonly { topic: string; partition: number; lag: number }[] {
    return [...this.#lag.values()];
  }

  /** Records that were handed out so far, by partition. */
  get consumed(): readonly { topic: string; partition: number; records: number }[] {
    return [...this.#consumed.values()];
  }

  /** How often it has done what so far. */
  get totals() {
    return {
      commits: this.#commits,
      commitFailures: this.#commitFailures,
      rebalances: this.#rebalances,
      pauses: this.#pauses,
    };
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** At most 5 s old. A fetch that finds nothing takes up to 500 ms. */
  get requestTimes() {
    return this.#requestTimes;
  }

  /** Bytes that were fetched and not handed out, at most 5 s old. */
  get fetchedBytes(): number {
    return this.#fetchedBytes;
  }

  /** Partitions that were set aside for a moment. */
  get parked(): number {
    return this.#parked.size;
  }

  /** Whether the group has given this member its partitions, be they none, at least once. */
  get joined(): boolean {
    return this.#joined;
  }

  /** For how many milliseconds the group has not told this member which partitions are its own; 0 if it has. */
  get unassignedMs(): number {
    return this.#unassignedSince === undefined ? 0 : Date.now() - this.#unassignedSince;
  }

  /** A client that is closed, or not connected yet, throws at every question. */
  get #isUsable(): boolean {
    return !this.#closed && !this.#replacing;
  }

  get assignment(): readonly PartitionOffset[] {
    return this.#isUsable ? (this.#client.assignments() as PartitionOffset[]) : [];
  }

  /**
   * Up to `max` records, as soon as there is one; none after `waitMs` without any.
   * @throws on errors that librdkafka does not mend by itself
   */
  async poll(max: number, waitMs = POLL_WAIT_MS): Promise<IncomingRecord[]> {
    if (this.#strays.length > 0) return this.#strays.splice(0, max);
    return this.#fetch(max, waitMs);
  }

  async #fetch(max: number, waitMs: number): Promise<IncomingRecord[]> {
    if (this.#closed) {
      // A loop that has not heard of it would turn without end, and nothing else would run.
      await this.#sleep(waitMs);
      return [];
    }
    this.#askedAt = Date.now();
    if (!this.#mayHaveMore || this.#rebalancing || this.#replacing) await this.#sleep(waitMs);
    if (!this.#isUsable || this.#rebalancing) return [];
    this.#mayHaveMore = false;
    const generation = this.#generation;
    const records = await new Promise<IncomingRecord[]>((resolve, reject) => {
      this.#client.consume(max, (error, messages) => {
        if (error) reject(error);
        else resolve(messages as unknown as IncomingRecord[]);
      });
    });
    // A rebalance came in between: these belong to an assignment that is gone, and will come again.
    if (generation !== this.#generation) return [];
    if (records.length === max) this.#mayHaveMore = true;
    else this.#drainedAt = Date.now();
    let last: IncomingRecord | undefined;
    let run = 0;
    for (const record of records) {
      // Records of a partition stand together: the last of each run says where it ends.
      if (last !== undefined && (last.partition !== record.partition || last.topic !== record.topic)) {
        this.#noteRead(last, run);
        run = 0;
      }
      last = record;
      run += 1;
      const raw = record as { key: unknown; rawKey: unknown; headers?: unknown };
      raw.rawKey = raw.key ?? null;
      if (Buffer.isBuffer(raw.key)) raw.key = raw.key.toString();
      raw.headers = tidyHeaders(raw.headers as IncomingRecord['headers'] | undefined);
    }
    if (last !== undefined) this.#noteRead(last, run);
    return records;
  }

  #noteRead(record: IncomingRecord, run: number): void {
    const name = nameOf(record);
    this.#positions.set(name, record.offset + 1);
    if (this.options.lags !== undefined) this.#last.set(name, record);
    const { topic, partition } = record;
    this.#consumed.set(name, { topic, partition, records: (this.#consumed.get(name)?.records ?? 0) + run });
  }

  #sleep(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }

  /** Ends the wait of a poll in progress. */
  interrupt(): void {
    this.#wake?.();
  }

  /**
   * Commits positions (the offset behind the last finished record). They are sent at once, or together with those of the
   * next COMMIT_INTERVAL_MS if there was a commit just before. A failure is logged: the records will come again.
   */
  commit(offsets: readonly PartitionOffset[], generation: number): void {
    if (generation !== this.#generation || this.#closed) return;
    for (const position of offsets) this.#uncommitted.set(`${position.topic}-${position.partition}`, position);
    if (this.#commitTimer !== undefined || this.#uncommitted.size === 0) return;
    const waitMs = this.#committedAt + COMMIT_INTERVAL_MS - Date.now();
    if (waitMs <= 0) void this.#flushCommits();
    else this.#commitTimer = setTimeout(() => void this.#flushCommits(), waitMs);
  }

  /** Sends what is to be committed; resolves when it and earlier commits are answered. */
  async #flushCommits(): Promise<void> {
    clearTimeout(this.#commitTimer);
    this.#commitTimer = undefined;
    const offsets = [...this.#uncommitted.values()];
    this.#uncommitted.clear();
    if (offsets.length > 0) {
      this.#committedAt = Date.now();
      this.#commits += 1;
      this.#lastCommit = new Promise((resolve) => {
        this.#client.commitCb(offsets, (error) => {
          if (error) this.#commitFailures += 1;
          if (error) this.#logger.warn({ err: error }, 'offsets could not be committed; the records will come again');
          resolve();
        });
      });
    }
    await this.#lastCommit;
  }

  /**
   * Waits without fetching, while something that the records need is away. The membership of the group stays alive. Ends
   * early when the signal aborts or the assignment changes.
   */
  async idle(ms: number, signal: AbortSignal): Promise<void> {
    const { generation } = this;
    const until = Date.now() + ms;
    this.#paused = true;
    this.#pauses += 1;
    if (this.#isUsable) this.#client.pause([...this.assignment]);
    while (Date.now() < until && !signal.aborted && this.#generation === generation && !this.#closed) {
      await wait(Math.min(250, Math.max(1, until - Date.now())), signal);
      // Polling is what tells the group that we live. Records that slip through the pause are kept for the next poll.
      this.#mayHaveMore = true;
      const strays = await this.#fetch(1, 0).catch(() => []);
      this.#strays.push(...strays);
    }
    if (this.#generation !== generation) this.#strays = [];
    this.#paused = false;
    this.#activeSince = Date.now();
    if (this.#isUsable) {
      this.#client.resume(this.assignment.filter((each) => !this.#parked.has(nameOf(each))));
    }
    this.#mayHaveMore = true;
  }

  /**
   * Sets one partition aside, from this record on, and comes back to it after `ms`; the others go on. Nothing of it is
   * committed meanwhile. A rebalance takes the partition, record and all, to whoever reads it then.
   */
  park({ topic, partition, offset }: PartitionOffset, ms: number): void {
    const generation = this.#generation;
    const partitions = [{ topic, partition }];
    this.#client.pause(partitions);
    this.#parked.add(nameOf({ topic, partition }));
    this.#strays = this.#strays.filter((record) => record.topic !== topic || record.partition !== partition);
    setTimeout(() => {
      if (this.#closed || this.#generation !== generation) return;
      this.#client.seek({ topic, partition, offset }, METADATA_TIMEOUT_MS, (error) => {
        if (error) this.#logger.warn({ err: error, topic, partition }, 'a partition could not be taken up again');
        if (this.#closed || this.#generation !== generation) return;
        this.#parked.delete(nameOf({ topic, partition }));
        // While everything waits, idle() wakes it with the others.
        if (!this.#paused) this.#client.resume(partitions);
        this.#mayHaveMore = true;
      });
    }, ms).unref();
  }

  /** Partition numbers of a topic. @throws if it does not exist or no broker answers */
  async partitionsOf(topic: string): Promise<number[]> {
    const metadata = await new Promise<{ topics: { name: string; partitions: { id: number }[] }[] }>(
      (resolve, reject) => {
        this.#client.getMetadata({ topic, timeout: METADATA_TIMEOUT_MS }, (error, data) =>
          error ? reject(error) : resolve(data),
        );
      },
    );
    const partitions = metadata.topics.find(({ name }) => name === topic)?.partitions ?? [];
    if (partitions.length === 0) {
      throw new Error(
        `the topic ${topic} does not exist at ${this.brokers.bootstrapServers}; deploy/kafka/create-topics.sh makes it`,
      );
    }
    return partitions.map(({ id }) => id).sort((a, b) => a - b);
  }

  /** First and next offset of a partition. */
  async watermarks(topic: string, partition: number): Promise<{ low: number; high: number }> {
    return new Promise((resolve, reject) => {
      this.#client.queryWatermarkOffsets(topic, partition, METADATA_TIMEOUT_MS, (error, offsets) =>
        error ? reject(error) : resolve({ low: offsets.lowOffset, high: offsets.highOffset }),
      );
    });
  }

  /** Committed positions of this consumer's group; -1 where there is none. */
  async committed(partitions: readonly { topic: string; partition: number }[]): Promise<PartitionOffset[]> {
    return new Promise((resolve, reject) => {
      this.#client.committed(partitions as never, METADATA_TIMEOUT_MS, (error, offsets) =>
        error
          ? reject(error)
          : resolve(
              (offsets as { topic: string; partition: number; offset?: number }[]).map((entry) => ({
                topic: entry.topic,
                partition: entry.partition,
                offset: entry.offset !== undefined && entry.offset >= 0 ? entry.offset : -1,
              })),
            ),
      );
    });
  }

  /**
   * Everything that is in a topic when this begins, by partition and offset, outside any group; for tools.
   * @throws if no broker answers for `timeoutMs`, or the topic does not exist
   */
  async *readAll(topic: string, timeoutMs = 10_000): AsyncGenerator<IncomingRecord> {
    for (const partition of await this.partitionsOf(topic)) {
      const { low, high } = await this.watermarks(topic, partition);
      if (low >= high) continue;
      this.#client.assign([{ topic, partition, offset: low }]);
      this.#mayHaveMore = true;
      for (let next = low, heardAt = Date.now(); next < high;) {
        const records = await this.#fetch(500, 500);
        if (records.length > 0) heardAt = Date.now();
        else if (Date.now() > heardAt + timeoutMs)
          throw new Error(`${topic}-${partition} could not be read to its end: nothing came for ${timeoutMs} ms`);
        for (const record of records) {
          if (record.offset < high) yield record;
          next = record.offset + 1;
        }
      }
      this.#client.unassign();
    }
  }

  /** Assigns, at their ends, partitions that are not assigned yet; returns how many there were. */
  async assignNewPartitions(topics: readonly string[]): Promise<number> {
    const assigned = new Set(this.assignment.map(nameOf));
    const all = await Promise.all(
      topics.map(async (topic) => (await this.partitionsOf(topic)).map((partition) => ({ topic, partition }))),
    );
    const fresh = all.flat().filter((each) => !assigned.has(nameOf(each)));
    if (fresh.length === 0) return 0;
    const positions = await Promise.all(
      fresh.map(async ({ topic, partition }) => {
        // A partition that appears while we run is read whole: records may be in it already.
        const { low, high } = await this.watermarks(topic, partition);
        return { topic, partition, offset: assigned.size === 0 ? high : low };
      }),
    );
    for (const position of positions) this.#positions.set(nameOf(position), position.offset);
    if (assigned.size === 0) this.#client.assign(positions);
    else this.#client.incrementalAssign(positions);
    this.#mayHaveMore = true;
    return fresh.length;
  }

  /** How often the client was replaced because it had stalled. */
  get replaced(): number {
    return this.#replaced;
  }

  #guard(topics: readonly string[], begin: () => Promise<void> | void): void {
    this.#topics = topics;
    this.#begin = begin;
    this.#watchdog = watchForStalls(
      {
        activeSince: () => this.#activeSince,
        drainedAt: () => this.#drainedAt,
        askedAt: () => this.#askedAt,
        unassignedMs: () => this.unassignedMs,
        isResting: () => this.#closed || this.#paused || this.#rebalancing || this.#replacing,
        waiting: () => this.#waitingRecords(),
        replace: (reason) => this.renew(reason),
      },
      this.config.consumerStallMs,
      this.#logger,
    );
  }

  /**
   * Partitions that have records which were not handed out, with our position. Asked through another
   * connection, since this one's view of the cluster is in doubt.
   */
  async #waitingRecords(): Promise<Waiting> {
    // Who has moved since the last look does not stand still; a busy consumer costs nothing.
    const before = this.#lookedAt;
    this.#lookedAt = new Map(this.#positions);
    const still = this.assignment.filter((each) => {
      const name = nameOf(each);
      return !this.#parked.has(name) && this.#positions.get(name) === before.get(name);
    });
    if (still.length === 0) return { partitions: [], beyondTheEnd: false };
    const { clientId, groupId } = this.options;
    const options = { clientId: `${clientId}-watchdog`, groupId };
    const observer = await Consumer.observe(this.brokers, this.config, this.#logger, options);
    try {
      const committed = this.#joined ? await observer.committed(still) : [];
      let beyondTheEnd = false;
      const partitions: string[] = [];
      // One after the other: each may hold a thread of libuv's pool for seconds, and reading needs them too.
      for (const [index, { topic, partition }] of still.entries()) {
        // Read before the end is asked for, which may move meanwhile.
        const position = this.#positions.get(nameOf({ topic, partition })) ?? committed[index]?.offset ?? -1;
        const { low, high } = await observer.watermarks(topic, partition);
        if (position > high) beyondTheEnd = true;
        // Never read and not in a group: we began at some end.
        const waits = position > high || (position < 0 ? this.#joined && high > low : high > Math.max(position, low));
        if (waits) partitions.push(`${topic}-${partition}@${position}`);
      }
      return { partitions, beyondTheEnd };
    } finally {
      await observer.close();
    }
  }

  /** Whether it reads one of these topics. */
  reads(topics: readonly string[]): boolean {
    return topics.some((topic) => this.#topics.includes(topic));
  }

  /** Takes a new client: a member of a group goes on from the committed position, a broadcast at the ends. */
  async renew(reason: string): Promise<void> {
    if (this.#closed || this.#replacing || this.#begin === undefined) return;
    this.#logger.error({ reason }, 'the Kafka consumer is replaced');
    this.#replacing = true;
    await this.#replace(this.#begin).finally(() => (this.#replacing = false));
  }

  async #replace(begin: () => Promise<void> | void): Promise<void> {
    const stalled = this.#client;
    this.#replaced += 1;
    this.#generation += 1;
    this.#strays = [];
    this.#parked.clear();
    this.#uncommitted.clear();
    this.#positions.clear();
    this.#forgetLags();
    this.#activeSince = Date.now();
    // A rebalance of the old client ends unheard.
    this.#rebalancing = false;
    this.#client = this.#create();
    // It may never answer. Its group membership ends with its session.
    stalled.disconnect(holdThread());
    for (let attempt = 0; !this.#closed; attempt += 1) {
      let opened = false;
      try {
        await this.#open();
        opened = true;
        await begin();
        break;
      } catch (error) {
        this.#logger.warn({ err: error }, 'the Kafka consumer could not be replaced yet');
        if (opened) this.#client.disconnect(holdThread());
        await wait(200 + backoffMs(attempt, 200, 5000));
        if (!this.#closed) this.#client = this.#create();
      }
    }
    this.#mayHaveMore = true;
    this.#wake?.();
  }

  /** @param client whose rebalance it is; it may be replaced while we wait, and gives up what it has then */
  async #rebalance(client: Client, assigned: boolean, partitions: PartitionOffset[]): Promise<void> {
    try {
      if (assigned) {
        this.#generation += 1;
        this.#strays = [];
        this.#parked.clear();
        this.#positions.clear();
        this.#activeSince = Date.now();
        this.#joined = true;
        this.#unassignedSince = undefined;
        this.#rebalances += 1;
        this.#rebalancing = false;
        if (!this.#closed) this.#client.assign(partitions);
        // A pause outlives a rebalance in librdkafka: what comes back must be woken.
        if (this.#paused) this.#client.pause(partitions);
        else this.#client.resume(partitions);
        this.#logger.info({ group: this.options.groupId, partitions: names(partitions) }, 'partitions assigned');
        return;
      }
      this.#rebalancing = true;
      this.#unassignedSince = Date.now();
      const lost = this.#client.assignmentLost();
      if (!lost && this.options.onRevoke !== undefined) {
        await withTimeout(this.options.onRevoke(), REVOKE_WAIT_MS, 'finishing before a rebalance').catch(
          (error: Error) =>
            this.#logger.warn({ err: error }, 'partitions are given up with work in hand; it will come again'),
        );
        await withTimeout(this.#flushCommits(), REVOKE_WAIT_MS, 'committing before a rebalance').catch(() => undefined);
      }
      if (client !== this.#client) return void client.unassign();
      this.#generation += 1;
      this.#strays = [];
      this.#parked.clear();
      this.#positions.clear();
      this.#uncommitted.clear();
      this.#forgetLags();
      this.#client.unassign();
      this.#logger.info({ group: this.options.groupId, partitions: names(partitions), lost }, 'partitions revoked');
    } catch (error) {
      if (!this.#closed) this.#logger.warn({ err: error }, 'a rebalance failed');
    } finally {
      if (client === this.#client) {
        this.#rebalancing = false;
        this.#mayHaveMore = true;
        this.#wake?.();
      }
    }
  }

  #readStatistics(json: string): void {
    const statistics = JSON.parse(json) as ClientStatistics;
    this.#requestTimes = requestTimes(statistics) ?? this.#requestTimes;
    const assigned = new Set(this.assignment.map(({ topic, partition }) => `${topic}-${partition}`));
    this.#fetchedBytes = 0;
    for (const [topic, { partitions }] of Object.entries(statistics.topics ?? {})) {
      for (const statistics of Object.values(partitions ?? {})) {
        this.#fetchedBytes += statistics.fetchq_size;
        const name = `${topic}-${statistics.partition}`;
        if (assigned.has(name)) this.#noteLag(name, topic, statistics);
      }
    }
  }

  #noteLag(name: string, topic: string, { partition, consumer_lag, ...offsets }: PartitionStatistics): void {
    // librdkafka counts from the committed position. Without one it is what was not handed out yet: of all there is for a
    // member of a group, of what came since its start for a gateway.
    const from =
      offsets.app_offset >= 0 ? offsets.app_offset : this.#joined ? Math.max(offsets.lo_offset, 0) : offsets.hi_offset;
    const lag = consumer_lag >= 0 ? consumer_lag : offsets.hi_offset - from;
    if (lag < 0) return;
    this.#lag.set(name, { topic, partition, lag });
    this.options.lags?.note(topic, partition, lag, this.#last.get(name));
  }

  #forgetLags(): void {
    this.#lag.clear();
    this.#last.clear();
    this.options.lags?.forget();
  }

  /** Leaves the group. What was polled and not committed will come again. */
  async close(timeoutMs = 2500): Promise<void> {
    if (this.#closed) return;
    await withTimeout(this.#flushCommits(), timeoutMs, 'the last commit').catch(() => undefined);
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.#wake?.();
    const released = holdThread();
    const disconnected = new Promise<void>((resolve) => this.#client.disconnect(() => resolve())).then(released);
    await withTimeout(disconnected, timeoutMs, 'closing the Kafka consumer').catch((error: Error) =>
      this.#logger.warn({ err: error }, 'the Kafka consumer did not close in time'),
    );
  }
}

function nameOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}-${partition}`;
}

function names(partitions: readonly PartitionOffset[]): string {
  return partitions.map(({ topic, partition }) => `${topic}-${partition}`).join(' ');
}

/** The client assigns each header to an object by its name: the value of one named `__proto__` becomes the prototype. */
function tidyHeaders(headers: IncomingRecord['headers'] = []): IncomingRecord['headers'] {
  if (headers.every((header) => Object.keys(header).length > 0)) return headers;
  return headers.map((header) =>
    Object.keys(header).length > 0 ? header : { ['__proto__']: Object.getPrototypeOf(header) as Buffer },
  );
}
