import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { type TestContext } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { startEmbeddedBackends } from '../../../services/launch/standalone.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { Consumer, type IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { positionsAfter } from '../../../services/lib/kafka/offset-tracker.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { wait } from '../../../services/lib/retry.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

type Raw = InstanceType<typeof RdKafka.KafkaConsumer>;
type Consume = (this: Raw, max: number, done: (error: Error | null, records: unknown[]) => void) => void;

const STALL_MS = 2000;

async function setUp(t: TestContext, mode: 'group' | 'broadcast') {
  // A stalled client leaves its group only by the end of its session.
  const config = loadConfig({
    // No PostgreSQL: the one that would start is a developer's own, by its port and its folder.
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
    KAFKA_CONSUMER_STALL_MS: String(STALL_MS),
    KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '6000',
    KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: '500',
  });
  const { backends, close } = await startEmbeddedBackends(config, silentLogger());
  defer(t, close);
  const { brokers } = backends;
  const producer = await Producer.connect(brokers, config, silentLogger(), { clientId: 'test' });
  defer(t, () => producer.close());
  const topic = config.topicUserAlert;
  const begun: number[] = [];
  const onBegin = () => void begun.push(Date.now());
  const options = { clientId: 'test', groupId: `test-${randomUUID()}`, onBegin };
  const consumer =
    mode === 'group'
      ? await Consumer.subscribe(brokers, config, silentLogger(), [topic], options)
      : await Consumer.broadcast(brokers, config, silentLogger(), [topic], options);
  defer(t, () => consumer.close());
  const read: string[] = [];
  const poll = async () => {
    const { generation } = consumer;
    const records: IncomingRecord[] = await consumer.poll(100, 200);
    read.push(...records.flatMap(({ value }) => (value === null ? [] : [value.toString()])));
    consumer.commit(positionsAfter(records), generation);
  };
  const publish = (value: string) =>
    producer.publish(
      Array.from({ length: 20 }, (_, index) => ({
        topic,
        key: `key-${index}`,
        value: Buffer.from(`${value}-${index}`),
      })),
    );
  return { consumer, poll, publish, read, begun };
}

/**
 * From now on the clients that exist give out nothing, as one of librdkafka's that has lost its way; or nothing of one
 * partition, as after a cluster was wiped.
 */
function stallAll(t: TestContext, partition?: number): void {
  const prototype = RdKafka.KafkaConsumer.prototype as unknown as { consume: Consume };
  const { consume } = prototype;
  const before = Date.now();
  const born = new WeakMap<Raw, number>();
  const { connect } = RdKafka.KafkaConsumer.prototype as unknown as {
    connect: (this: Raw, ...rest: unknown[]) => unknown;
  };
  const patched = RdKafka.KafkaConsumer.prototype as unknown as { connect: typeof connect };
  patched.connect = function (...rest) {
    born.set(this, Date.now());
    return connect.apply(this, rest);
  };
  prototype.consume = function (max, done) {
    if ((born.get(this) ?? 0) >= before) consume.call(this, max, done);
    else if (partition === undefined) setImmediate(() => done(null, []));
    else
      consume.call(this, max, (error, records) =>
        done(error, error ? records : records.filter((record) => (record as IncomingRecord).partition !== partition)),
      );
  };
  t.after(() => {
    prototype.consume = consume;
    patched.connect = connect;
  });
}

for (const [mode, partition] of [
  ['group', undefined],
  ['group', 0],
  ['broadcast', undefined],
] as const) {
  const of = partition === undefined ? '' : ' of one partition';
  test(`a ${mode} consumer that brings nothing${of} although there are records is replaced, and goes on`, async (t) => {
    const { consumer, poll, publish, read, begun } = await setUp(t, mode);
    await untilTrue(
      async () => {
        await poll();
        return consumer.assignment.length > 0;
      },
      { what: 'an assignment' },
    );
    await publish('before');
    await untilTrue(
      async () => {
        await poll();
        return read.filter((value) => value.startsWith('before')).length === 20;
      },
      { what: 'the first records' },
    );
    stallAll(t, partition);
    await publish('after');
    await untilTrue(
      async () => {
        // The other partitions go on.
        if (partition !== undefined) await publish('beside');
        await poll();
        return consumer.replaced === 1;
      },
      { timeoutMs: 30_000, what: 'a new client' },
    );
    await untilTrue(
      async () => {
        // A gateway's begins at the end: what lay before is read from PostgreSQL.
        if (mode === 'broadcast') await publish('after');
        await poll();
        return new Set(read.filter((value) => value.startsWith('after'))).size === 20;
      },
      { timeoutMs: 60_000, what: 'the records behind the stall' },
    );
    assert.equal(consumer.replaced, 1);
    assert.equal(begun.length, mode === 'broadcast' ? 2 : 0, 'who begins at the ends says so');
  });
}

test('a consumer that is busy at the end of its topic is not replaced', async (t) => {
  const { consumer, poll, publish, read } = await setUp(t, 'group');
  let published = 0;
  for (const until = Date.now() + 4 * STALL_MS; Date.now() < until || read.length === 0;) {
    await publish(`busy${published}`);
    published += 1;
    await poll();
  }
  assert.equal(consumer.replaced, 0);
});

test('a consumer that is replaced by several at once goes on from its committed position', async (t) => {
  const { consumer, poll, publish, read } = await setUp(t, 'group');
  const has = (prefix: string) => async () => {
    await poll();
    return new Set(read.filter((value) => value.startsWith(`${prefix}-`))).size === 20;
  };
  await publish('before');
  await untilTrue(has('before'), { timeoutMs: 30_000, what: 'the first records' });
  const renewals = [consumer.renew('the first'), consumer.renew('the second')];
  // Whoever asks it meanwhile gets nothing, and no error.
  assert.deepEqual(consumer.assignment, []);
  await consumer.idle(10, new AbortController().signal);
  await publish('after');
  await Promise.all(renewals);
  // Later it may be replaced once more: on a slow machine a group's first records take longer than STALL_MS.
  assert.equal(consumer.replaced, 1);
  await untilTrue(has('after'), { timeoutMs: 60_000, what: 'what came meanwhile' });
});

test('neither an idle consumer nor one whose handler is busy is replaced', async (t) => {
  const { consumer, poll, publish } = await setUp(t, 'group');
  for (const until = Date.now() + 3 * STALL_MS; Date.now() < until;) await poll();
  assert.equal(consumer.replaced, 0);
  await publish('more');
  await wait(3 * STALL_MS);
  assert.equal(consumer.replaced, 0);
});

test('whoever goes on asking a consumer that is closed leaves room for others', async (t) => {
  const { consumer } = await setUp(t, 'broadcast');
  await consumer.close();
  let others = false;
  setTimeout(() => (others = true), 10);
  for (let asked = 0; asked < 1000 && !others; asked += 1) assert.deepEqual(await consumer.poll(1, 5), []);
  assert.ok(others);
});
