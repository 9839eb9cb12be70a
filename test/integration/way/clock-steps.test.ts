import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { startEmbeddedBackends } from '../../../services/launch/standalone.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { Consumer } from '../../../services/lib/kafka/consumer.js';
import { positionsAfter } from '../../../services/lib/kafka/offset-tracker.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { stepClock } from '../../support/clock.js';
import { defer } from '../../support/defer.js';
import { patience } from '../../support/until-true.js';

/** The clock of the test itself must not decide when it gives up. */
const PATIENCE_MS = patience(10_000);

test('reading, committing and closing go on while the clock steps back by an hour', async (t) => {
  // No PostgreSQL: the one that would start is a developer's own, by its port and its folder.
  const config = loadConfig({ DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' });
  const { backends, close } = await startEmbeddedBackends(config, silentLogger());
  defer(t, close);
  const { brokers } = backends;
  const producer = await Producer.connect(brokers, config, silentLogger(), { clientId: 'test' });
  defer(t, () => producer.close());
  const topic = config.topicUserAlert;
  const options = { clientId: 'test', groupId: `test-${randomUUID()}` };
  const consumer = await Consumer.subscribe(brokers, config, silentLogger(), [topic], options);
  defer(t, () => consumer.close());
  const read = async (value: string) => {
    await producer.publish([{ topic, key: 'k', value: Buffer.from(value) }]);
    const until = performance.now() + PATIENCE_MS;
    while (performance.now() < until) {
      const { generation } = consumer;
      const records = await consumer.poll(100, 200);
      consumer.commit(positionsAfter(records), generation);
      if (records.some((record) => record.value?.toString() === value)) return;
    }
    assert.fail(`${value} was not read`);
  };
  await read('before');
  stepClock(t, -3_600_000);
  await read('after');
  const { commits } = consumer.totals;
  await read('and more');
  const until = performance.now() + PATIENCE_MS;
  while (consumer.totals.commits === commits && performance.now() < until) await consumer.poll(100, 50);
  assert.ok(consumer.totals.commits > commits, 'positions are committed');
  assert.equal(consumer.unassignedMs, 0);
  const closing = performance.now();
  // A record that no broker takes: the producer closes with it in flight.
  void producer
    .publish([{ topic: `none-${'x'.repeat(300)}`, key: 'k', value: Buffer.from('x') }])
    .catch(() => undefined);
  await producer.close(500);
  await consumer.close();
  const ms = performance.now() - closing;
  assert.ok(ms < PATIENCE_MS, `${Math.round(ms)} ms`);
});
