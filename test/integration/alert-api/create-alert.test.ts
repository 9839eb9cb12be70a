import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { CreateBatcher } from '../../../services/alert-api/create-batcher.js';
import type { CreateResult } from '../../../services/alert-api/create-lane.js';
import type { NewAlert } from '../../../services/domain/alert.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { Database } from '../../../services/lib/postgres.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { insertAlerts, unreachedOf } from '../../../services/store/alerts.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { RecipientResolver } from '../../../services/store/recipient-resolver.js';
import { newAlert } from '../../support/alerts.js';
import { storeDirectory, user } from '../../support/directory.js';
import { createTestDatabase } from '../../support/postgres.js';
import { seeded, shuffled } from '../seeded.js';

async function setUp(t: TestContext) {
  const store = await createTestDatabase(t);
  await storeDirectory(store.database);
  return store;
}

function batcherOn(database: Database, options: { queueMax?: number; batchMax?: number; isFull?: () => boolean } = {}) {
  const stored: number[] = [];
  const batcher = new CreateBatcher({
    database,
    tracing: Tracing.off(),
    slowMs: 5000,
    queueMax: 10_000,
    batchMax: 500,
    isFull: () => false,
    ...options,
    onStored: (alerts) => stored.push(...alerts.map(({ alert }) => alert.alertId)),
  });
  return { batcher, stored };
}

async function refusalOf(creating: Promise<CreateResult>): Promise<AlertError> {
  try {
    await creating;
  } catch (error) {
    assert.ok(error instanceof AlertError, String(error));
    return error;
  }
  throw new Error('the alert was stored');
}

test('one transaction stores the alert, its outbox row, its progress and its recipients', async (t) => {
  const { database, sql } = await setUp(t);
  const request = newAlert({ recipients: { userIds: ['op1'], githubLogins: ['CORE-ONE'], departments: ['CHANNEL'] } });
  const [result] = await insertAlerts(database, [request]);
  assert.equal(result!.outcome, 'stored');
  const alertId = result!.outcome === 'stored' ? result!.alertId : 0;
  assert.deepEqual(await sql('SELECT alert_id FROM outbox'), [{ alert_id: alertId }]);
  assert.deepEqual(await sql('SELECT alert_id, published_at, completed_at FROM alert_progress'), [
    { alert_id: alertId, published_at: null, completed_at: null },
  ]);
  assert.deepEqual(await sql('SELECT user_id FROM alert_recipients ORDER BY user_id'), [
    { user_id: 'core1' },
    { user_id: 'op1' },
  ]);
  const recipients = await new RecipientResolver(database).recipientsOf([alertId]);
  assert.deepEqual([...recipients.get(alertId)!].sort(), ['chan1', 'chan2', 'core1', 'op1']);
});

test('what is stored comes back unchanged', async (t) => {
  const { database } = await setUp(t);
  const { batcher } = batcherOn(database);
  const request = newAlert({
    requestId: 'r',
    title: '제목 😀 "quoted" \\ back',
    message: 'a\nb\tc\r\n\u0001 ‮rtl',
    labels: { 'k"': 'v\\', 키: '값', empty: '' },
    sourceId: 's',
    occurredAt: { seconds: Math.floor(Date.now() / 1000) - 60, nanos: 123_000_000 },
  });
  const first = await batcher.create(request);
  const again = await batcher.create(request);
  assert.deepEqual(again, { ...first, replayed: true });
  const { title, message, labels, occurredAt, sourceId } = again.alert;
  assert.deepEqual(
    { title, message, labels, occurredAt, sourceId },
    {
      title: request.title,
      message: request.message,
      labels: request.labels,
      occurredAt: request.occurredAt,
      sourceId: 's',
    },
  );
});

test('a request id belongs to its caller: same body replays, another body is refused', async (t) => {
  const { database, sql } = await setUp(t);
  const { batcher, stored } = batcherOn(database);
  const make = (title: string, caller = 'a', requestId = 'r1') => newAlert({ requestId, title }, caller);
  const first = await batcher.create(make('one'));
  assert.equal(first.replayed, false);
  assert.deepEqual(await batcher.create(make('one')), { ...first, replayed: true });
  const refusal = await refusalOf(batcher.create(make('two')));
  assert.deepEqual(
    [refusal.code, refusal.reason, refusal.metadata],
    ['FAILED_PRECONDITION', 'REQUEST_ID_REUSED', { alert_id: String(first.alert.alertId) }],
  );
  assert.equal((await batcher.create(make('two', 'b'))).replayed, false);
  // No request id, no deduplication.
  const plain = await Promise.all([batcher.create(make('x', 'a', '')), batcher.create(make('x', 'a', ''))]);
  assert.notEqual(plain[0].alert.alertId, plain[1].alert.alertId);
  assert.equal(stored.length, 4);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM outbox'), [{ n: 4 }]);
});

test('the longest request id of the longest caller fits into the index, and is looked for whole', async (t) => {
  const { database } = await setUp(t);
  const { batcher } = batcherOn(database);
  const random = seeded(3);
  // Four bytes each, and nothing that could be compressed.
  const text = (length: number) =>
    Array.from({ length }, () => String.fromCodePoint(0x10000 + random(0x80000))).join('');
  const [caller, requestId] = [text(128), text(511)];
  const first = await batcher.create(newAlert({ requestId: `${requestId}a`, title: 'one' }, caller));
  const other = await batcher.create(newAlert({ requestId: `${requestId}b`, title: 'one' }, caller));
  assert.notEqual(other.alert.alertId, first.alert.alertId);
  const again = await batcher.create(newAlert({ requestId: `${requestId}a`, title: 'one' }, caller));
  assert.deepEqual(again, { ...first, replayed: true });
});

test('repeats inside a batch: one alert, and the one with another body is refused', async (t) => {
  const { database, sql } = await setUp(t);
  const { batcher, stored } = batcherOn(database);
  const same = newAlert({ requestId: 'dup', title: 'same' });
  const other = newAlert({ requestId: 'dup', title: 'other' });
  const [first, second, third, alone] = await Promise.allSettled([
    batcher.create(same),
    batcher.create(same),
    batcher.create(other),
    batcher.create(newAlert()),
  ]);
  assert.ok(first.status === 'fulfilled' && second.status === 'fulfilled' && alone.status === 'fulfilled');
  assert.equal(first.value.replayed, false);
  assert.deepEqual(second.value, { ...first.value, replayed: true });
  assert.ok(third.status === 'rejected' && (third.reason as AlertError).reason === 'REQUEST_ID_REUSED');
  assert.equal(stored.length, 2);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 2 }]);
});

test('those who are known get it, the others are named as they were given, in the answer, a replay and what is stored', async (t) => {
  const { database, sql } = await setUp(t);
  await upsertUsers(database, [user('night1', 'NIGHT', { active: false })], NO_ACCOUNT);
  const { batcher } = batcherOn(database);
  const request = newAlert({
    requestId: 'r',
    recipients: {
      userIds: ['Ghost', 'op1', 'core3'],
      githubLogins: ['OctoCat', 'CORE-ONE', 'Core-Three', 'octocat'],
      departments: ['MOON', 'CHANNEL', 'NIGHT'],
    },
  });
  const first = await batcher.create(request);
  const named = first.reach.unreached.names.map(({ list, name, reason }) => [list, name, reason]);
  assert.deepEqual(named, [
    ['USER_IDS', 'Ghost', 'UNKNOWN'],
    ['USER_IDS', 'core3', 'INACTIVE'],
    ['GITHUB_LOGINS', 'OctoCat', 'UNKNOWN'],
    ['GITHUB_LOGINS', 'Core-Three', 'INACTIVE'],
    ['DEPARTMENTS', 'MOON', 'UNKNOWN'],
    ['DEPARTMENTS', 'NIGHT', 'NO_ACTIVE_USER'],
  ]);
  assert.deepEqual([first.reach.unreached.count, first.reach.reachesNamed], [6, true]);
  const recipients = await new RecipientResolver(database).recipientsOf([first.alert.alertId]);
  assert.deepEqual([...recipients.get(first.alert.alertId)!].sort(), ['chan1', 'chan2', 'core1', 'op1']);
  assert.deepEqual(await batcher.create(request), { ...first, replayed: true });
  assert.deepEqual(await unreachedOf(database, first.alert.alertId), first.reach.unreached);
  // A department that exists is no unknown name, even if nobody of it is active: the alert is stored, and reaches
  // nobody.
  const night = newAlert({ requestId: 'n', recipients: { departments: ['NIGHT'] } });
  const stored = await batcher.create(night);
  assert.deepEqual([stored.reach.reachesNamed, stored.reach.unreached.count], [false, 1]);
  assert.deepEqual(await batcher.create(night), { ...stored, replayed: true });
  // Of thousands the first hundred are kept.
  const many = Array.from({ length: 5000 }, (_, index) => `ghost${index}`);
  const large = await batcher.create(
    newAlert({ recipients: { userIds: [...many.slice(1), 'op1'], githubLogins: many } }),
  );
  assert.deepEqual([large.reach.unreached.count, large.reach.unreached.names.length], [9999, 100]);
  assert.equal(large.reach.unreached.names[99]!.name, 'ghost100');
  assert.deepEqual(await sql("SELECT count(*) AS n FROM alerts WHERE (unreached->>'count')::int > 0"), [{ n: 3 }]);
});

test('where nobody is known, unknown and inactive recipients are named, the first ten and how many more', async (t) => {
  const { database, sql } = await setUp(t);
  const { batcher } = batcherOn(database);
  const userIds = ['core3', ...Array.from({ length: 12 }, (_, index) => `ghost${index}`)];
  const refusal = await refusalOf(
    batcher.create(
      newAlert({ recipients: { userIds, githubLogins: ['Nobody', 'core-three'], departments: ['MOON'] } }),
    ),
  );
  assert.equal(refusal.code, 'INVALID_ARGUMENT');
  assert.equal(refusal.violations.length, 11);
  // 12 ghosts, core3 twice (by id and by login), nobody, MOON: 16.
  assert.match(refusal.violations[10]!.description, /^and 6 more /);
  const all = await Promise.all(
    [{ userIds: ['core3'] }, { githubLogins: ['Nobody'] }, { departments: ['MOON'] }].map((recipients) =>
      refusalOf(batcher.create(newAlert({ recipients }))),
    ),
  );
  assert.deepEqual(
    all.map(({ violations: [first] }) => [first!.field, first!.description]),
    [
      ['recipients.user_ids', "'core3' is inactive"],
      ['recipients.github_logins', "'Nobody' does not exist"],
      ['recipients.departments', "'MOON' does not exist"],
    ],
  );
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 0 }]);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alert_recipients'), [{ n: 0 }]);
});

test('one refused request does not touch the others of its batch', async (t) => {
  const { database, sql } = await setUp(t);
  const { batcher } = batcherOn(database);
  const results = await Promise.allSettled([
    batcher.create(newAlert({ recipients: { userIds: ['op1'] } })),
    batcher.create(newAlert({ recipients: { userIds: ['ghost'] }, requestId: 'g' })),
    batcher.create(newAlert()),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 2 }]);
  // What was refused has not used its request id up.
  await upsertUsers(database, [user('ghost', 'OPERATION')], NO_ACCOUNT);
  const later = await batcher.create(newAlert({ recipients: { userIds: ['ghost'] }, requestId: 'g' }));
  assert.equal(later.replayed, false);
});

test('logins in any case reach the same user', async (t) => {
  const { database } = await setUp(t);
  const { batcher } = batcherOn(database);
  for (const login of ['op-one', 'OP-ONE', 'Op-One']) {
    const { alert } = await batcher.create(newAlert({ recipients: { githubLogins: [login] } }));
    const recipients = await new RecipientResolver(database).recipientsOf([alert.alertId]);
    assert.deepEqual(recipients.get(alert.alertId), ['op1'], login);
  }
});

test('a replay gets the first answer even if a recipient has become inactive since', async (t) => {
  const { database } = await setUp(t);
  const { batcher } = batcherOn(database);
  const request = newAlert({ requestId: 'r', recipients: { userIds: ['op2'] } });
  const first = await batcher.create(request);
  await upsertUsers(database, [user('op2', 'OPERATION', { active: false })], NO_ACCOUNT);
  assert.deepEqual(await batcher.create(request), { ...first, replayed: true });
});

test('beyond the bound: RESOURCE_EXHAUSTED with a time to wait, and the others are stored', async (t) => {
  const { database, sql } = await setUp(t);
  const { batcher } = batcherOn(database, { queueMax: 40 });
  // One caller has half of the room, the next one half of what is left.
  const requests = ['a', 'b'].flatMap((caller) => Array.from({ length: 50 }, () => newAlert({}, caller)));
  const results = await Promise.allSettled(requests.map((request) => batcher.create(request)));
  const refused = results.filter((result) => result.status === 'rejected');
  assert.equal(refused.length, 70);
  for (const { reason } of refused) {
    assert.ok(reason instanceof AlertError);
    assert.deepEqual([reason.code, reason.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_REQUESTS']);
    assert.ok(reason.retryAfterMs! > 0);
  }
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 30 }]);
  assert.equal((await batcher.create(newAlert())).replayed, false);
});

test('two processes with the same request ids at once: one alert each, both answered alike', async (t) => {
  const { connect, database, sql } = await setUp(t);
  const random = seeded(7);
  const sides = [batcherOn(database, { batchMax: 20 }), batcherOn(connect(), { batchMax: 20 })];
  for (let round = 0; round < 5; round += 1) {
    const requests = Array.from({ length: 100 }, (_, index) =>
      newAlert({ requestId: `${round}-${index}`, title: `t${index}` }),
    );
    const answers = await Promise.all(
      sides.flatMap(({ batcher }) =>
        shuffled(requests, random).map(async (request) => ({
          requestId: request.requestId,
          ...(await batcher.create(request)),
        })),
      ),
    );
    const byId = new Map<string, { ids: Set<number>; stored: number }>();
    for (const { requestId, alert, replayed } of answers) {
      const entry = byId.get(requestId) ?? { ids: new Set(), stored: 0 };
      entry.ids.add(alert.alertId);
      if (!replayed) entry.stored += 1;
      byId.set(requestId, entry);
    }
    assert.equal(byId.size, 100);
    for (const [requestId, { ids, stored }] of byId) assert.deepEqual([ids.size, stored], [1, 1], requestId);
  }
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 500 }]);
  assert.equal(new Set(sides.flatMap(({ stored }) => stored)).size, 500);
  assert.equal(sides.flatMap(({ stored }) => stored).length, 500);
});

test('a statement that fails for one request fails for that one alone', async (t) => {
  const { database, sql } = await setUp(t);
  const { batcher } = batcherOn(database);
  // The validation in front of the batcher would not let it through; PostgreSQL does not take U+0000.
  const poison: NewAlert = { ...newAlert(), title: 'a\0b' };
  const results = await Promise.allSettled(
    [newAlert(), newAlert(), poison, newAlert(), newAlert()].map((request) => batcher.create(request)),
  );
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 4 }]);
});

test('a full outbox refuses at once, with a time to come back, and stores nothing', async (t) => {
  const { database } = await createTestDatabase(t);
  let full = true;
  const { batcher, stored } = batcherOn(database, { isFull: () => full });
  const refusal = await refusalOf(batcher.create(newAlert()));
  assert.equal(refusal.code, 'UNAVAILABLE');
  assert.equal(refusal.reason, 'OUTBOX_FULL');
  assert.equal(refusal.retryAfterMs, 5000);
  assert.equal(stored.length, 0);
  assert.equal(batcher.room.requests, 0);
  full = false;
  await batcher.create(newAlert());
  assert.equal(stored.length, 1);
});
