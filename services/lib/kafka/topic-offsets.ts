/*
 * What brokers say of topics and of what a group has committed. It is asked through a consumer's client, whether that reads
 * or not.
 */
import type { ConsumerClient } from './consumer-client.js';
import { partitionName, type PartitionOffset, type TopicPartition } from './incoming-record.js';

export const METADATA_TIMEOUT_MS = 5000;

/** Brokers answer, and know no topic of that name. */
export class UnknownTopic extends Error {
  constructor(topic: string, where: string) {
    super(`the topic ${topic} does not exist at ${where}; deploy/kafka/create-topics.sh makes it`);
    this.name = 'UnknownTopic';
  }
}

/** Partition numbers of a topic. @throws UnknownTopic if it does not exist; another error if no broker answers */
export async function partitionsOf(client: ConsumerClient, topic: string): Promise<number[]> {
  const metadata = await new Promise<{ topics: { name: string; partitions: { id: number }[] }[] }>(
    (resolve, reject) => {
      client.raw.getMetadata({ topic, timeout: METADATA_TIMEOUT_MS }, (error, data) =>
        error ? reject(error) : resolve(data),
      );
    },
  );
  const partitions = metadata.topics.find(({ name }) => name === topic)?.partitions ?? [];
  if (partitions.length === 0) throw new UnknownTopic(topic, client.bootstrapServers);
  return partitions.map(({ id }) => id).sort((a, b) => a - b);
}

/** First and next offset of a partition. */
export async function watermarks(
  client: ConsumerClient,
  { topic, partition }: TopicPartition,
): Promise<{ low: number; high: number }> {
  return new Promise((resolve, reject) => {
    client.raw.queryWatermarkOffsets(topic, partition, METADATA_TIMEOUT_MS, (error, offsets) =>
      error ? reject(error) : resolve({ low: offsets.lowOffset, high: offsets.highOffset }),
    );
  });
}

/** Committed positions of the client's group; -1 where there is none. */
export async function committedOffsets(
  client: ConsumerClient,
  partitions: readonly TopicPartition[],
): Promise<PartitionOffset[]> {
  return new Promise((resolve, reject) => {
    client.raw.committed(partitions as never, METADATA_TIMEOUT_MS, (error, offsets) =>
      error
        ? reject(error)
        : resolve(
            (offsets as (TopicPartition & { offset?: number })[]).map((entry) => ({
              topic: entry.topic,
              partition: entry.partition,
              offset: entry.offset !== undefined && entry.offset >= 0 ? entry.offset : -1,
            })),
          ),
    );
  });
}

/**
 * Where reading whole topics, outside any group, is to begin in the partitions that are not assigned yet: at their ends; at
 * the first offset of one that appears while others are read, since records may be in it already.
 */
export async function beginnings(
  client: ConsumerClient,
  topics: readonly string[],
  assigned: readonly TopicPartition[],
): Promise<PartitionOffset[]> {
  const known = new Set(assigned.map(partitionName));
  const all = await Promise.all(
    topics.map(async (topic) => (await partitionsOf(client, topic)).map((partition) => ({ topic, partition }))),
  );
  const fresh = all.flat().filter((each) => !known.has(partitionName(each)));
  return Promise.all(
    fresh.map(async (each) => {
      const { low, high } = await watermarks(client, each);
      return { ...each, offset: known.size === 0 ? high : low };
    }),
  );
}
