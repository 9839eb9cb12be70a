import assert from 'node:assert/strict';
import test from 'node:test';
import type { Alarm } from '../../../services/runtime/alarms.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import { untilTrue } from '../../support/until-true.js';

const LAG_MAX = 10;
const ALERTS = 100;

test('a group that falls behind tells so once, with an alert that waits', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  await cluster.start('fanout');
  // From here on Kafka takes no changes of delivery, so that no batch ends.
  let release = () => {};
  const stuck = new Promise<void>((resolve) => (release = resolve));
  const delivery = await cluster.start('delivery', {
    // While a batch is worked on the client is not asked for its statistics.
    config: { maxAcceptableLag: LAG_MAX, processingTimeoutMs: 500 },
    fault: async (records, publish) => {
      if (records.length > 0) await stuck;
      await publish(records);
    },
  });
  defer(t, release);
  const alarms: Alarm[] = [];
  delivery.runtime.alarms.onAlarm((alarm) => void alarms.push(alarm));
  const alertIds: number[] = [];
  for (let count = 0; count < ALERTS; count += 1) {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
    alertIds.push(alert!.alertId);
  }
  await untilTrue(() => alarms.length > 0, { timeoutMs: 30_000, what: 'an alarm' });
  const [{ cause, text, alertIds: waiting }] = alarms as [Alarm];
  assert.equal(cause, `lag of ${cluster.config.consumerGroup}`);
  assert.match(text, /^\d+ records of user-alert-topic-\d wait/);
  assert.ok(alertIds.includes(waiting[0]!), `${waiting.join()} are no alerts of ours`);
  const exceeded = () => metricOf(delivery.http, 'ssom_lag_exceeded_total');
  assert.equal(await exceeded(), 1);
  release();
  await untilTrue(async () => (await metricOf(delivery.http, 'ssom_kafka_consumer_lag')) === 0, {
    timeoutMs: 30_000,
    what: 'no lag',
  });
  assert.equal(await exceeded(), 1);
  assert.equal(alarms.length, 1);
});
