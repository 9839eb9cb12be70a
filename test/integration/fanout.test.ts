import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../services/lib/logging.js';
import { Consumer } from '../../services/lib/kafka/consumer.js';
import { Producer } from '../../services/lib/kafka/producer.js';
import { alertRequest } from '../support/alerts.js';
import { defer } from '../support/defer.js';
import { loadDirectory, users } from '../support/directory.js';
import { startTestCluster, type TestCluster } from '../support/in-process.js';
import { untilTrue } from '../support/until-true.js';

/** More than one round of the fan-out, so that the first one completes nothing. */
const MANY = 2500;

/** Where a group stands in a topic and where the topic ends, by partition. */
async function positions(cluster: TestCluster, topic: string, groupId: string) {
  const observer = await Consumer.observe(cluster.backends.brokers, cluster.config, silentLogger(), {
    clientId: 'test-observer',
    groupId,
  });
  try {
    const partitions = await observer.partitionsOf(topic);
    const committed = await observer.committed(partitions.map((partition) => ({ topic, partition })));
    return await Promise.all(
      partitions.map(async (partition, index) => ({
        partition,
        committed: Math.max(committed[index]!.offset, 0),
        end: (await observer.watermarks(topic, partition)).high,
      })),
    );
  } finally {
    await observer.close();
  }
}

test('an alert to more users than one round holds is committed and noted, and so is the next one', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  const many = users('many', MANY, 'OPERATION');
  for (let from = 0; from < MANY; from += 500) await api.call('UpsertUsers', { users: many.slice(from, from + 500) });
  const { alert: large } = await api.call('CreateAlert', alertRequest());
  await untilTrue(async () => (await api.call('GetAlert', { alertId: large!.alertId })).progress?.delivered === MANY, {
    timeoutMs: 20_000,
    what: `${MANY} inboxes`,
  });
  const { alert: small } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['many7'] } }));
  for (const alert of [large!, small!]) {
    await untilTrue(
      async () => (await api.call('GetAlert', { alertId: alert.alertId })).progress?.fannedOutAt !== null,
      { what: `the progress of alert ${alert.alertId}` },
    );
  }
  const { topicAlertCreated: topic, consumerGroup } = cluster.config;
  await untilTrue(
    async () =>
      (await positions(cluster, topic, `${consumerGroup}-fanout`)).every(({ committed, end }) => committed >= end),
    { timeoutMs: 15_000, what: 'all offsets committed' },
  );
});

test('a record that cannot be decoded holds up its partition alone, uncommitted', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  await loadDirectory(api);
  const { topicAlertCreated: topic, consumerGroup } = cluster.config;
  const producer = await Producer.connect(cluster.backends.brokers, cluster.config, silentLogger(), {
    clientId: 'test',
  });
  defer(t, () => producer.close());
  await producer.publish([{ topic, key: 'poison', value: Buffer.from('plain text') }]);
  const { results } = await api.call('BatchCreateAlerts', {
    requests: Array.from({ length: 24 }, () => alertRequest()),
  });
  const alertIds = results.map(({ response }) => response!.alert!.alertId);
  const delivered = async () => {
    const progress = await Promise.all(alertIds.map((alertId) => api.call('GetAlert', { alertId })));
    return progress.filter((each) => each.progress!.delivered === each.progress!.recipients).length;
  };
  const behind = async () =>
    (await positions(cluster, topic, `${consumerGroup}-fanout`)).filter(({ committed, end }) => committed < end);
  await untilTrue(async () => (await behind()).length === 1 && (await delivered()) > 0, {
    timeoutMs: 20_000,
    what: 'all partitions but one to be read to their ends',
  });
  assert.ok((await delivered()) < alertIds.length, 'those behind the poison record wait');
});
