import type { IncomingRecord, PartitionOffset } from './incoming-record.js';

/**
 * Finds what may be committed when records of a partition finish out of order: the position behind the last record of
 * the finished run that starts at the oldest one, so that nothing unfinished is ever skipped.
 */
export class OffsetTracker {
  /** By partition, offsets in the order of polling; an entry is removed from the front when it is finished. */
  readonly #partitions = new Map<string, { topic: string; partition: number; offsets: number[]; done: Set<number> }>();

  begin({ topic, partition, offset }: Pick<IncomingRecord, 'topic' | 'partition' | 'offset'>): void {
    const name = `${topic}-${partition}`;
    const entry = this.#partitions.get(name) ?? { topic, partition, offsets: [], done: new Set() };
    entry.offsets.push(offset);
    this.#partitions.set(name, entry);
  }

  /** Records that are unfinished, or behind one that is. */
  get size(): number {
    let size = 0;
    for (const { offsets } of this.#partitions.values()) size += offsets.length;
    return size;
  }

  /** Marks a record as finished; returns the position to commit, or undefined while an older record is unfinished. */
  finish({
    topic,
    partition,
    offset,
  }: Pick<IncomingRecord, 'topic' | 'partition' | 'offset'>): PartitionOffset | undefined {
    const entry = this.#partitions.get(`${topic}-${partition}`);
    if (entry === undefined) return undefined;
    entry.done.add(offset);
    let last: number | undefined;
    while (entry.offsets.length > 0 && entry.done.has(entry.offsets[0]!)) {
      last = entry.offsets.shift()!;
      entry.done.delete(last);
    }
    return last === undefined ? undefined : { topic, partition, offset: last + 1 };
  }

  /** Forgets everything: the partitions were revoked. */
  clear(): void {
    this.#partitions.clear();
  }
}

/** Positions behind a batch of records that were handled. */
export function positionsAfter(records: readonly IncomingRecord[]): PartitionOffset[] {
  const last = new Map<string, PartitionOffset>();
  for (const { topic, partition, offset } of records) {
    const name = `${topic}-${partition}`;
    if ((last.get(name)?.offset ?? 0) <= offset) last.set(name, { topic, partition, offset: offset + 1 });
  }
  return [...last.values()];
}
