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

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: number;
}

/** What a partition is called in logs, and known by in maps. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}
