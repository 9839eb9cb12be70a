import { type ClientStatistics, NO_REQUESTS, type PartitionStatistics, requestTimes } from './client-statistics.js';
import { type IncomingRecord, partitionName, type PartitionOffset, type TopicPartition } from './incoming-record.js';

/** Told of each partition's lag. */
export interface LagListener {
  /** Every 5 s. @param last the record of the partition that was handed out last */
  note(topic: string, partition: number, lag: number, last: IncomingRecord | undefined): void;
  /** Partitions were given up. */
  forget(): void;
}

/**
 * Where a partition begins and ends, as a broker says, and up to where the group has committed; -1 where it has not.
 */
interface Ends {
  readonly low: number;
  readonly high: number;
  readonly committed: number;
}

/** Told of records that will never be read. */
export type OnSkipped = (partition: TopicPartition, from: number, to: number) => void;

/** How far a consumer has come: by what it handed out, and by what librdkafka's statistics say every 5 s. */
export class ConsumerProgress {
  /** The offset behind the last record that was handed out, by partition. */
  readonly #positions = new Map<string, number>();
  /** That record, where somebody wants to know it. */
  readonly #last = new Map<string, IncomingRecord>();
  readonly #consumed = new Map<string, TopicPartition & { records: number }>();
  readonly #lag = new Map<string, TopicPartition & { readonly lag: number }>();
  /** Of partitions that are not being read on. */
  readonly #ends = new Map<string, Ends>();
  /** The first record of each partition since it was assigned. */
  readonly #first = new Map<string, number>();
  #skipped = 0;
  #fetchedBytes = 0;
  #requestTimes = NO_REQUESTS;

  constructor(
    private readonly listener: LagListener | undefined,
    private readonly onSkipped: OnSkipped,
  ) {}

  get positions(): ReadonlyMap<string, number> {
    return this.#positions;
  }

  /** Records that were handed out so far, by partition. */
  get consumed(): readonly (TopicPartition & { readonly records: number })[] {
    return [...this.#consumed.values()];
  }

  /** Records between the committed position and the end, by partition, at most 5 s old. */
  get lag(): readonly (TopicPartition & { readonly lag: number })[] {
    return [...this.#lag.values()];
  }

  /** Records that were removed before they were read. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Bytes that were fetched and not handed out, at most 5 s old. */
  get fetchedBytes(): number {
    return this.#fetchedBytes;
  }

  /** At most 5 s old. A fetch that finds nothing takes up to 500 ms. */
  get requestTimes() {
    return this.#requestTimes;
  }

  /** `run` records of a partition that follow each other were handed out, this one last. */
  noteRead(record: IncomingRecord, run: number): void {
    const name = partitionName(record);
    const first = record.offset - run + 1;
    if (!this.#first.has(name)) this.#first.set(name, first);
    this.#skip(record, this.#positions.get(name) ?? first, first);
    this.#positions.set(name, record.offset + 1);
    if (this.listener !== undefined) this.#last.set(name, record);
    const consumed = this.#consumed.get(name);
    if (consumed === undefined)
      this.#consumed.set(name, { topic: record.topic, partition: record.partition, records: run });
    else consumed.records += run;
  }

  /** A partition is read from this offset on. */
  noteBeginning(position: PartitionOffset): void {
    this.#positions.set(partitionName(position), position.offset);
  }

  /** The group had come to here when the partition was assigned. */
  noteCommitted(position: PartitionOffset): void {
    const name = partitionName(position);
    const first = this.#first.get(name);
    if (first !== undefined) this.#skip(position, position.offset, first);
    else if (!this.#positions.has(name)) this.#positions.set(name, position.offset);
  }

  /** A partition begins here by now: what it had before is not read any more. */
  noteRemoved(partition: TopicPartition, low: number): void {
    const name = partitionName(partition);
    const position = this.#positions.get(name);
    if (position === undefined || position >= low) return;
    this.#skip(partition, position, low);
    this.#positions.set(name, low);
  }

  #skip({ topic, partition }: TopicPartition, from: number, to: number): void {
    if (from >= to) return;
    this.#skipped += to - from;
    this.onSkipped({ topic, partition }, from, to);
  }

  /** The ends of other partitions are forgotten: these alone are asked for. */
  keepEnds(partitions: readonly TopicPartition[]): void {
    const names = new Set(partitions.map(partitionName));
    for (const name of this.#ends.keys()) if (!names.has(name)) this.#ends.delete(name);
  }

  noteEnds({ topic, partition }: TopicPartition, ends: Ends): void {
    const name = partitionName({ topic, partition });
    this.#ends.set(name, ends);
    const from = ends.committed >= 0 ? ends.committed : (this.#positions.get(name) ?? ends.high);
    this.#showLag(name, { topic, partition }, ends.high - Math.max(from, ends.low));
  }

  #showLag(name: string, { topic, partition }: TopicPartition, lag: number): void {
    if (lag < 0) return;
    this.#lag.set(name, { topic, partition, lag });
    this.listener?.note(topic, partition, lag, this.#last.get(name));
  }

  /**
   * Takes what librdkafka tells of itself.
   * @param assigned the partitions that are read
   * @param isMember of a group, which may have committed positions
   */
  readStatistics(statistics: ClientStatistics, assigned: readonly TopicPartition[], isMember: boolean): void {
    this.#requestTimes = requestTimes(statistics) ?? this.#requestTimes;
    const names = new Set(assigned.map(partitionName));
    this.#fetchedBytes = 0;
    for (const [topic, { partitions }] of Object.entries(statistics.topics ?? {})) {
      for (const statistics of Object.values(partitions ?? {})) {
        this.#fetchedBytes += statistics.fetchq_size;
        const name = partitionName({ topic, partition: statistics.partition });
        if (names.has(name)) this.#noteLag(name, topic, statistics, isMember);
      }
    }
  }

  #noteLag(
    name: string,
    topic: string,
    { partition, consumer_lag, ...offsets }: PartitionStatistics,
    isMember: boolean,
  ): void {
    // librdkafka counts from the committed position. Without one it is what was not handed out yet: of all there is for
    // a member of a group, of what came since its start for a gateway.
    const from =
      offsets.app_offset >= 0 ? offsets.app_offset : isMember ? Math.max(offsets.lo_offset, 0) : offsets.hi_offset;
    const { hi_offset } = offsets;
    if (hi_offset < 0) return;
    const { low, high, committed } = this.#ends.get(name) ?? { low: 0, high: 0, committed: 0 };
    const behind = consumer_lag >= 0 ? hi_offset - consumer_lag : from;
    // What it knows of the ends is as old as its last fetch.
    this.#showLag(name, { topic, partition }, Math.max(hi_offset, high) - Math.max(behind, low, committed));
  }

  /** Partitions are assigned anew: where reading had come to is over. */
  forgetPositions(): void {
    this.#positions.clear();
    this.#first.clear();
    this.#ends.clear();
  }

  /** Partitions were given up. */
  forgetLag(): void {
    this.#lag.clear();
    this.#last.clear();
    this.listener?.forget();
  }
}
