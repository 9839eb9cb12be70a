import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claimPushes, finishPushes } from '../../../services/store/pushes.js';
import { acceptedBy, claiming, dataOf, metricsOf, startPushCluster } from '../../support/push.js';
import { collectStream } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

// Each waits most of the time, for a broker of its own.
describe('push', { concurrency: 3 }, () => {
  it("an alert reaches each of its recipient's devices once, and disappears from them when it is read", async (t) => {
    const push = await startPushCluster(t);
    const { fcm, cluster, api } = push;
    await cluster.start('push');
    const tokens = [
      await push.register('op1', 'DEVICE_PLATFORM_ANDROID'),
      await push.register('op1', 'DEVICE_PLATFORM_IOS'),
      await push.register('op1', 'DEVICE_PLATFORM_WEB'),
    ];
    const other = await push.register('op2');
    const alertId = await push.create(['op1'], { level: 'ALERT_LEVEL_CRITICAL', title: '디스크 없음' });
    for (const token of tokens) await push.receives(token, 1);
    const [first] = await fcm.received(tokens[0]);
    const key = `alert-${alertId}`;
    assert.deepEqual(first!.collapse, {
      collapseKey: key,
      androidTag: key,
      apnsCollapseId: key,
      webpushTopic: key,
      webpushTag: key,
    });
    const message = first!.message!;
    assert.equal((message.notification as { title: string }).title, '디스크 없음');
    assert.equal((message.android as { priority: string }).priority, 'HIGH');
    assert.deepEqual(message.data, {
      type: 'alert',
      alert_id: String(alertId),
      kind: 'GRAFANA',
      level: 'CRITICAL',
      app_name: 'ssok-bank-api',
      sequence: '1',
      unread_count: '1',
    });

    await api.call('MarkRead', { alertIds: [alertId] }, { user: 'op1' });
    for (const token of tokens) await push.receives(token, 2);
    const [, dismissal] = await push.receives(tokens[1]!, 2);
    assert.deepEqual(dismissal, { type: 'dismiss', alert_ids: String(alertId), unread_count: '0' });
    assert.deepEqual(await fcm.received(other), []);
    await push.settles(alertId, 'dismissed', 'dismissed', 'dismissed');
  });

  it('while a stream is held an INFO waits and is never sent if it is read meanwhile; an ERROR goes at once', async (t) => {
    const push = await startPushCluster(t, { PUSH_GRACE_MS: '2500' });
    const { fcm, cluster, api } = push;
    const gateway = await cluster.start('stream-gateway');
    collectStream(t, cluster.api(gateway), { user: 'op1' });
    await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM stream_presence')).length === 1, {
      what: 'op1 is present',
    });
    await push.start();
    const token = await push.register('op1');
    const away = await push.register('op2');
    const seen = await push.create(['op1', 'op2'], { level: 'ALERT_LEVEL_INFO' });
    const unseen = await push.create(['op1'], { level: 'ALERT_LEVEL_WARNING' });
    const urgent = await push.create(['op1'], { level: 'ALERT_LEVEL_ERROR' });
    const [first] = await push.receives(token, 1);
    assert.equal(first!.alert_id, String(urgent));
    await push.receives(away, 1);
    await api.call('MarkRead', { alertIds: [seen] }, { user: 'op1' });
    const rows = await push.settles(seen, 'skipped', 'sent');
    assert.match(rows[0]!.error!, /^read/);
    const [, second] = await push.receives(token, 2);
    assert.equal(second!.alert_id, String(unseen));
    // What is planned is no lateness.
    const planned = await cluster.store.sql<{ alert_id: number; user_id: string; grace: number }>(
      `SELECT p.alert_id, p.user_id, EXTRACT(epoch FROM p.planned_for - s.created_at)::float8 * 1000 AS grace
       FROM push_deliveries p JOIN alert_statuses s USING (user_id, alert_id) ORDER BY p.alert_id, p.user_id`,
    );
    assert.deepEqual(
      planned.map(({ alert_id, user_id, grace }) => [alert_id, user_id, grace]),
      [
        [seen, 'op1', 2500],
        [seen, 'op2', 0],
        [unseen, 'op1', 2500],
        [urgent, 'op1', 0],
      ],
    );
    assert.ok(
      (await fcm.received(token)).every(
        ({ message }) => (message!.data as { alert_id: string }).alert_id !== String(seen),
      ),
    );
  });

  it('without a grace an INFO goes at once although a stream is held', async (t) => {
    const push = await startPushCluster(t, { PUSH_GRACE_MS: '0' });
    const gateway = await push.cluster.start('stream-gateway');
    collectStream(t, push.cluster.api(gateway), { user: 'op1' });
    await untilTrue(async () => (await push.cluster.store.sql('SELECT 1 FROM stream_presence')).length === 1, {
      what: 'op1 is present',
    });
    await push.start();
    const token = await push.register('op1');
    const alertId = await push.create(['op1'], { level: 'ALERT_LEVEL_INFO' });
    await push.receives(token, 1);
    const [row] = await push.settles(alertId, 'sent');
    assert.equal(row!.attempts, 1);
  });

  it('what is read or deleted before its push goes is never sent, and a bulk read sends one "read up to"', async (t) => {
    const push = await startPushCluster(t);
    const { fcm, api } = push;
    const first = await push.start();
    const token = await push.register('op1');
    const shown = [];
    for (let count = 1; count <= 20; count += 1) shown.push(await push.create(['op1']));
    await push.receives(token, 20);
    for (const alertId of shown) await push.settles(alertId, 'sent');

    // Read and deleted while nobody is there to send.
    await first.stop();
    const unsent = [await push.create(['op1']), await push.create(['op1'])];
    await untilTrue(
      async () => (await api.call('GetUnreadCount', {}, { user: 'op1' })).unreadCount === shown.length + unsent.length,
      { what: 'both are in the inbox' },
    );
    await api.call('MarkRead', { alertIds: [unsent[0]!] }, { user: 'op1' });
    await api.call('DeleteFromInbox', { alertIds: [unsent[1]!] }, { user: 'op1' });
    await api.call('MarkAllRead', {}, { user: 'op1' });
    await push.start();
    for (const alertId of shown) await push.settles(alertId, 'dismissed');
    const data = (await acceptedBy(fcm, token)).map(({ message }) => message!.data as Record<string, string>);
    assert.deepEqual(
      data.slice(20).map(({ type, alert_id, unread_count }) => ({ type, alert_id, unread_count })),
      [{ type: 'read_up_to', alert_id: String(shown.at(-1)), unread_count: '0' }],
    );
    for (const alertId of unsent) assert.deepEqual(await push.rows(alertId), []);
  });

  it('a read between claim and acceptance dismisses what was accepted', async (t) => {
    const push = await startPushCluster(t);
    const { fcm, api } = push;
    await push.start();
    const token = await push.register('op1');
    await fcm.rule({ token, delayMs: 1500, times: 1 });
    const alertId = await push.create(['op1']);
    await push.settles(alertId, 'sending');
    await api.call('MarkRead', { alertIds: [alertId] }, { user: 'op1' });
    const [, dismissal] = await push.receives(token, 2);
    assert.equal(dismissal!.type, 'dismiss');
    await push.settles(alertId, 'dismissed');
  });

  it('pushes older than their time to live are dropped and counted; lost records are found by the sweep', async (t) => {
    // No inbox change reaches Kafka.
    const push = await startPushCluster(t, {}, { onDelivered: () => Promise.resolve() });
    const { fcm, cluster, api } = push;
    const { sql } = cluster.store;
    const token = await push.register('op1');
    const stale = await push.create(['op1'], { level: 'ALERT_LEVEL_INFO' });
    const young = await push.create(['op1'], { level: 'ALERT_LEVEL_ERROR' });
    await untilTrue(async () => (await api.call('GetUnreadCount', {}, { user: 'op1' })).unreadCount === 2, {
      what: 'both are in the inbox',
    });
    await sql(`UPDATE alerts SET created_at = now() - interval '5 hours'`);
    // A planned one whose time passes while it waits.
    await sql(
      `INSERT INTO push_deliveries (device_id, alert_id, user_id, state, due_at, created_at, expires_at)
     SELECT device_id, $1, user_id, 'waiting', now(), now(), now() - interval '1 hour' FROM devices`,
      [stale],
    );
    const role = await push.start();
    const [data] = await push.receives(token, 1);
    assert.equal(data!.alert_id, String(young));
    await push.settles(stale, 'expired');
    const metrics = await metricsOf(role);
    assert.match(metrics, /ssom_push_ended_total\{[^}]*reason="expired"[^}]*\} 1\b/);
    assert.equal((await fcm.counts()).accepted, 1);
  });

  it('a claim whose process died is sent again under the same collapse key, and its late outcome changes nothing', async (t) => {
    const push = await startPushCluster(t);
    const { database, sql } = push.cluster.store;
    const token = await push.register('op1');
    const role = await push.start();
    await push.fcm.rule({ token, delayMs: 1000, times: 1 });
    const alertId = await push.create(['op1']);
    await push.settles(alertId, 'sending');
    await role.stop();
    await push.receives(token, 1);
    // As a dead process leaves it: claimed, accepted by FCM, and not stored.
    await sql(`UPDATE push_deliveries SET state = 'waiting', due_at = now(), attempts = 0 WHERE alert_id = $1`, [
      alertId,
    ]);
    const [claim] = await claimPushes(database, claiming(1, 500));
    assert.equal(claim!.alertId, alertId);
    await push.start();
    await push.receives(token, 2);
    const [row] = await push.settles(alertId, 'sent');
    assert.equal(row!.attempts, 2);
    await finishPushes(database, [{ claim: claim!, state: 'waiting', untried: true }]);
    assert.deepEqual(await push.rows(alertId), [row]);
    const keys = (await acceptedBy(push.fcm, token)).map(({ collapse }) => collapse.collapseKey);
    assert.deepEqual(keys, [`alert-${alertId}`, `alert-${alertId}`]);
  });

  it('without credentials nothing is sent, the role says so once and stays ready', async (t) => {
    const push = await startPushCluster(t, { FCM_CREDENTIALS: '' });
    const token = await push.register('op1');
    const role = await push.start();
    await push.create(['op1']);
    const skipped = /ssom_push_skipped_total\{[^}]*\} [1-9]/;
    await untilTrue(async () => skipped.test(await metricsOf(role)), { what: 'the change was read' });
    assert.deepEqual(await push.fcm.received(token), []);
    assert.deepEqual(await push.cluster.store.sql('SELECT 1 FROM push_deliveries'), []);
  });

  it('devices that are registered while alerts arrive get each at most once, and all that came later', async (t) => {
    const push = await startPushCluster(t);
    await push.start();
    const tokens: string[] = [];
    const alertIds: number[] = [];
    const registering = (async () => {
      for (let count = 0; count < 20; count += 1) tokens.push(await push.register('op1'));
    })();
    const creating = (async () => {
      for (let count = 0; count < 20; count += 1)
        alertIds.push(await push.create(['op1'], { level: 'ALERT_LEVEL_ERROR' }));
    })();
    await Promise.all([registering, creating]);
    const last = await push.create(['op1'], { level: 'ALERT_LEVEL_ERROR' });
    await push.settles(last, ...tokens.map(() => 'sent'));
    await untilTrue(
      async () =>
        (await Promise.all(alertIds.map((id) => push.rows(id)))).flat().every(({ state }) => state === 'sent'),
      {
        what: 'nothing waits',
        timeoutMs: 30_000,
      },
    );
    for (const token of tokens) {
      const received = (await dataOf(push.fcm, token)).map((data) => Number(data['alert_id']));
      assert.equal(new Set(received).size, received.length, 'an alert came twice');
      assert.ok(received.includes(last));
    }
  });

  it('two instances send each push once', async (t) => {
    const push = await startPushCluster(t, {}, { latencyMs: 20 });
    const tokens = [];
    for (let count = 0; count < 40; count += 1) tokens.push(await push.register('op1'));
    await push.start();
    await push.start();
    for (let count = 0; count < 5; count += 1) await push.create(['op1']);
    for (const token of tokens) await push.receives(token, 5);
    assert.equal((await push.fcm.counts()).accepted, 200);
  });
});
