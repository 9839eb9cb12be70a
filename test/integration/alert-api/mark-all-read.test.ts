import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { MarkAllReads } from '../../../services/alert-api/mark-all-read.js';
import type { CallContext } from '../../../services/lib/grpc/call-context.js';
import { wait } from '../../../services/lib/retry.js';
import { listInbox } from '../../../services/store/inboxes.js';
import { alertRequest } from '../../support/alerts.js';
import { entriesOf } from '../../support/audit.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { assertLooksUp, type Explained, explaining } from '../../support/plans.js';
import { createTestDatabase } from '../../support/postgres.js';
import { assertFoldEqualsInbox, collectStream, listWholeInbox } from '../../support/stream.js';
import { patience, untilTrue } from '../../support/until-true.js';

const USER = 'busy';

async function setUp(t: TestContext, entries: number) {
  const store = await createTestDatabase(t);
  await store.sql(
    `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
     SELECT $1, k, k, k, 1, false, now() FROM generate_series(1, $2::int) k`,
    [USER, entries],
  );
  await store.sql('INSERT INTO inboxes (user_id, last_seq, unread_count) VALUES ($1, $2::int, $2::int)', [
    USER,
    entries,
  ]);
  const pages: number[] = [];
  let runs = 0;
  const database = {
    bulk: {
      until: (signal: AbortSignal) => {
        runs += 1;
        return store.database.bulk.until(signal);
      },
    },
  };
  const markAllReads = new MarkAllReads(({ changes }) => void pages.push(changes.length));
  const run = (signal: AbortSignal = new AbortController().signal, subject = USER) => {
    const identity = { kind: 'user', subject, credential: 'dev' };
    const call = { signal, database, identity, peer: '::1', said: { requestId: '', traceId: '' } };
    return markAllReads.run(USER, call as unknown as CallContext);
  };
  return { ...store, pages, run, runs: () => runs };
}

test('calls that come while one runs share the next run; what they changed is told once', async (t) => {
  const { run, pages, runs } = await setUp(t, 5000);
  const first = run();
  await untilTrue(() => pages.length > 0, { what: 'the first page' });
  const answers = await Promise.all([first, ...Array.from({ length: 20 }, () => run())]);
  assert.equal(runs(), 2);
  assert.deepEqual(
    answers.map(({ changed, unreadCount }) => [changed, unreadCount]),
    [[5000, 0], ...Array.from({ length: 20 }, () => [0, 0])],
  );
  assert.deepEqual(await run(), { changed: 0, unreadCount: 0 });
  assert.equal(runs(), 3);
});

test('an admin shares no run with the owner: what is marked for it is accounted to it', async (t) => {
  const { database, run, pages, runs } = await setUp(t, 20_000);
  const owners = [new AbortController(), new AbortController()];
  const first = run(owners[0]!.signal);
  await untilTrue(() => pages.length > 0, { what: 'the first page' });
  const second = run(owners[1]!.signal);
  const admins = [run(undefined, 'admin'), run(undefined, 'admin')];
  for (const owner of owners) owner.abort();
  await assert.rejects(first, { name: 'CallEnded' });
  await assert.rejects(second, { name: 'CallEnded' });
  const [one, other] = await Promise.all(admins);
  assert.ok(one!.changed > 0);
  assert.deepEqual([one!.unreadCount, other], [0, { changed: 0, unreadCount: 0 }]);
  assert.equal(runs(), 3);
  const entries = await entriesOf(database);
  const marked = entries.map(({ actor, details }) => {
    assert.equal(actor.subject, 'admin');
    return Number(details['changed']);
  });
  assert.equal(
    marked.reduce((sum, changed) => sum + changed, 0),
    one!.changed,
  );
});

test('a run ends when the last of its callers has gone; what was marked stays so, and the next call goes on', async (t) => {
  const { run, pages, sql } = await setUp(t, 20_000);
  const callers = [new AbortController(), new AbortController()];
  const first = run(callers[0]!.signal);
  await untilTrue(() => pages.length > 2, { what: 'some pages' });
  const second = run(callers[1]!.signal);
  callers[1]!.abort();
  await assert.rejects(second, { name: 'CallEnded' });
  const before = pages.length;
  await untilTrue(() => pages.length > before, { what: 'it goes on for the other' });
  callers[0]!.abort();
  await assert.rejects(first, { name: 'CallEnded' });
  await wait(200);
  const done = pages.length;
  await wait(300);
  assert.equal(pages.length, done, 'it has ended');
  assert.ok(done < 20, `${done} pages`);
  const { changed, unreadCount } = await run();
  assert.equal(unreadCount, 0);
  const marked = pages.slice(0, done).reduce((sum, rows) => sum + rows, 0);
  const [{ read }] = (await sql<{ read: number }>('SELECT count(*) AS read FROM alert_statuses WHERE is_read')) as [
    { read: number },
  ];
  assert.equal(read, 20_000);
  // A page that was committed while its caller went is in neither count.
  assert.ok(marked + changed >= 19_000 && marked + changed <= 20_000, `${marked} and ${changed}`);
});

test('while one of 30,000 entries is marked all of them, alerts to others and to its user come, and its streams fold right', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  await loadDirectory(api, [user(USER, 'OPERATION'), user('other', 'OPERATION')]);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: [USER] } }));
  await untilTrue(async () => (await listWholeInbox(api, USER)).rows.length === 1, { what: 'the first alert' });
  // Alerts that exist, as a stream shows them.
  await cluster.store.sql(
    `INSERT INTO alerts SELECT alert_id + k, caller, '', request_hash, source_id, kind, app_name, level, title, message, labels,
       occurred_at, created_at, directory_version, recipients_named, departments, traceparent
     FROM alerts, generate_series(1, 30000) k WHERE alert_id = $1`,
    [alert!.alertId],
  );
  await cluster.store.sql(
    `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
     SELECT $1, $2::bigint + k, 1 + k, 1 + k, 1, false, now() FROM generate_series(1, 30000) k`,
    [USER, alert!.alertId],
  );
  await cluster.store.sql("SELECT setval('alert_ids', (SELECT max(alert_id) FROM alerts))");
  await cluster.store.sql('UPDATE inboxes SET last_seq = 30001, unread_count = 30001');
  const stream = await collectStream(t, gateway, { user: USER }, { start: 'STREAM_START_BEGINNING' }).untilLive();
  const other = await collectStream(t, gateway, { user: 'other' }).untilLive();
  let isMarked = false;
  const marking = api.call('MarkAllRead', {}, { user: USER }).finally(() => (isMarked = true));
  const times: number[] = [];
  const sent: number[] = [];
  while (!isMarked) {
    const startedAt = performance.now();
    const created = await api.call('CreateAlert', alertRequest({ recipients: { userIds: [USER, 'other'] } }));
    sent.push(created.alert!.alertId);
    await other.untilAlerts(sent);
    times.push(performance.now() - startedAt);
  }
  const answer = await marking;
  t.diagnostic(`${times.length} alerts to another, at most ${Math.max(...times).toFixed(0)} ms`);
  // What came before it began was marked as well.
  assert.ok(answer.changed >= 30_001);
  await stream.until(() => stream.folded.rows.size === 30_001 + sent.length, 'the stream has all', 30_000);
  await assertFoldEqualsInbox(api, USER, stream.folded);
  assert.equal(
    (await listWholeInbox(api, USER)).rows.filter(({ isRead }) => !isRead).length,
    (await api.call('GetUnreadCount', {}, { user: USER })).unreadCount,
  );
  // Nothing to do: at once.
  await api.call('MarkAllRead', {}, { user: USER });
  const startedAt = performance.now();
  assert.equal((await api.call('MarkAllRead', {}, { user: USER })).changed, 0);
  assert.ok(performance.now() - startedAt < patience(500));
});

test('a filter that leaves little of a large inbox: each statement looks at 2,000 entries, and pages follow each other to the end', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  await loadDirectory(api, [user(USER, 'OPERATION')]);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: [USER] } }));
  await untilTrue(async () => (await listWholeInbox(api, USER)).rows.length === 1, { what: 'the alert' });
  await cluster.store.sql(
    `INSERT INTO alerts SELECT alert_id + k, caller, '', request_hash, source_id, 'OTHER', app_name, level, title, message, labels,
       occurred_at, created_at, directory_version, recipients_named, departments, traceparent
     FROM alerts, generate_series(1, 20000) k WHERE alert_id = $1`,
    [alert!.alertId],
  );
  await cluster.store.sql(
    `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
     SELECT $1, $2::bigint + k, 1 + k, 1 + k, 1, true, now() FROM generate_series(1, 20000) k`,
    [USER, alert!.alertId],
  );
  await cluster.store.sql('UPDATE inboxes SET last_seq = 20001');
  const { database } = cluster.store;
  const query = { userId: USER, kinds: [], minimumRank: 0, limit: 50 } as const;
  const newest = Number.MAX_SAFE_INTEGER;
  const { rows, next } = await listInbox(database, { ...query, unreadOnly: true, before: newest });
  assert.deepEqual([rows.length, next], [0, alert!.alertId + 20_001 - 2000]);
  const found: number[] = [];
  for (let pageToken = '', pages = 0; pages === 0 || pageToken !== ''; pages += 1) {
    const page = await api.call('ListInbox', { unreadOnly: true, pageSize: 10, pageToken }, { user: USER });
    found.push(...page.entries.map((entry) => entry.alert!.alertId));
    pageToken = page.nextPageToken;
  }
  assert.deepEqual(found, [alert!.alertId]);
  // Without a filter a page reads as many rows as it shows.
  const plans: Explained[] = [];
  await listInbox(explaining(database, plans), { ...query, unreadOnly: false, before: newest });
  assertLooksUp(plans);
  assert.ok(!JSON.stringify(plans).includes('"Sort"'));
  await api.call('MarkAllRead', {}, { user: USER });
  const startedAt = performance.now();
  const nothing = await api.call('ListInbox', { unreadOnly: true }, { user: USER });
  assert.deepEqual([nothing.entries, nothing.nextPageToken], [[], '']);
  assert.ok(performance.now() - startedAt < patience(500));
});
