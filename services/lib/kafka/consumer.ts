import type { Logger } from '../logging.js';
import { withTimeout } from '../retry.js';
import type { Brokers, KafkaConfig } from './client-config.js';
import { type ClientOptions, ConsumerClient } from './consumer-client.js';
import { ConsumerPauses } from './consumer-pauses.js';
import { ConsumerProgress, type LagListener } from './consumer-progress.js';
import { Denials } from './denials.js';
import { GroupMembership } from './group-membership.js';
import type { IncomingRecord, PartitionOffset, TopicPartition } from './incoming-record.js';
import { OffsetCommits } from './offset-commits.js';
import { positionsAfter } from './offset-tracker.js';
import { PartitionEnds } from './partition-ends.js';
import { principalOf } from './security-settings.js';
import { SkipLog } from './skip-log.js';
import { type Begin, Subscription } from './subscription.js';
import { beginnings, committedOffsets, partitionsOf, watermarks } from './topic-offsets.js';
import { WaitingRecords } from './waiting-records.js';
import { WakeUps } from './wake-ups.js';

export type { IncomingRecord, PartitionOffset } from './incoming-record.js';

export interface ConsumerOptions extends ClientOptions {
  /**
   * Awaited before partitions are given up, at most 10 s: finish and commit what is in hand. Only a member of a
   * group needs it.
   */
  readonly onRevoke?: () => Promise<void>;
  /**
   * Called when a broadcast begins at the ends, the first time and after its client was replaced: what was published
   * before will not come.
   */
  readonly onBegin?: () => void;
  readonly lags?: LagListener;
}

const POLL_WAIT_MS = 1000;
/** How long the end waits for the last commit, and then for the client. */
const LAST_COMMIT_MS = 2500;
const CLOSE_MS = 4000;

/*
 * A consumer is divided by how long state lives, and who changes it.
 * - As long as the consumer: what it reads and how it begins (Subscription), its place in the group (GroupMembership).
 * - As long as a client of librdkafka, which may stall and be replaced: ConsumerClient.
 * - As long as an assignment, which has a number, the generation: where reading has come to (ConsumerProgress), what is
 * to be
 *   committed (OffsetCommits), what is set aside (ConsumerPauses). They are cleared together, below, when it ends.
 */

/**
 * Reads records when it is asked for them, so that back-pressure is simply not asking: librdkafka goes on fetching up
 * to its own bounds and keeps the group membership alive.
 *
 * It uses the raw client, woken by librdkafka's queue-not-empty callback and then reading with a time-out of 0. At 200
 * records/s that takes 1.6 ms from produce to handler, as flow mode does (1.5); `consume(n)` with a blocking time-out
 * takes 2.6, since it waits 1 ms for a second message, and holds a thread of libuv's pool of four. A lost wake-up costs
 * POLL_WAIT_MS.
 */
export class Consumer {
  readonly #arrivals = new WakeUps();
  readonly #client: ConsumerClient;
  readonly #progress: ConsumerProgress;
  readonly #commits: OffsetCommits;
  readonly #pauses: ConsumerPauses;
  readonly #membership: GroupMembership;
  readonly #subscription: Subscription;
  readonly #denials: Denials;

  private constructor(
    private readonly brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    options: ConsumerOptions,
  ) {
    const arrivals = this.#arrivals;
    const principal = () => principalOf(config);
    this.#denials = new Denials(principal, options.groupId, () => this.#subscription.topics, logger);
    const skips = new SkipLog(options.groupId, logger);
    const progress = new ConsumerProgress(options.lags, skips.note);
    const client = new ConsumerClient(brokers, config, logger, options, {
      onArrival: () => arrivals.announce(),
      onRebalance: (native, assigned, partitions) => void membership.rebalance(native, assigned, partitions),
      onStatistics: (statistics) => progress.readStatistics(statistics, client.assignment, membership.hasJoined),
      onFatal: (error) => void this.renew(error.message),
      onError: (error) => this.#denials.note(error),
      onRefusal: ({ message }) => void this.#subscription.renewUnlessAnswered(message),
    });
    const commits = new OffsetCommits(client, logger);
    const pauses = new ConsumerPauses(
      client,
      arrivals,
      logger,
      (max, waitMs) => this.#fetch(max, waitMs),
      (reason) => void this.renew(reason),
    );
    const membership = new GroupMembership(client, arrivals, pauses, commits, logger, {
      groupId: options.groupId,
      finish: options.onRevoke,
      startAssignment: () => {
        this.#denials.clear();
        this.#startAssignment();
      },
      assigned: (partitions) => void ends.expect(partitions),
      endAssignment: () => this.#endAssignment(),
    });
    const ends = new PartitionEnds(client, arrivals, pauses, progress, membership, logger);
    const observer = { clientId: `${options.clientId}-watchdog`, groupId: options.groupId };
    const waiting = new WaitingRecords(client, progress, pauses, membership, () =>
      Consumer.observe(brokers, config, logger, observer),
    );
    const reading = { client, arrivals, pauses, membership, waiting, ends };
    this.#subscription = new Subscription(reading, () => this.#endAssignment(), config.consumerStallMs, logger);
    this.#client = client;
    this.#progress = progress;
    this.#commits = commits;
    this.#pauses = pauses;
    this.#membership = membership;
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
    const consumer = new Consumer(brokers, config, logger, options);
    return consumer.#begin(topics, () => consumer.#membership.join(topics));
  }

  /**
   * Reads all partitions of a topic from their present ends, outside any group. When this returns, whatever is
   * published afterwards will be read.
   */
  static async broadcast(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    topics: readonly string[],
    options: ConsumerOptions,
  ): Promise<Consumer> {
    const consumer = new Consumer(brokers, config, logger, options);
    return consumer.#begin(topics, async () => {
      await consumer.assignNewPartitions(topics);
      options.onBegin?.();
    });
  }

  /** Connects without reading: for asking about offsets of a group and a topic's ends. */
  static async observe(
    brokers: Brokers,
    config: KafkaConfig,
    logger: Logger,
    options: ConsumerOptions,
  ): Promise<Consumer> {
    const consumer = new Consumer(brokers, config, logger, options);
    await consumer.#client.open();
    return consumer;
  }

  async #begin(topics: readonly string[], begin: Begin): Promise<Consumer> {
    await this.#client.open();
    try {
      await this.#subscription.begin(topics, begin);
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Grows with every assignment and revocation: work that was polled in an older generation must not be committed. */
  get generation(): number {
    return this.#client.generation;
  }

  get assignment(): readonly PartitionOffset[] {
    return this.#client.assignment;
  }

  /** Whether the group has given this member its partitions, be they none, at least once. */
  get joined(): boolean {
    return this.#membership.hasJoined;
  }

  /** For how many milliseconds the group has not told this member which partitions are its own; 0 if it has. */
  get unassignedMs(): number {
    return this.#membership.unassignedMs;
  }

  get paused(): boolean {
    return this.#pauses.isPaused;
  }

  /** Partitions that were set aside for a moment. */
  get parked(): number {
    return this.#pauses.parked;
  }

  /** How often the client was replaced because it had stalled. */
  get replaced(): number {
    return this.#client.replaced;
  }

  /** How often it has done what so far. */
  get totals() {
    return {
      commits: this.#commits.sent,
      commitFailures: this.#commits.failed,
      rebalances: this.#membership.rebalances,
      pauses: this.#pauses.count,
      skipped: this.#progress.skipped,
    };
  }

  /** What brokers do not let it do. */
  get refusals(): string[] {
    const { reason } = this.#denials;
    return reason === undefined ? [] : [reason];
  }

  /** Forgets that it was denied its topics, if they all may be read as of `askedAt` (of performance.now()). */
  noteReadable(mayRead: (topic: string) => boolean, askedAt: number): void {
    if (this.#subscription.topics.every(mayRead)) this.#denials.noteReadable(askedAt);
  }

  /** What it has handed out, and how far it is behind. */
  get progress(): Pick<ConsumerProgress, 'consumed' | 'lag' | 'fetchedBytes' | 'requestTimes'> {
    return this.#progress;
  }

  /**
   * Up to `max` records, as soon as there is one; none after `waitMs` without any.
   * @throws on errors that librdkafka does not mend by itself
   */
  async poll(max: number, waitMs = POLL_WAIT_MS): Promise<IncomingRecord[]> {
    const records = this.#pauses.hasStrays ? this.#pauses.takeStrays(max) : await this.#fetch(max, waitMs);
    return this.brokers.inProcess && records.some(opensTopic) ? this.#withoutOpenings(records) : records;
  }

  /**
   * The in-process broker makes a topic by an empty record, which is nobody's. Nothing lies before it, so its position
   * is passed.
   */
  #withoutOpenings(records: readonly IncomingRecord[]): IncomingRecord[] {
    if (this.#membership.hasJoined) this.commit(positionsAfter(records.filter(opensTopic)), this.generation);
    return records.filter((record) => !opensTopic(record));
  }

  async #fetch(max: number, waitMs: number): Promise<IncomingRecord[]> {
    const client = this.#client;
    const arrivals = this.#arrivals;
    if (client.isClosed) {
      // A loop that has not heard of it would turn without end, and nothing else would run.
      await arrivals.wait(waitMs);
      return [];
    }
    arrivals.noteAsked();
    if (!arrivals.expected || this.#membership.isRebalancing || client.isReplacing) await arrivals.wait(waitMs);
    if (!client.isUsable || this.#membership.isRebalancing) return [];
    arrivals.take();
    const { generation } = client;
    const records = await client.native.consume(max);
    // A rebalance came in between: these belong to an assignment that is gone, and will come again.
    if (generation !== client.generation) return [];
    arrivals.noteTaken(records.length < max);
    if (records.length > 0) this.#denials.clear();
    let last: IncomingRecord | undefined;
    let run = 0;
    for (const record of records) {
      // Records of a partition stand together, and follow each other: the last of each run says where it ends.
      if (last !== undefined && !follows(record, last)) {
        this.#progress.noteRead(last, run);
        run = 0;
      }
      last = record;
      run += 1;
      const raw = record as { key: unknown; rawKey: unknown; headers?: unknown };
      raw.rawKey = raw.key ?? null;
      if (Buffer.isBuffer(raw.key)) raw.key = raw.key.toString();
      raw.headers = tidyHeaders(raw.headers as IncomingRecord['headers'] | undefined);
    }
    if (last !== undefined) this.#progress.noteRead(last, run);
    return records;
  }

  /** Ends the wait of a poll in progress. */
  interrupt(): void {
    this.#arrivals.interrupt();
  }

  /**
   * Commits positions (the offset behind the last finished record). They are sent at once, or together with those of
   * the next 100 ms if there was a commit just before. A failure is logged: the records will come again.
   */
  commit(offsets: readonly PartitionOffset[], generation: number): void {
    if (generation !== this.generation || this.#client.isClosed) return;
    this.#commits.add(offsets);
  }

  /**
   * Waits without fetching, while something that the records need is away. The membership of the group stays alive.
   * Ends early when the signal aborts or the assignment changes.
   */
  async idle(ms: number, signal: AbortSignal): Promise<void> {
    await this.#pauses.idle(ms, signal);
  }

  /**
   * Sets one partition aside, from this record on, and comes back to it after `ms`; the others go on. Nothing of it is
   * committed meanwhile. A rebalance takes the partition, record and all, to whoever reads it then.
   */
  park(record: PartitionOffset, ms: number): void {
    this.#pauses.park(record, ms);
  }

  /** @throws if no broker answers in 3 s */
  probe(): Promise<void> {
    return this.#client.native.probe();
  }

  /** Partition numbers of a topic. @throws if it does not exist or no broker answers */
  async partitionsOf(topic: string): Promise<number[]> {
    return partitionsOf(this.#client, topic);
  }

  /** First and next offset of a partition. */
  async watermarks(topic: string, partition: number): Promise<{ low: number; high: number }> {
    return watermarks(this.#client, { topic, partition });
  }

  /** Committed positions of this consumer's group; -1 where there is none. */
  async committed(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    return committedOffsets(this.#client, partitions);
  }

  /**
   * Everything that is in a topic when this begins, by partition and offset, outside any group; for tools.
   * @throws if no broker answers for `timeoutMs`, or the topic does not exist
   */
  async *readAll(topic: string, timeoutMs = 10_000): AsyncGenerator<IncomingRecord> {
    for (const partition of await this.partitionsOf(topic)) {
      const { low, high } = await this.watermarks(topic, partition);
      if (low >= high) continue;
      this.#client.native.assign([{ topic, partition, offset: low }]);
      this.#arrivals.expect();
      for (let next = low, heardAt = performance.now(); next < high;) {
        const records = await this.#fetch(500, 500);
        if (records.length > 0) heardAt = performance.now();
        else if (performance.now() > heardAt + timeoutMs)
          throw new Error(`${topic}-${partition} could not be read to its end: nothing came for ${timeoutMs} ms`);
        for (const record of records) {
          if (record.offset < high) yield record;
          next = record.offset + 1;
        }
      }
      this.#client.native.unassign();
    }
  }

  /** Assigns, at their ends, partitions that are not assigned yet; returns how many there were. */
  async assignNewPartitions(topics: readonly string[]): Promise<number> {
    const assigned = this.assignment;
    const fresh = await beginnings(this.#client, topics, assigned);
    if (fresh.length === 0) return 0;
    for (const position of fresh) this.#progress.noteBeginning(position);
    if (assigned.length === 0) this.#client.native.assign(fresh);
    else this.#client.native.incrementalAssign(fresh);
    this.#arrivals.expect();
    return fresh.length;
  }

  /** Whether it reads one of these topics. */
  reads(topics: readonly string[]): boolean {
    return this.#subscription.reads(topics);
  }

  /** Takes a new client: a member of a group goes on from the committed position, a broadcast at the ends. */
  async renew(reason: string): Promise<void> {
    await this.#subscription.renew(reason);
  }

  /** Other partitions are assigned, or the same ones again: what was known of those before counts no more. */
  #startAssignment(): void {
    this.#client.startGeneration();
    this.#pauses.reset();
    this.#progress.forgetPositions();
  }

  /** The partitions are given up, or gone with their client. */
  #endAssignment(): void {
    this.#startAssignment();
    this.#commits.drop();
    this.#progress.forgetLag();
  }

  /** Leaves the group. What was polled and not committed will come again. */
  async close(): Promise<void> {
    if (this.#client.isClosed) return;
    await withTimeout(this.#commits.flush(), LAST_COMMIT_MS, 'the last commit').catch(() => undefined);
    const ended = this.#subscription.end();
    const closed = this.#client.close(CLOSE_MS);
    this.#arrivals.interrupt();
    await Promise.all([ended, closed]);
  }
}

function opensTopic({ offset, value }: IncomingRecord): boolean {
  return offset === 0 && value === null;
}

function follows(record: IncomingRecord, last: IncomingRecord): boolean {
  return record.offset === last.offset + 1 && record.partition === last.partition && record.topic === last.topic;
}

/**
 * The client assigns each header to an object by its name: the value of one named `__proto__` becomes the prototype.
 */
function tidyHeaders(headers: IncomingRecord['headers'] = []): IncomingRecord['headers'] {
  if (headers.every((header) => Object.keys(header).length > 0)) return headers;
  return headers.map((header) =>
    Object.keys(header).length > 0 ? header : { ['__proto__']: Object.getPrototypeOf(header) as Buffer },
  );
}
