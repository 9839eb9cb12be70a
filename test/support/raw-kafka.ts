// Kafka by a client with none of the service's own settings.
import { RdKafka } from '@confluentinc/kafka-javascript';
import { until } from './until-true.js';

export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: readonly Record<string, Buffer>[];
}

/** A call of the raw client, which reports by callback, as a promise. */
function called<T>(call: (done: (error: Error | null | undefined, result?: unknown) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result as T)));
  });
}

/** Everything that is in a topic now, read by a client with none of the service's own settings. */
export async function readTopic(
  bootstrap: string,
  topic: string,
): Promise<{ partitions: number; records: RawRecord[] }> {
  const consumer = new RdKafka.KafkaConsumer(
    { 'bootstrap.servers': bootstrap, 'group.id': 'real-stack-test', 'enable.auto.commit': false },
    { 'auto.offset.reset': 'earliest' },
  );
  await called((done) => void consumer.connect({ timeout: 10_000 }, done as never));
  try {
    type Metadata = { topics: { name: string; partitions: { id: number }[] }[] };
    const metadata = await called<Metadata>((done) => {
      consumer.getMetadata({ topic, timeout: 10_000 }, done as never);
    });
    const partitions = metadata.topics.find(({ name }) => name === topic)!.partitions.map(({ id }) => id);
    const ends = await Promise.all(
      partitions.map((partition) =>
        called<{ highOffset: number }>((done) => {
          consumer.queryWatermarkOffsets(topic, partition, 10_000, done as never);
        }),
      ),
    );
    consumer.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })));
    const count = ends.reduce((sum, { highOffset }) => sum + highOffset, 0);
    const records: RawRecord[] = [];
    consumer.setDefaultConsumeTimeout(100);
    await until(`${topic} is read`, async () => {
      for (const record of await called<RawRecord[]>((done) => {
        consumer.consume(1000, done as never);
      })) {
        const { partition, offset, key, value, headers } = record;
        records.push({ partition, offset, key: Buffer.from(key), value, headers: headers ?? [] });
      }
      return records.length >= count;
    });
    return { partitions: partitions.length, records };
  } finally {
    await called((done) => void consumer.disconnect(done as never));
  }
}

/**
 * Where Java's default partitioner puts a key: murmur2 with Kafka's seed, the sign bit off, modulo partitions. Source:
 * org.apache.kafka.common.utils.Utils.murmur2.
 */
export function javaPartition(key: Buffer, partitions: number): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ key.length;
  const whole = key.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(key.readInt32LE(at), m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  const rest = key.length & 3;
  if (rest >= 3) h ^= key[whole + 2]! << 16;
  if (rest >= 2) h ^= key[whole + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ key[whole]!, m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  h ^= h >>> 15;
  return (h & 0x7fffffff) % partitions;
}
