// One process of the bare pipeline that the product's latency is held against: the product's own Kafka client and
// settings and its PostgreSQL pool, and nothing else: no gRPC, no Avro, no inboxes.
//
//   entry:  commit, produce     forward: consume, produce     store: consume, commit, produce     end: consume
import { loadConfig } from '../../../services/lib/config/load.js';
import { Consumer, type IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { positionsAfter } from '../../../services/lib/kafka/offset-tracker.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { createLogger } from '../../../services/lib/logging.js';
import { Database } from '../../../services/lib/postgres.js';
import { paced } from '../frame/pacing.js';
import { serve } from '../frame/worker.js';

export interface HopOptions {
  readonly part: 'entry' | 'forward' | 'store' | 'end';
  readonly environment: Record<string, string>;
  readonly from?: string;
  readonly to?: string;
}

/** Of a small alert's record. */
const VALUE_BYTES = 256;
const POLL_MAX = 1000;

let database: Database;
let producer: Producer | undefined;
let to: string | undefined;
/** Milliseconds, of what has reached the end since it was last asked. */
let latencies: number[] = [];

const commit = (rows: number) =>
  database.query({
    name: 'bare-hop',
    text: 'INSERT INTO bare_hop (value) SELECT * FROM unnest($1::text[])',
    values: [Array.from({ length: rows }, () => 'one row of a bare hop')],
  });

/** CLOCK_MONOTONIC, which all processes of a machine share. */
const nowNs = () => process.hrtime.bigint();

async function open({ part, environment, from, to: target }: HopOptions): Promise<void> {
  const config = loadConfig({ PROFILE: 'dev', LOG_LEVEL: 'warn', ...environment });
  const logger = createLogger(config, `bare-${part}`);
  const brokers = { bootstrapServers: config.kafkaBootstrapServers, inProcess: false };
  to = target;
  database = new Database(config.databaseUrl, config, logger);
  if (target !== undefined) producer = await Producer.connect(brokers, config, logger, { clientId: `bare-${part}` });
  if (from === undefined) return;
  const options = { clientId: `bare-${part}`, groupId: `bare-${part}` };
  if (part === 'end') {
    void consume(await Consumer.broadcast(brokers, config, logger, [from], options), receive);
  } else {
    const consumer = await Consumer.subscribe(brokers, config, logger, [from], options);
    void consume(consumer, async (records, generation) => {
      if (part === 'store') await commit(records.length);
      await forward(records);
      consumer.commit(positionsAfter(records), generation);
    });
    while (consumer.assignment.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function consume(
  consumer: Consumer,
  handle: (records: readonly IncomingRecord[], generation: number) => Promise<void> | void,
): Promise<void> {
  for (;;) {
    const { generation } = consumer;
    const records = await consumer.poll(POLL_MAX);
    if (records.length > 0) await handle(records, generation);
  }
}

function forward(records: readonly IncomingRecord[]): Promise<void> {
  return producer!.publish(records.map(({ key, value }) => ({ topic: to!, key: key!, value: value! })));
}

function receive(records: readonly IncomingRecord[]): void {
  const now = nowNs();
  for (const { value } of records) latencies.push(Number(now - value!.readBigUInt64LE(0)) / 1e6);
}

/** Of the entry: sends `rate` records a second into the first hop. */
async function send(options: { rate: number; seconds: number; users: number }): Promise<number> {
  const count = Math.round(options.rate * options.seconds);
  const sent: Promise<void>[] = [];
  await paced(options.rate, count, (index) => {
    const value = Buffer.alloc(VALUE_BYTES, 'x');
    value.writeBigUInt64LE(nowNs(), 0);
    const key = `user-${(index * 617) % options.users}`;
    sent.push(commit(1).then(() => producer!.publish([{ topic: to!, key, value }])));
  });
  await Promise.all(sent);
  return count;
}

/** Of the end: the latencies since the last call, once there are `count` of them or 10 s have passed. */
async function take({ count }: { count: number }): Promise<number[]> {
  for (let waited = 0; latencies.length < count && waited < 10_000; waited += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const taken = latencies;
  latencies = [];
  return taken;
}

const commands = { open, send, take };
export type HopCommands = typeof commands;

serve(commands);
