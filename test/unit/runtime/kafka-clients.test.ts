import assert from 'node:assert/strict';
import test from 'node:test';
import { loadConfig } from '../../../services/lib/config/load.js';
import { KafkaRefusal } from '../../../services/lib/kafka/connection-faults.js';
import { Consumer, type ConsumerOptions } from '../../../services/lib/kafka/consumer.js';
import { Closers } from '../../../services/lib/lifecycle.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { KafkaClients } from '../../../services/runtime/kafka-clients.js';
import { RoleReadiness } from '../../../services/runtime/readiness.js';

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
    if (attempts++ > 0) return {} as never;
    given.onRefusal!(new KafkaRefusal('broker 1 refuses user push'));
    assert.equal(reasonOf(), 'broker 1 refuses user push', 'at once, before connecting is given up');
    throw new KafkaRefusal('Kafka refuses user push');
  });
  const clients = new KafkaClients({
    ...{ config: loadConfig({ PROFILE: 'dev' }), role: 'push', logger, readiness, closers: new Closers(logger) },
    brokers: { bootstrapServers: 'kafka:9092', inProcess: false },
    metrics: { gauge: () => undefined, total: () => undefined, queue: () => undefined } as never,
    alarms: { watch: () => undefined } as never,
    registry: {} as never,
  });
  const reading = clients.broadcast(['alert-created-topic'], 'group', () => undefined, new AbortController().signal);
  await new Promise(setImmediate);
  assert.equal(reasonOf(), 'Kafka refuses user push');
  await reading;
  assert.equal(readiness.checks.get('kafka')?.ok, true);
  said.length = 0;
  options!.onRefusal!(new KafkaRefusal('broker 2 refuses user push'));
  assert.deepEqual(said, []);
  assert.equal(readiness.checks.get('kafka')?.ok, true);
});
