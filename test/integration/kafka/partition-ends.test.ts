import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import test, { type TestContext } from 'node:test';
import { pino } from 'pino';
import { loadConfig } from '../../../services/lib/config/load.js';
import { Consumer, type IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { startEmbeddedBroker } from '../../../services/lib/kafka/embedded-broker.js';
import { positionsAfter } from '../../../services/lib/kafka/offset-tracker.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

const TOPIC = 'test-topic';
/** More than the in-process broker keeps of a partition. */
const REMOVES = { records: 70, bytes: 100_000 };

async function setUp(t: TestContext) {
  // The in-process broker keeps a member that has left until its session ends.
  const config = loadConfig({
    KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '6000',
    KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: '500',
  });
  const broker = await startEmbeddedBroker([TOPIC]);
  defer(t, () => broker.close());
  const producer = await Producer.connect(broker.brokers, config, silentLogger(), { clientId: 'test' });
  defer(t, () => producer.close());
  const groupId = `test-${randomUUID()}`;
  const logged: { msg: string; records?: number }[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void logged.push(JSON.parse(line) as never) });
  const subscribe = async () => {
    const consumer = await Consumer.subscribe(broker.brokers, config, logger, [TOPIC], { clientId: 'test', groupId });
    defer(t, () => consumer.close());
    return consumer;
  };
  const publish = (records: number, bytes = 10) =>
    producer.publish(Array.from({ length: records }, () => ({ topic: TOPIC, key: 'k', value: randomBytes(bytes) })));
  return { subscribe, publish, logged };
}

/** Reads and commits until so many have come. */
async function read(consumer: Consumer, count: number): Promise<IncomingRecord[]> {
  const all: IncomingRecord[] = [];
  await untilTrue(
    async () => {
      const { generation } = consumer;
      const records = await consumer.poll(100, 100);
      consumer.commit(positionsAfter(records), generation);
      all.push(...records.filter(({ value }) => value !== null));
      return all.length >= count;
    },
    { timeoutMs: 30_000, what: () => `${count} records, not ${all.length}` },
  );
  return all;
}

const lagOf = (consumer: Consumer) => consumer.progress.lag.reduce((sum, { lag }) => sum + lag, 0);

test('the lag of a consumer that is paused grows with what is published', async (t) => {
  const { subscribe, publish } = await setUp(t);
  await publish(1);
  const consumer = await subscribe();
  await read(consumer, 1);
  const resume = new AbortController();
  const idle = consumer.idle(120_000, resume.signal);
  await publish(50);
  await untilTrue(() => lagOf(consumer) === 50, {
    timeoutMs: 30_000,
    what: () => `a lag of 50, not ${lagOf(consumer)}`,
  });
  await publish(25);
  await untilTrue(() => lagOf(consumer) === 75, {
    timeoutMs: 30_000,
    what: () => `a lag of 75, not ${lagOf(consumer)}`,
  });
  resume.abort();
  await idle;
  await read(consumer, 75);
  await untilTrue(
    async () => {
      await consumer.poll(10, 100);
      return lagOf(consumer) === 0;
    },
    { timeoutMs: 30_000, what: () => `no lag, not ${lagOf(consumer)}` },
  );
  assert.equal(consumer.totals.skipped, 0);
});

test('records that are removed while nobody reads are counted and told when the group goes on', async (t) => {
  const { subscribe, publish, logged } = await setUp(t);
  await publish(1);
  const before = await subscribe();
  const [{ offset }] = (await read(before, 1)) as [IncomingRecord];
  await before.close();
  await publish(REMOVES.records, REMOVES.bytes);
  const consumer = await subscribe();
  const [first] = (await read(consumer, 1)) as [IncomingRecord];
  const removed = first.offset - offset - 1;
  assert.ok(removed > 0, 'the broker has removed some');
  await untilTrue(() => consumer.totals.skipped > 0, { what: 'a count of what was removed' });
  assert.equal(consumer.totals.skipped, removed);
  const lines = logged.filter(({ msg }) => msg === 'records were removed from Kafka before they were read');
  assert.deepEqual(
    lines.map(({ records }) => records),
    [removed],
  );
});

test('records that are removed under a paused consumer are counted, and are not behind it any more', async (t) => {
  const { subscribe, publish, logged } = await setUp(t);
  await publish(1);
  const consumer = await subscribe();
  await read(consumer, 1);
  const resume = new AbortController();
  const idle = consumer.idle(120_000, resume.signal);
  await publish(REMOVES.records, REMOVES.bytes);
  await untilTrue(() => consumer.totals.skipped > 0, { timeoutMs: 30_000, what: 'a count of what was removed' });
  const { skipped } = consumer.totals;
  assert.equal(lagOf(consumer), REMOVES.records - skipped);
  assert.equal(logged.length, 1);
  resume.abort();
  await idle;
  await read(consumer, REMOVES.records - skipped);
  assert.equal(consumer.totals.skipped, skipped, 'what was counted is not counted again as it goes on');
});
