import { type IncomingRecord, partitionName, type PartitionOffset } from './incoming-record.js';
import { positionsAfter } from './offset-tracker.js';

/** Records that wait in memory, of all keys; a partition that brings more of these keys has to wait. */
export const SET_ASIDE_MAX = 10_000;
/**
 * Records of a partition behind its first that waits; whoever takes the partition over handles them again, without
 * effect.
 */
export const SPAN_MAX = 100_000;
/** How long a record that fails alone waits until it is tried again. */
export const SUSPECT_WAIT_MS = 1000;
/** Others are tried sooner at first: most locks are gone in milliseconds. */
const FIRST_WAIT_MS = 20;
const WAIT_CAP_MS = 1000;

/** The records of one key, in their order. Times are of performance.now(). */
export interface WaitingKey {
  records: IncomingRecord[];
  /** Since it last went on. */
  tries: number;
  readonly since: number;
  dueAt: number;
  /** When it last waited in line for what others hold. */
  inLineAt: number;
}

/**
 * Records that cannot be handled yet, with what follows of the same keys, while those of other keys go on: order is
 * kept for each key. Nothing from the first of them on is committed in its partition.
 */
export class SetAside {
  readonly #keys = new Map<string, WaitingKey>();
  /** Behind what was taken from each partition: all before it is handled, or waits here. */
  readonly #taken = new Map<string, PartitionOffset>();
  #size = 0;

  constructor(private readonly isSuspect: (record: IncomingRecord) => boolean) {}

  /** Records that wait. */
  get size(): number {
    return this.#size;
  }

  /** For how many milliseconds the oldest has waited. */
  get oldestMs(): number {
    const [oldest] = this.#keys.values();
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  /** In how many milliseconds somebody is to be tried again. */
  get nextInMs(): number {
    let next = Infinity;
    for (const { dueAt } of this.#keys.values()) next = Math.min(next, dueAt);
    return Math.max(0, next - performance.now());
  }

  /**
   * Keeps what follows a key that waits.
   * @returns what is taken, what of it is to be handled now, and from where on partitions have to wait: too much waits
   * here
   */
  admit(records: readonly IncomingRecord[]): {
    taken: readonly IncomingRecord[];
    now: readonly IncomingRecord[];
    refused: readonly IncomingRecord[];
  } {
    if (this.#size === 0) return { taken: records, now: records, refused: [] };
    const first = this.#firstOffsets();
    const refused = new Map<string, IncomingRecord>();
    const taken: IncomingRecord[] = [];
    const now: IncomingRecord[] = [];
    for (const record of records) {
      const partition = partitionName(record);
      if (refused.has(partition)) continue;
      const key = this.#keys.get(keyOf(record));
      const span = record.offset - (first.get(partition) ?? record.offset);
      if (span >= SPAN_MAX || (key !== undefined && this.#size >= SET_ASIDE_MAX)) {
        refused.set(partition, record);
        continue;
      }
      taken.push(record);
      if (key === undefined) now.push(record);
      else {
        key.records.push(record);
        this.#size += 1;
      }
    }
    return { taken, now, refused: [...refused.values()] };
  }

  /** What was taken is done with; some of it has to wait, in its order. */
  add(taken: readonly IncomingRecord[], waiting: readonly IncomingRecord[]): void {
    for (const position of positionsAfter(taken)) this.#taken.set(partitionName(position), position);
    const since = performance.now();
    for (const record of waiting) {
      const key = this.#keys.get(keyOf(record));
      if (key !== undefined) key.records.push(record);
      else {
        const dueAt = since + this.#waitMs(record, 1);
        this.#keys.set(keyOf(record), { records: [record], tries: 1, since, dueAt, inLineAt: 0 });
      }
      this.#size += 1;
    }
  }

  /** Keys whose time has come, in the order in which it came. */
  due(): WaitingKey[] {
    const now = performance.now();
    return [...this.#keys.values()].filter(({ dueAt }) => dueAt <= now).sort((a, b) => a.dueAt - b.dueAt);
  }

  /** Some records of a key were tried; these of them still wait. */
  settle(key: WaitingKey, tried: ReadonlySet<IncomingRecord>, waiting: ReadonlySet<IncomingRecord>): void {
    const [first] = key.records;
    const left = key.records.filter((record) => !tried.has(record) || waiting.has(record));
    this.#size -= key.records.length - left.length;
    key.records = left;
    if (left.length === 0) this.#keys.delete(keyOf(first!));
    const isBlocked = left.length > 0 && waiting.has(left[0]!);
    key.tries = isBlocked ? key.tries + 1 : 0;
    key.dueAt = isBlocked ? performance.now() + this.#waitMs(left[0]!, key.tries) : 0;
  }

  #waitMs(first: IncomingRecord, tries: number): number {
    return this.isSuspect(first)
      ? SUSPECT_WAIT_MS
      : Math.min(WAIT_CAP_MS, FIRST_WAIT_MS * 2 ** Math.min(tries - 1, 10));
  }

  /** Up to where the partitions may be committed. */
  positions(): PartitionOffset[] {
    const first = this.#size === 0 ? undefined : this.#firstOffsets();
    return [...this.#taken].map(([name, position]) => ({
      ...position,
      offset: Math.min(position.offset, first?.get(name) ?? Infinity),
    }));
  }

  #firstOffsets(): Map<string, number> {
    const first = new Map<string, number>();
    for (const { records } of this.#keys.values()) {
      const name = partitionName(records[0]!);
      first.set(name, Math.min(first.get(name) ?? Infinity, records[0]!.offset));
    }
    return first;
  }

  /** The partitions are somebody else's now. */
  clear(): void {
    this.#keys.clear();
    this.#taken.clear();
    this.#size = 0;
  }
}

/** What keeps its order: the records of a key, and one without a key alone. */
export function keyOf({ topic, partition, offset, key }: IncomingRecord): string {
  return key === null ? `${topic}-${partition}@${offset}` : `${topic}-${partition} ${key}`;
}
