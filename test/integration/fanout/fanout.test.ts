import assert from 'node:assert/strict';
import test from 'node:test';
import { groupOf } from '../../../services/events/groups.js';
import { Consumer } from '../../../services/lib/kafka/consumer.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { wait } from '../../../services/lib/retry.js';
import type { Alarm } from '../../../services/runtime/alarms.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, users } from '../../support/directory.js';
import { startTestCluster, type TestCluster } from '../../support/in-process.js';
import { untilTrue } from '../../support/until-true.js';

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
    what: `${MANY} inboxes`,
  });
  const { alert: small } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['many7'] } }));
  for (const alert of [large!, small!]) {
    await untilTrue(
      async () => (await api.call('GetAlert', { alertId: alert.alertId })).progress?.fannedOutAt !== null,
      { what: `the progress of alert ${alert.alertId}` },
    );
  }
  const { topic, group } = groupOf('fanout', cluster.config);
  await untilTrue(
    async () => (await positions(cluster, topic, group)).every(({ committed, end }) => committed >= end),
    { what: 'all offsets committed' },
  );
});

test('a record that cannot be decoded goes to the dead letters as it is, and holds up nothing', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  await loadDirectory(api);
  const { topic, group } = groupOf('fanout', cluster.config);
  const producer = await Producer.connect(cluster.backends.brokers, cluster.config, silentLogger(), {
    clientId: 'test',
  });
  defer(t, () => producer.close());
  const key = Buffer.from([0xff, 0x00, 0xfe]);
  const value = Buffer.from('plain text');
  const headers = [{ twice: 'a' }, { twice: Buffer.from([0, 255]) }];
  await producer.publish([{ topic, key, value, headers }]);
  const { results } = await api.call('BatchCreateAlerts', {
    requests: Array.from({ length: 24 }, () => alertRequest()),
  });
  const alertIds = results.map(({ response }) => response!.alert!.alertId);
  const delivered = async () => {
    const progress = await Promise.all(alertIds.map((alertId) => api.call('GetAlert', { alertId })));
    return progress.filter((each) => each.progress!.delivered === each.progress!.recipients).length;
  };
  await untilTrue(async () => (await delivered()) === alertIds.length, { what: 'all inboxes' });
  await untilTrue(
    async () => (await positions(cluster, topic, group)).every(({ committed, end }) => committed >= end),
    { what: 'all offsets committed' },
  );
  const [letter] = await cluster.read(`${topic}-dlq`, 1);
  assert.deepEqual(letter!.rawKey, key);
  assert.deepEqual(letter!.value, value);
  const found = letter!.headers.flatMap((header) =>
    Object.entries(header).map(([name, bytes]) => [name, Buffer.from(bytes)] as const),
  );
  assert.deepEqual(found.slice(0, 2), [
    ['twice', Buffer.from('a')],
    ['twice', Buffer.from([0, 255])],
  ]);
  const added = Object.fromEntries(found.slice(2).map(([name, bytes]) => [name, bytes.toString()]));
  assert.equal(added['dlq-topic'], topic);
  assert.equal(added['dlq-group'], group);
  assert.equal(added['dlq-error-class'], 'poison');
  assert.match(added['dlq-error-message']!, /starts with 112, not with the magic byte 0/);
  assert.match(added['dlq-offset']!, /^\d+$/);
  assert.ok(Date.parse(added['dlq-first-failure-at']!) > Date.now() - 60_000);
});

test('few named recipients travel in the event, many are looked up; both arrive', async (t) => {
  const cluster = await startTestCluster(t);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const few3 = users('few', 3, 'CHANNEL').map((each) => ({ ...each, githubLogin: `${each.userId}-gh` }));
  await api.call('UpsertUsers', { users: [...few3, ...users('many', 120, 'CORE_BANK')] });
  // What is created before Kafka is there comes from the sweeper, which looks recipients up.
  const { events: codecs } = await role.runtime.publishing(AbortSignal.timeout(5000));
  const named = {
    few: { userIds: ['few1'], githubLogins: ['FEW2-gh'], departments: ['CHANNEL'] },
    many: { userIds: users('many', 120, 'CORE_BANK').map(({ userId }) => userId) },
  };
  const few = await api.call('CreateAlert', alertRequest({ recipients: named.few }));
  const many = await api.call('CreateAlert', alertRequest({ recipients: named.many }));
  const records = await cluster.read(cluster.config.topicAlertCreated, 2);
  const events = await Promise.all(records.map(({ value }) => codecs.alertCreated.decode(value)));
  const eventOf = ({ alert }: typeof few) => events.find(({ alertId }) => alertId === alert!.alertId)!;
  assert.deepEqual({ ...eventOf(few).namedRecipients }, { userIds: ['few1', 'few2'], departments: ['CHANNEL'] });
  assert.equal(eventOf(many).namedRecipients, null);
  await cluster.start('fanout');
  await cluster.start('delivery');
  for (const [{ alert }, count] of [
    [few, 3],
    [many, 120],
  ] as const) {
    await untilTrue(
      async () => (await api.call('GetAlert', { alertId: alert!.alertId })).progress?.delivered === count,
      { what: `${count} inboxes` },
    );
  }
});

test('an alert whose recipients are found late was processed slowly', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest());
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const locked = cluster.store.database.transaction(async (connection) => {
    await connection.query('LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
    await released;
  });
  defer(t, async () => {
    release();
    await locked;
  });
  const { runtime } = await cluster.start('fanout', { config: { slowProcessingMs: 300 } });
  const alarms: Alarm[] = [];
  runtime.alarms.onAlarm((alarm) => void alarms.push(alarm));
  const waiting = `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass`;
  await untilTrue(async () => (await cluster.store.sql(waiting)).length > 0, { what: 'a reader of the directory' });
  await wait(400);
  release();
  await untilTrue(() => alarms.length > 0, { what: 'an alarm' });
  assert.deepEqual([alarms[0]!.cause, alarms[0]!.alertIds], ['slow fanout', [alert!.alertId]]);
});
