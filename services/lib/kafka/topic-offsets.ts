/*
 * What brokers say of topics and of what a group has committed. It is asked through a consumer's client, whether that
 * reads or not.
 */
import type { ConsumerClient } from './consumer-client.js';
import { partitionName, type PartitionOffset, type TopicPartition } from './incoming-record.js';

/** Brokers answer, and know no topic of that name. */
export class UnknownTopic extends Error {
  constructor(topic: string, where: string) {
    super(
      `the topic ${topic} does not exist at ${where}, or may not be described; deploy/kafka/create-topics.sh makes it`,
    );
    this.name = 'UnknownTopic';
  }
}

/** Partition numbers of a topic. @throws UnknownTopic if it does not exist; another error if no broker answers */
export async function partitionsOf(client: ConsumerClient, topic: string): Promise<number[]> {
  const topics = await client.native.metadata(topic);
  const partitions = topics.find(({ name }) => name === topic)?.partitions ?? [];
  if (partitions.length === 0) throw new UnknownTopic(topic, client.bootstrapServers);
  return partitions.map(({ id }) => id).sort((a, b) => a - b);
}

/** First and next offset of a partition. */
export async function watermarks(
  client: ConsumerClient,
  partition: TopicPartition,
): Promise<{ low: number; high: number }> {
  const { lowOffset, highOffset } = await client.native.watermarks(partition);
  return { low: lowOffset, high: highOffset };
}

/** Committed positions of the client's group; -1 where there is none. */
export async function committedOffsets(
  client: ConsumerClient,
  partitions: readonly TopicPartition[],
): Promise<PartitionOffset[]> {
  const positions = await client.native.committed(partitions);
  return positions.map(({ topic, partition, offset = -1 }) => ({ topic, partition, offset: Math.max(offset, -1) }));
}

/**
 * Where reading whole topics, outside any group, is to begin in the partitions that are not assigned yet: at their
 * ends; at the first offset of one that appears while others are read, since records may be in it already.
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
