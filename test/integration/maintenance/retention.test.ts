import assert from 'node:assert/strict';
import test from 'node:test';
import { userAlertRecord } from '../../../services/events/records.js';
import { Retention } from '../../../services/maintenance/retention.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { requestReconcile } from '../../../services/store/progress.js';
import { beginRetention, closeAlerts } from '../../../services/store/retention.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { collectStream, listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

const never = new AbortController().signal;
/** Of the role: within its first six minutes it would do itself what the test does. */
const WITHOUT_RETENTION = { config: { alertRetentionDays: 0 } };

test('what is older than the retention leaves inboxes and database, and nothing brings it back', async (t) => {
  const cluster = await startTestCluster(t, { ALERT_RETENTION_DAYS: '30' });
  const { store } = cluster;
  const role = await cluster.start('alert-api', { as: 'standalone' });
  const api = cluster.api(role);
  const fanout = await cluster.start('fanout', WITHOUT_RETENTION);
  await cluster.start('delivery');
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  await loadDirectory(api);
  const inbox = async (user: string) => (await listWholeInbox(api, user)).rows.map(({ alertId }) => alertId);
  const atTheBeginning = await collectStream(t, gateway, { user: 'op1' }, {}).untilLive();
  const { resumeToken } = atTheBeginning.responses.at(-1)!;

  const ids: number[] = [];
  for (const userIds of [['op1', 'op2'], ['op1'], ['op1'], ['op1']]) {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds } }));
    ids.push(alert!.alertId);
  }
  const [first, second, third, fourth] = ids as [number, number, number, number];
  await untilTrue(async () => (await inbox('op1')).length === 4 && (await inbox('op2')).length === 1, {
    what: 'all four in the inboxes',
  });
  await store.sql(`UPDATE alert_statuses SET changed_at = now() - interval '40 days' WHERE alert_id <= ${third}`);
  for (const table of ['alerts', 'alert_statuses', 'alert_progress'])
    await store.sql(`UPDATE ${table} SET created_at = now() - interval '40 days' WHERE alert_id <= ${third}`);
  // Old, and looked at only now.
  await api.call('MarkRead', { alertIds: [third] }, { user: 'op1' });

  const retention = new Retention(role.runtime);
  await retention.remove(never);
  assert.deepEqual(await inbox('op1'), [fourth, third]);
  assert.deepEqual(await inbox('op2'), []);
  assert.equal((await api.call('GetUnreadCount', {}, { user: 'op1' })).unreadCount, 1);
  assert.equal((await api.call('GetUnreadCount', {}, { user: 'op2' })).unreadCount, 0);
  const refusal = await collectStream(t, gateway, { user: 'op1' }, { resumeToken }).untilRefused();
  assert.equal(refusal.reason, 'RESUME_TOKEN_EXPIRED');

  // Another instance has just done it.
  await retention.remove(never);
  assert.equal((await store.sql('SELECT 1 FROM alerts')).length, 4);
  await store.sql("UPDATE service_state SET retention_at = now() - interval '1 hour'");
  // They were closed before this run, and no inbox has the first two.
  await retention.remove(never);
  const kept = await store.sql('SELECT alert_id FROM alerts ORDER BY alert_id');
  assert.deepEqual(kept, [{ alert_id: third }, { alert_id: fourth }]);
  for (const table of ['alert_recipients', 'alert_progress'])
    assert.deepEqual(await store.sql(`SELECT 1 FROM ${table} WHERE alert_id <= ${second}`), []);

  // Of those that exist only the fourth is open.
  assert.equal(await requestReconcile(store.database, 0, NO_ACCOUNT), 1);
  const { producer, events } = await fanout.runtime.publishing(never);
  // 0 is no alert of any time.
  const again = [0, first, second, third, fourth].map((alertId) =>
    userAlertRecord(events, { userId: 'op2', alertId, epoch: 0 }, undefined),
  );
  await producer.publish(again);
  // The last record of the same partition is there, so the others were handled before.
  await untilTrue(async () => (await inbox('op2')).length > 0, { what: 'the open alert' });
  assert.deepEqual(await inbox('op2'), [fourth]);
  assert.deepEqual(await store.sql('SELECT alert_id FROM dead_letters'), [{ alert_id: null }]);
});

test('an inbox is pruned up to its first young entry, however long it is', async (t) => {
  const cluster = await startTestCluster(t, { ALERT_RETENTION_DAYS: '30' });
  const { store } = cluster;
  // A fanout would do the same at a time of its own.
  const role = await cluster.start('alert-api', { as: 'standalone' });
  // 2,500 old entries, of which every third is read and every fifth deleted; a young one; an old one behind it.
  await store.sql(`INSERT INTO inboxes (user_id, last_seq, unread_count)
    SELECT 'op1', 2502, count(*) FILTER (WHERE n % 3 > 0 AND n % 5 > 0) FROM generate_series(1, 2502) n`);
  await store.sql(`
    INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at, changed_at, deleted_at)
    SELECT 'op1', n, n, n, 1, n % 3 = 0, now() - interval '31 days',
     now() - CASE WHEN n = 2501 THEN interval '1 day' ELSE interval '31 days' END, CASE WHEN n % 5 = 0 THEN now() - interval '31 days' END
    FROM generate_series(1, 2502) n`);
  await store.sql(`INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
      occurred_at, created_at, directory_version, recipients_named, departments)
    SELECT n, 't', '', '', '', 'OTHER', 'a', 1, 't', '', '{}', now(), now() - interval '31 days', 1, false, '{}'
    FROM generate_series(1, 2502) n`);
  await new Retention(role.runtime).remove(never);
  const [state] = await store.sql('SELECT pruned_seq, last_seq, unread_count FROM inboxes');
  assert.deepEqual(state, { pruned_seq: 2500, last_seq: 2502, unread_count: 1 });
  assert.deepEqual(await store.sql('SELECT seq FROM alert_statuses ORDER BY seq'), [{ seq: 2501 }, { seq: 2502 }]);
});

const DAYS = (days: number) => `interval '${days} days'`;

const repeat = (times: number, age: number) => Array.from({ length: times }, () => age);

/** Alerts 1 to n, of so many days ago each; negative: dated ahead. */
async function insertAged(store: TestDatabase, ages: readonly number[]): Promise<void> {
  await store.sql(
    `INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
      occurred_at, created_at, directory_version, recipients_named, departments)
     SELECT n, 't', '', '', '', 'OTHER', 'a', 1, 't', '', '{}', now(), now() - age * interval '1 day', 1, false, '{}'
     FROM unnest($1::float8[]) WITH ORDINALITY AS a(age, n)`,
    [ages],
  );
}

async function closedTo(store: TestDatabase): Promise<number> {
  while (await closeAlerts(store.database, 30));
  return (await store.sql<{ closed_to: number }>('SELECT closed_to FROM service_state'))[0]!.closed_to;
}

test('alerts that a wrong clock has dated ahead or back hold up no retention, and close nothing that is young', async (t) => {
  const cases: [readonly number[], number][] = [
    [[40, 39, -365, 38, 37, 1, 0], 5],
    // A month ahead then, so not in the future any more.
    [[40, 39, 10, 38, 37, 36, 1, 0], 6],
    // All that is young, one of it dated 1970.
    [[5, 4, 20_000, 3, 2], 0],
    [[40, 39, 5, 4, 20_000, 3], 2],
    // Just created while the clock is ahead: nothing says that they are old.
    [[40, 39, -1, -1, -1], 2],
    [[-365, 40], 2],
    [[3, 2], 0],
    // For an hour the clock was 40 days behind, or a month ahead a month ago.
    [[...repeat(500, 1), ...repeat(600, 40)], 0],
    [[...repeat(50, 40), ...repeat(500, 1), ...repeat(600, 40)], 50],
    [[...repeat(1000, 40), ...repeat(10, 1), ...repeat(50, 40)], 1060],
  ];
  for (const [ages, expected] of cases) {
    const store = await createTestDatabase(t);
    await insertAged(store, ages);
    assert.equal(await closedTo(store), expected, ages.slice(0, 10).join());
  }
  // More than one page, with one dated ahead at the end of the first.
  const store = await createTestDatabase(t);
  await insertAged(
    store,
    Array.from({ length: 10_500 }, (_, index) => (index === 9999 ? -365 : index < 10_400 ? 40 : 1)),
  );
  assert.equal(await closedTo(store), 10_400);
  await store.sql("UPDATE service_state SET retention_at = now() + interval '1 year'");
  assert.equal(await beginRetention(store.database), 10_400);
});

test('an entry that is dated ahead holds up no inbox, and an inbox that cannot be pruned no other one', async (t) => {
  const cluster = await startTestCluster(t, { ALERT_RETENTION_DAYS: '30', DATABASE_STATEMENT_TIMEOUT_MS: '1000' });
  const { store } = cluster;
  // A fanout would do the same at a time of its own.
  const role = await cluster.start('alert-api', { as: 'standalone' });
  await insertAged(
    store,
    Array.from({ length: 300 }, () => 40),
  );
  // op1's third entry was changed while the clock was ahead. op3 has read 250 of his entries lately.
  for (const [userId, entries] of [
    ['op1', 5],
    ['op2', 5],
    ['op3', 250],
  ] as const) {
    await store.sql(`INSERT INTO inboxes (user_id, last_seq, unread_count) VALUES ($1, $2::int, $2::int)`, [
      userId,
      entries,
    ]);
    await store.sql(
      `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at, changed_at)
       SELECT $1::text, n, n, n, 1, false, now(), CASE WHEN $1::text = 'op3' THEN now() WHEN $1::text = 'op1' AND n = 3 THEN now() + ${DAYS(365)}
         ELSE now() - ${DAYS(31)} END FROM generate_series(1, $2::int) n`,
      [userId, entries],
    );
  }
  await store.sql(`INSERT INTO alert_recipients SELECT 300, 'u' || n FROM generate_series(1, 20001) n`);
  await store.sql(
    `INSERT INTO dead_letters (topic, partition, "offset", alert_id, user_id, reason) VALUES ('t', 0, 1, 299, 'a', 'r')`,
  );
  const retention = new Retention(role.runtime);
  await holdingInbox(store, 'op1', async () => {
    await assert.rejects(retention.remove(never), /an inbox could not be pruned/);
  });
  const entries = () => store.sql('SELECT user_id, count(*) AS entries FROM alert_statuses GROUP BY 1 ORDER BY 1');
  assert.deepEqual(await entries(), [
    { user_id: 'op1', entries: 5 },
    { user_id: 'op3', entries: 250 },
  ]);
  await store.sql("UPDATE service_state SET retention_at = now() - interval '1 hour'");
  await retention.remove(never);
  assert.deepEqual(await entries(), [{ user_id: 'op3', entries: 250 }]);
  // Those that op3 has stay; what was about the others is gone with them.
  assert.deepEqual(await store.sql('SELECT min(alert_id) AS first, max(alert_id) AS last FROM alerts'), [
    { first: 1, last: 250 },
  ]);
  assert.deepEqual(await store.sql('SELECT 1 FROM alert_recipients'), []);
  assert.deepEqual(await store.sql('SELECT 1 FROM dead_letters'), []);
});

/** Holds a user's inbox row while `work` runs. */
async function holdingInbox(store: TestDatabase, userId: string, work: () => Promise<void>): Promise<void> {
  await store.connect().transaction(async (connection) => {
    await connection.query('SELECT 1 FROM inboxes WHERE user_id = $1 FOR UPDATE', [userId]);
    await work();
  });
}
