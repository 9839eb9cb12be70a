import assert from 'node:assert/strict';
import test from 'node:test';
import { alertRequest } from '../support/alerts.js';
import type { TestApi } from '../support/api.js';
import { loadDirectory, user } from '../support/directory.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { assertFoldEqualsInbox, collectStream } from '../support/stream.js';

const BEGINNING = { start: 'STREAM_START_BEGINNING' } as const;

async function create(api: TestApi, to: string, count: number, message = ''): Promise<number[]> {
  const ids: number[] = [];
  for (let from = 0; from < count; from += 50) {
    const { results } = await api.call('BatchCreateAlerts', {
      requests: Array.from({ length: Math.min(50, count - from) }, () =>
        alertRequest({ message, recipients: { userIds: [to] } }),
      ),
    });
    ids.push(...results.map(({ response }) => response!.alert!.alertId));
  }
  return ids;
}

test('streams', async (t) => {
  const store = await createTestDatabase(t);
  const env = { DATABASE_URL: store.url, STREAM_BUFFER_MAX: '20', STREAM_HEAL_INTERVAL_MS: '1000' };
  const service = await startStandalone(t, { env });
  const api = service.api();
  await loadDirectory(
    api,
    ['live', 'resume', 'twin', 'slow', 'filter', 'late', 'leaver', 'idle'].map((id) => user(id, 'X')),
  );

  await t.test('a live change carries what CreateAlert was given', async (each) => {
    const stream = await collectStream(each, api, { user: 'live' }).untilLive();
    assert.equal(stream.changes.length, 0);
    const request = alertRequest({
      title: '제목 😀',
      message: 'm\n2',
      // Every object has a property of each of the last three.
      labels: JSON.parse('{"키":"값","__proto__":"a","constructor":"b","toString":"c"}') as Record<string, string>,
      recipients: { userIds: ['live'] },
    });
    const { alert } = await api.call('CreateAlert', request);
    await stream.untilAlerts([alert!.alertId]);
    assert.deepEqual(stream.changes[0]!.alert, alert);
    const labels = Object.entries(request.labels!).sort();
    const { alert: got } = await api.call('GetAlert', { alertId: alert!.alertId });
    const { entries } = await api.call('ListInbox', {}, { user: 'live' });
    for (const each of [stream.changes[0]!.alert, got, entries[0]!.alert])
      assert.deepEqual(Object.entries(each!.labels).sort(), labels);
    assert.deepEqual(stream.changes[0]!.type, 'INBOX_CHANGE_TYPE_CREATED');
    await assertFoldEqualsInbox(api, 'live', stream.folded);
  });

  await t.test('resume after a disconnect with every kind of change in between', async (each) => {
    const as = { user: 'resume' };
    const before = await create(api, 'resume', 10);
    const first = collectStream(each, api, as, BEGINNING);
    await first.untilAlerts(before);
    await api.call('MarkRead', { alertIds: before.slice(0, 3) }, as);
    await first.until(() => first.folded.rows.get(before[2]!)!.isRead, 'reads are seen');
    await first.cancel();
    const [a, b, c, d, e] = before as [number, number, number, number, number];
    const later = await create(api, 'resume', 5);
    await collectStream(each, api, as, BEGINNING).untilAlerts(later);
    await api.call('MarkUnread', { alertIds: [a] }, as);
    await api.call('MarkRead', { alertIds: [d, later[0]!] }, as);
    await api.call('DeleteFromInbox', { alertIds: [b, e, later[1]!] }, as);
    await api.call('DeleteFromInbox', { alertIds: [c] }, as);
    const second = await collectStream(each, api, as, {}, first.folded).untilLive();
    await assertFoldEqualsInbox(api, 'resume', second.folded);
    assert.equal(second.folded.rows.size, 11);
    // Still live, and the token of a checkpoint covers everything.
    const last = await create(api, 'resume', 1);
    await second.untilAlerts(last);
    await second.cancel();
    const third = await collectStream(each, api, as, {}, second.folded).untilLive();
    assert.equal(third.responses.flatMap(({ changes }) => changes).length, 0);
    await assertFoldEqualsInbox(api, 'resume', third.folded);
  });

  await t.test('a row that was seen, and deleted while nobody looked, goes after the reconnect', async (each) => {
    const as = { user: 'late' };
    const [alertId] = await create(api, 'late', 1);
    const first = collectStream(each, api, as, BEGINNING);
    await first.untilAlerts([alertId!]);
    await first.cancel();
    await api.call('DeleteFromInbox', { alertIds: [alertId!] }, as);
    const second = await collectStream(each, api, as, {}, first.folded).untilLive();
    assert.deepEqual(second.folded.list(), []);
  });

  await t.test("a user's other streams see reads and deletions", async (each) => {
    const as = { user: 'twin' };
    const ids = await create(api, 'twin', 6);
    const screens = [collectStream(each, api, as, BEGINNING), collectStream(each, api, as, BEGINNING)];
    for (const screen of screens) await screen.untilAlerts(ids);
    await api.call('MarkRead', { alertIds: [ids[0]!] }, as);
    await api.call('MarkUnread', { alertIds: [ids[0]!] }, as);
    await api.call('DeleteFromInbox', { alertIds: [ids[1]!] }, as);
    await api.call('MarkAllRead', {}, as);
    for (const screen of screens) {
      await screen.until(() => screen.folded.unreadCount === 0, 'everything is read');
      await assertFoldEqualsInbox(api, 'twin', screen.folded);
      assert.equal(screen.folded.rows.size, 5);
    }
  });

  await t.test('a slow reader falls back to PostgreSQL and misses nothing', async (each) => {
    const as = { user: 'slow' };
    const slow = await collectStream(each, service.api(), as, BEGINNING).untilLive();
    const quick = await collectStream(each, api, as, BEGINNING).untilLive();
    slow.pause();
    // 400 alerts of 16 KiB: far beyond what HTTP/2's window and the buffers hold.
    const ids = await create(api, 'slow', 400, 'x'.repeat(16_000));
    await quick.untilAlerts(ids, 30_000);
    await api.call('DeleteFromInbox', { alertIds: ids.slice(0, 10) }, as);
    await api.call('MarkRead', { alertIds: ids.slice(390) }, as);
    assert.ok(slow.changes.length < 400, 'the slow one was not slow');
    slow.resume();
    await slow.untilAlerts(ids.slice(10), 30_000);
    await assertFoldEqualsInbox(api, 'slow', slow.folded);
    await assertFoldEqualsInbox(api, 'slow', quick.folded);
  });

  await t.test('filters', async (each) => {
    const as = { user: 'filter' };
    const filter = {
      kinds: ['ALERT_KIND_ISSUE' as const],
      minimumLevel: 'ALERT_LEVEL_WARNING' as const,
      unreadOnly: true,
    };
    const stream = await collectStream(each, api, as, { ...BEGINNING, filter }).untilLive();
    const recipients = { userIds: ['filter'] };
    const issue = alertRequest({ kind: 'ALERT_KIND_ISSUE', level: 'ALERT_LEVEL_WARNING', recipients });
    await api.call('CreateAlert', alertRequest({ recipients }));
    await api.call('CreateAlert', { ...issue, level: 'ALERT_LEVEL_INFO' });
    const { alert } = await api.call('CreateAlert', issue);
    await stream.untilAlerts([alert!.alertId]);
    assert.equal(stream.changes.length, 1);
    assert.equal(stream.folded.unreadCount, 3);
    await api.call('MarkRead', { alertIds: [alert!.alertId] }, as);
    await stream.until(() => stream.folded.rows.get(alert!.alertId)!.isRead, 'it leaves');
    assert.equal(stream.changes.length, 2);
  });

  await t.test('checkpoints come at the interval', async (each) => {
    const request = { checkpointInterval: { seconds: 1, nanos: 0 } };
    const stream = await collectStream(each, api, { user: 'idle' }, request).untilLive();
    const started = performance.now();
    await stream.until(() => stream.responses.length >= 4, 'three checkpoints after the first');
    // A slow machine makes it longer, never shorter; the default interval would be 45 s.
    const ms = performance.now() - started;
    assert.ok(ms >= 2500, `three intervals of a second took ${ms} ms`);
    assert.ok(stream.responses.every(({ changes }) => changes.length === 0));
  });

  await t.test('the streams of a user who becomes inactive end', async (each) => {
    const stream = await collectStream(each, api, { user: 'leaver' }).untilLive();
    await loadDirectory(api, [user('leaver', 'X', { active: false })]);
    const error = await stream.untilRefused();
    assert.deepEqual([error.code, error.reason], ['PERMISSION_DENIED', 'USER_INACTIVE']);
  });

  await t.test('a shutdown ends streams with UNAVAILABLE', async (each) => {
    const stream = await collectStream(each, api, { user: 'live' }).untilLive();
    const stopping = service.kill('SIGTERM');
    const error = await stream.untilRefused();
    assert.deepEqual([error.code, error.reason], ['UNAVAILABLE', 'SHUTTING_DOWN']);
    assert.equal((await stopping).code, 0);
  });
});
