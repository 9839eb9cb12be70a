import assert from 'node:assert/strict';
import test from 'node:test';
import { loadConfig } from '../../../services/lib/config/load.js';
import { KafkaRefusal } from '../../../services/lib/kafka/connection-faults.js';
import { Consumer, type ConsumerOptions } from '../../../services/lib/kafka/consumer.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { Closers } from '../../../services/lib/lifecycle.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { KafkaClients } from '../../../services/runtime/kafka-clients.js';
import { RoleReadiness } from '../../../services/runtime/readiness.js';

function clientsOf(readiness: RoleReadiness, closers: Closers): KafkaClients {
  return new KafkaClients({
    ...{ config: loadConfig({ PROFILE: 'dev' }), role: 'push', logger: silentLogger(), readiness, closers },
    // No topics are watched there.
    brokers: { bootstrapServers: 'kafka:9092', inProcess: true },
    metrics: { gauge: () => undefined, total: () => undefined, queue: () => undefined } as never,
    alarms: { watch: () => undefined } as never,
    registry: {} as never,
  });
}

test('one broker that refuses us makes no role unready: a client that none lets in is named', async (t) => {
  const logger = silentLogger();
  const said: boolean[] = [];
  const readiness = new RoleReadiness(logger, new Set(), ['push'], (ready) => said.push(ready));
  readiness.started('push');
  let options: ConsumerOptions | undefined;
  const reasonOf = () => readiness.checks.get('kafka')?.reason;
  let attempts = 0;
  t.mock.method(Consumer, 'broadcast', async (...[, , , , given]: Parameters<typeof Consumer.broadcast>) => {
    options = given;
    if (attempts++ > 0) return { probe: async () => undefined } as never;
    given.onRefusal!(new KafkaRefusal('broker 1 refuses user push'));
    assert.equal(reasonOf(), 'broker 1 refuses user push', 'at once, before connecting is given up');
    throw new KafkaRefusal('Kafka refuses user push');
  });
  const clients = clientsOf(readiness, new Closers(logger));
  const connected = t.mock.method(Producer, 'connect', async () =>
    assert.fail('who publishes nothing needs no producer'),
  );
  const ended = new AbortController();
  t.after(() => ended.abort());
  const reading = clients.broadcast(['alert-created-topic'], 'group', () => undefined, ended.signal);
  await new Promise(setImmediate);
  assert.equal(reasonOf(), 'Kafka refuses user push');
  await reading;
  assert.equal(readiness.checks.get('kafka')?.ok, true);
  assert.equal(connected.mock.callCount(), 0);
  said.length = 0;
  options!.onRefusal!(new KafkaRefusal('broker 2 refuses user push'));
  assert.deepEqual(said, []);
  assert.equal(readiness.checks.get('kafka')?.ok, true);
});

test('a client that still connects at the end is waited for, and closed', async (t) => {
  const logger = silentLogger();
  const closers = new Closers(logger);
  const clients = clientsOf(new RoleReadiness(logger, new Set(), ['push'], () => undefined), closers);
  let isConnected!: (client: never) => void;
  let isClosed = false;
  t.mock.method(Consumer, 'broadcast', () => new Promise((resolve) => (isConnected = resolve)));
  const ended = new AbortController();
  const reading = clients.broadcast(['alert-created-topic'], 'group', () => undefined, ended.signal);
  reading.catch(() => undefined);
  ended.abort(new Error('SIGTERM'));
  let isOver = false;
  const closing = closers.close().then(() => (isOver = true));
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  isConnected({ close: async () => void (isClosed = true) } as never);
  await closing;
  assert.equal(isClosed, true);
  await assert.rejects(reading, /SIGTERM/);
});
