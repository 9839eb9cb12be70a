import assert from 'node:assert/strict';
import test from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { inboxChangedRecord, userAlertRecord } from '../../../services/events/records.js';
import type { OutgoingRecord } from '../../../services/lib/kafka/producer.js';
import type { Publishing } from '../../../services/runtime/runtime.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { deliverToInboxes } from '../../../services/store/inbox-delivery.js';
import { readEpoch, renewEpoch } from '../../../services/store/state.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster, type TestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import { createTestDatabase } from '../../support/postgres.js';
import { collectStream, listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

/** What the CLI does after a backup was restored. */
async function renew(databaseUrl: string): Promise<string> {
  const context = fakeContext({ environment: { DATABASE_URL: databaseUrl } });
  assert.equal(await main(['epoch', 'renew', '--yes'], context), 0, context.err());
  return context.out();
}

/** As a backup would that was made before the first alert. */
async function restoreEmpty({ store }: TestCluster): Promise<void> {
  for (const table of ['alerts', 'alert_recipients', 'alert_progress', 'outbox', 'alert_statuses', 'inboxes'])
    await store.sql(`DELETE FROM ${table}`);
  await store.sql("SELECT setval('alert_ids', 1, false)");
}

/** Publishes as somebody else would. */
async function publish(
  cluster: TestCluster,
  make: (epoch: number, events: Publishing['events']) => OutgoingRecord[],
): Promise<void> {
  const { runtime } = await cluster.start('fanout');
  const { producer, events } = await runtime.publishing(AbortSignal.timeout(5000));
  await producer.publish(make(await readEpoch(cluster.store.database), events));
}

async function titlesOf(api: ReturnType<TestCluster['api']>, user: string): Promise<string[]> {
  return (await api.call('ListInbox', {}, { user })).entries.map(({ alert }) => alert!.title);
}

test('a record of before a restore never puts a new alert into the inbox of the old one', async (t) => {
  const cluster = await startTestCluster(t);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await loadDirectory(api);
  const to = (user: string, title: string) => alertRequest({ title, recipients: { userIds: [user] } });
  // What comes before Kafka is there is left to the sweeper, whose events name no recipients.
  await api.call('CreateAlert', to('ext1', 'the first one'));
  await cluster.read('alert-created-topic', 1);
  const { alert: lost } = await api.call('CreateAlert', to('op1', 'for op1 alone'));
  const records = await cluster.read('alert-created-topic', 2);
  const before = records.find(({ key }) => key === String(lost!.alertId))!;
  await restoreEmpty(cluster);
  assert.match(await renew(cluster.store.url), /alert numbers go on above \d{13}/);

  await api.call('CreateAlert', to('ext1', 'the first one again'));
  const { alert: fresh } = await api.call('CreateAlert', to('op2', 'for op2 alone'));
  const fanout = await cluster.start('fanout');
  await cluster.start('delivery');
  await untilTrue(async () => (await titlesOf(api, 'op2')).length === 1, { what: 'the new alert' });
  // As an offset that is set back, or a dead letter that is redriven, brings it.
  const { topic, key, value } = before;
  const { producer } = await fanout.runtime.publishing(AbortSignal.timeout(5000));
  await producer.publish([{ topic, key, value }]);
  await untilTrue(async () => (await metricOf(fanout.http, 'ssom_records_other_epoch_total')) >= 3, {
    what: 'the records of before are set aside, whenever they come',
  });
  assert.deepEqual(await titlesOf(api, 'op1'), []);
  assert.ok(fresh!.alertId > 1e12 && fresh!.alertId !== lost!.alertId, `${fresh!.alertId}`);
});

test('delivery sets aside what is of another epoch, and takes what does not know its own', async (t) => {
  const cluster = await startTestCluster(t, { RECONCILE_INTERVAL_MS: '600000' });
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['ext1'] } }));
  const delivery = await cluster.start('delivery');
  const alertId = alert!.alertId;
  await publish(cluster, (epoch, events) => [
    userAlertRecord(events, { alertId, userId: 'op1', epoch: epoch + 1 }, undefined),
    userAlertRecord(events, { alertId, userId: 'op2', epoch: 0 }, undefined),
    userAlertRecord(events, { alertId, userId: 'core1', epoch }, undefined),
  ]);
  for (const user of ['op2', 'core1', 'ext1'])
    await untilTrue(async () => (await titlesOf(api, user)).length === 1, { what: `the alert of ${user}` });
  await untilTrue(async () => (await metricOf(delivery.http, 'ssom_records_other_epoch_total')) >= 1, {
    what: 'the count',
  });
  assert.deepEqual(await titlesOf(api, 'op1'), []);
  assert.deepEqual(await cluster.store.sql('SELECT 1 FROM dead_letters'), []);
});

test('an epoch that is renewed while batches are delivered: each statement compares', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  await sql(`INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
             SELECT u, u, 'D', '', true, 1 FROM unnest('{a,b}'::text[]) u`);
  await sql(`INSERT INTO alerts SELECT n, 'c', '', '', '', 'OTHER', 'app', 1, 't', '', '{}', now(), now(), 1, false, '{}', null
             FROM generate_series(1, 3) n`);
  const before = await readEpoch(database);
  const delivered = await deliverToInboxes(database, [{ userId: 'a', alertId: 1, epoch: before }]);
  assert.deepEqual([delivered.created, delivered.otherEpoch, delivered.inboxes[0]!.epoch], [1, 0, before]);
  const { epoch } = await renewEpoch(database, NO_ACCOUNT);
  const mixed = await deliverToInboxes(database, [
    { userId: 'a', alertId: 2, epoch: before },
    { userId: 'a', alertId: 3, epoch },
    { userId: 'b', alertId: 2, epoch: before },
    { userId: 'b', alertId: 3 },
  ]);
  assert.deepEqual([mixed.created, mixed.otherEpoch], [2, 2]);
  const again = await deliverToInboxes(database, [{ userId: 'b', alertId: 1, epoch: before }]);
  assert.deepEqual([again.created, again.otherEpoch], [0, 1]);
  assert.deepEqual(await sql('SELECT user_id, alert_id FROM alert_statuses ORDER BY 1, 2'), [
    { user_id: 'a', alert_id: 1 },
    { user_id: 'a', alert_id: 3 },
    { user_id: 'b', alert_id: 3 },
  ]);
});

test('alert numbers jump at each renewal, beyond those in the table too, and never above 2^53', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const first = await renewEpoch(database, NO_ACCOUNT);
  const second = await renewEpoch(database, NO_ACCOUNT);
  assert.ok(second.alertIdsAbove - first.alertIdsAbove >= 1e12);
  assert.notEqual(second.epoch, first.epoch);
  const [next] = await sql<{ id: number }>("SELECT nextval('alert_ids') AS id");
  assert.equal(next!.id, second.alertIdsAbove + 1);
  const last = Number.MAX_SAFE_INTEGER - 1e12;
  await sql(`SELECT setval('alert_ids', ${last})`);
  await assert.rejects(renewEpoch(database, NO_ACCOUNT), /no room for another epoch/);
  assert.equal(await readEpoch(database), second.epoch);
});

test('a stream that is open across a renewed epoch ends, and a key of another user is refused', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const gateway = await cluster.start('stream-gateway');
  const stream = await collectStream(t, cluster.api(gateway), { user: 'op1' }, {}).untilLive();
  const event = { userId: 'op2', lastSequence: 1, unreadCount: 1, changes: [] };
  await publish(cluster, (epoch, events) => [
    { ...inboxChangedRecord(events, { ...event, epoch }), key: 'op1' },
    inboxChangedRecord(events, { ...event, userId: 'op1', epoch: epoch + 1 }),
  ]);
  for (const metric of ['ssom_stream_records_refused_total', 'ssom_records_other_epoch_total'])
    await untilTrue(async () => (await metricOf(gateway.http, metric)) === 1, { what: metric });
  assert.equal(stream.error, undefined);
  await renew(cluster.store.url);
  const refusal = await stream.untilRefused();
  assert.deepEqual([refusal.code, refusal.reason], ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED']);
});

test('delivery refuses a record whose key is another user; it holds up neither of the two', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  await cluster.start('delivery');
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['core1'] } }));
  await publish(cluster, (_, events) => [
    { ...userAlertRecord(events, { alertId: alert!.alertId, userId: 'op2', epoch: 0 }, undefined), key: 'op1' },
  ]);
  const letters = () => cluster.store.sql<{ reason: string }>('SELECT reason, alert_id, user_id FROM dead_letters');
  const [letter] = await untilTrue(async () => ((await letters()).length > 0 ? letters() : undefined), {
    what: 'the dead letter',
  });
  assert.match(letter!.reason, /has the key "op1", and its value is for "op2"/);
  assert.deepEqual(letter, { reason: letter!.reason, alert_id: null, user_id: null });
  assert.deepEqual([await titlesOf(api, 'op1'), await titlesOf(api, 'op2')], [[], []]);
});

test('commits that PostgreSQL lost: the stream that has seen more than its inbox ends', async (t) => {
  // Reconcile would bring an alert again that is not complete yet, to the same place of the inbox.
  const cluster = await startTestCluster(t, { RECONCILE_INTERVAL_MS: '3600000' });
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateway = await cluster.start('stream-gateway');
  await loadDirectory(api);
  const stream = await collectStream(t, cluster.api(gateway), { user: 'op1' }, {}).untilLive();
  const create = async () => (await api.call('CreateAlert', alertRequest())).alert!.alertId;
  await stream.untilAlerts([await create(), await create()]);
  await cluster.store.sql("DELETE FROM alert_statuses WHERE user_id = 'op1' AND seq = 2");
  await cluster.store.sql("UPDATE inboxes SET last_seq = 1, unread_count = 1 WHERE user_id = 'op1'");
  const refusal = await stream.untilRefused();
  assert.deepEqual([refusal.code, refusal.reason], ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED']);
  assert.equal(await metricOf(gateway.http, 'ssom_stream_beyond_inbox_total'), 1);
  assert.equal((await listWholeInbox(api, 'op1')).rows.length, 1);
});
