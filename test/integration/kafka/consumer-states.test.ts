import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { loadConfig } from '../../../services/lib/config/load.js';
import { type Brokers, consumerSettings } from '../../../services/lib/kafka/client-config.js';
import { ConnectionFaults } from '../../../services/lib/kafka/connection-faults.js';
import { Consumer, type IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { ConsumerClient } from '../../../services/lib/kafka/consumer-client.js';
import { startEmbeddedBroker } from '../../../services/lib/kafka/embedded-broker.js';
import { NativeConsumer } from '../../../services/lib/kafka/native-consumer.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { wait } from '../../../services/lib/retry.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

type Callback = (...given: unknown[]) => void;

/** A client of librdkafka with what it calls back. */
type Raw = InstanceType<typeof RdKafka.KafkaConsumer> & {
  _cb_configs: { global: { rebalance_cb: Callback }; event: { queue_non_empty_cb: Callback } };
};

const TOPIC = 'test-topic';
const AWAY: Brokers = { bootstrapServers: '127.0.0.1:1', inProcess: false };
const PARTITION = { topic: TOPIC, partition: 0 };
const STATISTICS = JSON.stringify({ topics: { [TOPIC]: { partitions: {} } }, brokers: {} });
const config = loadConfig({ KAFKA_CONSUMER_STALL_MS: '600000' });

async function startBroker(t: TestContext): Promise<Brokers> {
  const broker = await startEmbeddedBroker([TOPIC]);
  defer(t, () => broker.close());
  return broker.brokers;
}

/** Every client that is opened from now on. */
function watchClients(t: TestContext): Raw[] {
  const opened: Raw[] = [];
  const prototype = RdKafka.KafkaConsumer.prototype as unknown as { connect: Callback };
  const { connect } = prototype;
  prototype.connect = function (this: Raw, ...given) {
    opened.push(this);
    connect.apply(this, given);
  };
  t.after(() => (prototype.connect = connect));
  return opened;
}

/** Errors that nobody awaits would end a role. */
function watchProcess(t: TestContext): unknown[] {
  const unattended: unknown[] = [];
  const note = (error: unknown) => unattended.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  return unattended;
}

/**
 * Everything that librdkafka may tell. A rebalance while it closes is told only by itself: it waits for the answer, and
 * what answers one that there is not calls into a client that is just being freed.
 */
function emitAll(raw: Raw, state: string): void {
  const { global, event } = raw._cb_configs;
  raw.emit('event.stats', { message: STATISTICS });
  raw.emit('event.stats', { message: 'no JSON' });
  raw.emit('event.error', Object.assign(new Error('all brokers down'), { code: -187 }));
  raw.emit('rebalance.error', new Error('not in the group'));
  event.queue_non_empty_cb();
  if (state.startsWith('closing')) return;
  // ERR__ASSIGN_PARTITIONS and ERR__REVOKE_PARTITIONS.
  for (const code of [-175, -174]) global.rebalance_cb.call(raw, { code }, [PARTITION]);
}

test('who closes a client that still connects waits until that is over', async () => {
  const events = {
    onArrival: () => undefined,
    onRebalance: () => undefined,
    onStatistics: () => undefined,
    onFatal: () => undefined,
    onRefusal: () => undefined,
  };
  const options = { clientId: 'test', groupId: 'test', timeoutMs: 300 };
  const client = new ConsumerClient(AWAY, config, silentLogger(), options, events);
  let isOver = false;
  const opening = client.open().finally(() => (isOver = true));
  opening.catch(() => undefined);
  await client.close(10_000);
  assert.equal(isOver, true);
  await assert.rejects(opening, /no Kafka broker answered/);
});

test('no event of a client ends the process, in whatever state it is', async (t) => {
  const opened = watchClients(t);
  const unattended = watchProcess(t);
  const brokers = await startBroker(t);
  const options = { clientId: 'test', groupId: `test-${randomUUID()}`, timeoutMs: 300 };
  const emitFrom = async (raw: Raw, state: string) => {
    assert.doesNotThrow(() => emitAll(raw, state), state);
    for (let turns = 0; turns < 10; turns += 1) await turn();
    assert.deepEqual(unattended, [], state);
  };

  const opening = Consumer.observe(AWAY, config, silentLogger(), options);
  await emitFrom(opened[0]!, 'opening');
  await assert.rejects(opening, /no Kafka broker answered/);
  await emitFrom(opened[0]!, 'its open failed');

  const consumer = await Consumer.subscribe(brokers, config, silentLogger(), [TOPIC], options);
  defer(t, () => consumer.close());
  const first = opened[1]!;
  await emitFrom(first, 'open');
  const renewed = consumer.renew('for a test');
  await emitFrom(first, 'closing, as it is replaced');
  await emitFrom(opened.at(-1)!, 'taking its place');
  await renewed;
  await untilTrue(() => !first.isConnected(), { what: 'the end of the first client' });
  await emitFrom(first, 'replaced and closed');
  const second = opened.at(-1)!;
  assert.notEqual(second, first);
  await emitFrom(second, 'open in its place');
  const closed = consumer.close();
  await emitFrom(second, 'closing');
  await closed;
  await untilTrue(() => !second.isConnected(), { what: 'the end of the client' });
  await emitFrom(second, 'closed');
});

test('a client that will never work again is replaced, whichever way it says so', async (t) => {
  const opened = watchClients(t);
  const brokers = await startBroker(t);
  const options = { clientId: 'test', groupId: `test-${randomUUID()}` };
  const consumer = await Consumer.broadcast(brokers, config, silentLogger(), [TOPIC], options);
  defer(t, () => consumer.close());
  opened[0]!.emit('event.stats', { message: JSON.stringify({ fatal: { reason: 'fenced' } }) });
  await untilTrue(() => consumer.replaced === 1 && consumer.assignment.length > 0, { what: 'another client' });
  const raw = opened[1] as unknown as { consume: Callback };
  raw.consume = (_max, done) => (done as Callback)(Object.assign(new Error('fenced'), { code: -150 }));
  await assert.rejects(consumer.poll(1, 10), /fenced/);
  await untilTrue(() => consumer.replaced === 2 && consumer.assignment.length > 0, { what: 'a third client' });
});

/** Everything that may be asked of a client; @returns what it answered by name. An answer that never comes is none. */
async function callAll(native: NativeConsumer): Promise<Map<string, unknown>> {
  const answers = new Map<string, unknown>();
  const call = async (name: string, what: () => unknown) => {
    try {
      answers.set(name, await Promise.race([what(), wait(1500).then(() => 'no answer')]));
    } catch (error) {
      assert.ok(error instanceof Error, `${name} failed with ${String(error)}`);
      answers.set(name, error);
    }
  };
  await call('assignment', () => native.assignment);
  await call('assignmentLost', () => native.assignmentLost);
  await call('pause', () => native.pause([PARTITION]));
  await call('resume', () => native.resume([PARTITION]));
  await call('seek', () => native.seek({ ...PARTITION, offset: 0 }));
  await call('commit', () => native.commit([{ ...PARTITION, offset: 0 }]));
  await call('committed', () => native.committed([PARTITION]));
  await call('metadata', () => native.metadata(TOPIC));
  await call('watermarks', () => native.watermarks(PARTITION));
  await call('consume', () => native.consume(1));
  await call('subscribe', () => native.subscribe([TOPIC]));
  await call('assign', () => native.assign([{ ...PARTITION, offset: 0 }]));
  await call('incrementalAssign', () => native.incrementalAssign([{ topic: TOPIC, partition: 1, offset: 0 }]));
  await call('unassign', () => native.unassign());
  await call('open', () => native.open(300));
  return answers;
}

const faultsOf = ({ bootstrapServers }: Brokers) => new ConnectionFaults(bootstrapServers, config, () => undefined);

test('every call of a client is answered or refused, in whatever state it is', async (t) => {
  const unattended = watchProcess(t);
  const brokers = await startBroker(t);
  const make = (at: Brokers) => {
    const settings = consumerSettings(at, config, 'test', `test-${randomUUID()}`, silentLogger());
    const deaf = {
      onArrival: () => undefined,
      onRebalance: () => undefined,
      onStatistics: () => undefined,
      onFatal: () => undefined,
    };
    const native = new NativeConsumer(settings, deaf, faultsOf(at), silentLogger());
    defer(t, () => native.close());
    return native;
  };
  const refused = ['seek', 'commit', 'committed', 'metadata', 'watermarks', 'consume', 'subscribe', 'assign'];
  const assertRefuses = async (native: NativeConsumer, state: string) => {
    assert.equal(native.isOpen, false, state);
    const answers = await callAll(native);
    assert.deepEqual(answers.get('assignment'), [], state);
    assert.equal(answers.get('assignmentLost'), false, state);
    for (const name of ['pause', 'resume', 'unassign']) assert.equal(answers.get(name), undefined, `${name}, ${state}`);
    for (const name of [...refused, 'incrementalAssign'])
      assert.match(String(answers.get(name)), /not connected: it is/, `${name}, ${state}`);
  };

  const opening = make(AWAY);
  const failed = opening.open(300);
  await assertRefuses(opening, 'opening');
  await assert.rejects(failed, /no Kafka broker answered at /);
  await assertRefuses(opening, 'its open failed');

  const never = make(brokers);
  await never.close();
  await assertRefuses(never, 'closed before it was opened');

  const native = make(brokers);
  await native.open(3000);
  assert.equal(native.isOpen, true);
  const answers = await callAll(native);
  for (const name of ['metadata', 'watermarks', 'committed', 'consume'])
    assert.ok(!(answers.get(name) instanceof Error), `${name}: ${String(answers.get(name))}`);
  const closing = native.close();
  await assertRefuses(native, 'closing');
  await closing;
  await assertRefuses(native, 'closed');
  assert.deepEqual(unattended, []);
});

test('a client that is closed while it opens ends when it has opened', async (t) => {
  const opened = watchClients(t);
  const brokers = await startBroker(t);
  const settings = consumerSettings(brokers, config, 'test', `test-${randomUUID()}`, silentLogger());
  const deaf = {
    onArrival: () => undefined,
    onRebalance: () => undefined,
    onStatistics: () => undefined,
    onFatal: () => undefined,
  };
  const native = new NativeConsumer(settings, deaf, faultsOf(brokers), silentLogger());
  const refused = assert.rejects(native.open(3000), /before it was closed/);
  await native.close();
  assert.equal(opened[0]!.isConnected(), false);
  await refused;
});

test('a partition that cannot be taken up again at once is not read on behind the record that it waits for', async (t) => {
  const brokers = await startBroker(t);
  const producer = await Producer.connect(brokers, config, silentLogger(), { clientId: 'test' });
  defer(t, () => producer.close());
  const options = { clientId: 'test', groupId: `test-${randomUUID()}` };
  const consumer = await Consumer.subscribe(brokers, config, silentLogger(), [TOPIC], options);
  defer(t, () => consumer.close());
  const publish = (value: string) => producer.publish([{ topic: TOPIC, key: 'k', value: Buffer.from(value) }]);
  const poll = async () => (await consumer.poll(10, 100)).filter(({ value }) => value !== null);
  await publish('fails alone');
  let first: IncomingRecord | undefined;
  await untilTrue(async () => (first ??= (await poll())[0]), { what: 'the first record' });
  const prototype = RdKafka.KafkaConsumer.prototype as unknown as { seek: Callback };
  const { seek } = prototype;
  let refusals = 0;
  prototype.seek = function (...given) {
    refusals += 1;
    if (refusals > 3) return seek.apply(this, given);
    setImmediate(() => (given[2] as Callback)(new Error('Local: Erroneous state')));
  };
  t.after(() => (prototype.seek = seek));
  consumer.park(first!, 50);
  await publish('behind it');
  const read: string[] = [];
  await untilTrue(
    async () => {
      read.push(...(await poll()).map(({ value }) => value!.toString()));
      return read.includes('behind it');
    },
    { what: 'the record behind it' },
  );
  assert.deepEqual(read, ['fails alone', 'behind it']);
  assert.equal(consumer.parked, 0);
});

test('a publish that fails names the topic', async (t) => {
  const producer = await Producer.connect(await startBroker(t), config, silentLogger(), { clientId: 'test' });
  defer(t, () => producer.close());
  const value = Buffer.alloc(config.producerBufferMemory + 1);
  await assert.rejects(
    producer.publish([{ topic: TOPIC, key: 'k', value }]),
    /did not take the records of test-topic: /,
  );
});
