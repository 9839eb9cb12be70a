import { setTimeout as sleep } from 'node:timers/promises';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { until } from '../../support/until-true.js';

export type Header = Readonly<Record<string, Buffer>>;

export interface WrittenRecord {
  readonly topic: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

export interface ReadRecord extends WrittenRecord {
  readonly partition: number;
  readonly offset: number;
}

const WRITE_MS = 60_000;

function called<T>(call: (done: (error: unknown, result?: unknown) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error) reject(new Error((error as Error).message));
      else resolve(result as T);
    });
  });
}

/** Writes records without any of the service's own settings, so that it can write what the service never would. */
export class RawWriter {
  #open = 0;
  #failed: Error | undefined;

  private constructor(private readonly producer: InstanceType<typeof RdKafka.Producer>) {}

  static async connect(bootstrap: string): Promise<RawWriter> {
    const producer = new RdKafka.Producer({
      'bootstrap.servers': bootstrap,
      // The broker's limit is one of compressed bytes.
      'message.max.bytes': 16_777_216,
      'compression.type': 'lz4',
      partitioner: 'murmur2_random',
      dr_cb: true,
    });
    await called((done) => void producer.connect({ timeout: 10_000 }, done as never));
    producer.setPollInBackground(true);
    const writer = new RawWriter(producer);
    producer.on('delivery-report', (error) => {
      writer.#open -= 1;
      writer.#failed ??= (error as unknown as Error | null) ?? undefined;
    });
    return writer;
  }

  /** @throws if a record was not taken */
  async write(records: readonly WrittenRecord[]): Promise<void> {
    for (const { topic, key, value, headers } of records) {
      while (this.#open > 500) await sleep(2);
      this.#open += 1;
      this.producer.produce(topic, null, solid(value), solid(key), null, undefined, headers as never);
    }
    await until('all records are written', () => this.#open === 0, WRITE_MS);
    if (this.#failed !== undefined) throw this.#failed;
  }

  async close(): Promise<void> {
    await called((done) => void this.producer.disconnect(done as never));
  }
}

/** The client takes an empty buffer that points nowhere for null. */
const NO_BYTES = Buffer.alloc(1).subarray(0, 0);
const solid = (bytes: Buffer | null) => (bytes?.length === 0 ? NO_BYTES : bytes);

/** Reads topics from where it read last, by itself and in no group. */
export class RawReader {
  readonly #positions = new Map<string, number>();

  private constructor(private readonly consumer: InstanceType<typeof RdKafka.KafkaConsumer>) {}

  static async connect(bootstrap: string): Promise<RawReader> {
    const consumer = new RdKafka.KafkaConsumer(
      { 'bootstrap.servers': bootstrap, 'group.id': 'fuzz', 'enable.auto.commit': false },
      { 'auto.offset.reset': 'earliest' },
    );
    await called((done) => void consumer.connect({ timeout: 10_000 }, done as never));
    consumer.setDefaultConsumeTimeout(100);
    return new RawReader(consumer);
  }

  /** What was written to a topic since the last call. */
  async read(topic: string): Promise<ReadRecord[]> {
    const starts = await this.#partitions(topic);
    const ends = await Promise.all(
      starts.map(({ partition }) =>
        called<{ highOffset: number }>((done) => {
          this.consumer.queryWatermarkOffsets(topic, partition, 10_000, done as never);
        }),
      ),
    );
    this.consumer.assign(starts);
    let missing = starts.reduce((sum, { offset }, index) => sum + ends[index]!.highOffset - offset, 0);
    const records: ReadRecord[] = [];
    await until(`${topic} is read`, async () => {
      while (missing > 0) {
        const some = await called<ReadRecord[]>((done) => {
          this.consumer.consume(1000, done as never);
        });
        if (some.length === 0) return false;
        missing -= some.length;
        for (const record of some) {
          records.push(tidied(record));
          this.#positions.set(`${topic}-${record.partition}`, record.offset + 1);
        }
      }
      return true;
    });
    this.consumer.unassign();
    return records;
  }

  async #partitions(topic: string) {
    type Metadata = { topics: { name: string; partitions: { id: number }[] }[] };
    const metadata = await called<Metadata>((done) => {
      this.consumer.getMetadata({ topic, timeout: 10_000 }, done as never);
    });
    return metadata.topics
      .find(({ name }) => name === topic)!
      .partitions.map(({ id }) => ({ topic, partition: id, offset: this.#positions.get(`${topic}-${id}`) ?? 0 }));
  }

  async close(): Promise<void> {
    await called((done) => void this.consumer.disconnect(done as never));
  }
}

/** The client sets a header's name as a property, and `__proto__` is none: its value becomes the prototype. */
function tidied(record: ReadRecord): ReadRecord {
  const headers = ((record.headers as readonly Header[] | undefined) ?? []).map((header) =>
    Object.keys(header).length > 0 ? header : { ['__proto__']: Object.getPrototypeOf(header) as Buffer },
  );
  const { topic, partition, offset, key, value } = record;
  return { topic, partition, offset, key, value, headers };
}
