import assert from 'node:assert/strict';
import test from 'node:test';
import { PRINCIPALS as LOCAL } from '#stack';
import { PRINCIPALS, rightsOf } from '../../../services/events/rights.js';
import { loadConfig } from '../../../services/lib/config/load.js';

const config = loadConfig({
  KAFKA_TOPIC_USER_ALERT: 'bank.alerts',
  KAFKA_CONSUMER_GROUP: 'bank',
});

test('rights are of the topics and groups of the configuration, and none implies another', () => {
  const delivery = rightsOf('delivery', config).map(
    ({ resource, name, operation }) => `${operation} ${resource} ${name}`,
  );
  assert.deepEqual(delivery.sort(), [
    'Describe topic alert-created-topic',
    'Read group bank',
    'Read topic bank.alerts',
    'Write topic bank.alerts-dlq',
    'Write topic inbox-change-topic',
  ]);
});

test('standalone has the rights of all roles, and the local stack a principal of each', () => {
  const names = (of: typeof PRINCIPALS) =>
    of.flatMap((each) => rightsOf(each, config)).map((right) => JSON.stringify(right));
  const standalone = new Set(names(['standalone']));
  for (const right of names(['alert-api', 'fanout', 'delivery', 'push', 'stream-gateway']))
    assert.ok(standalone.has(right) || /Describe/.test(right), right);
  assert.deepEqual([...LOCAL], [...PRINCIPALS]);
});
