import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { EntryChange } from '../../../services/domain/alert.js';
import type { Database } from '../../../services/lib/postgres.js';
import { wait } from '../../../services/lib/retry.js';
import { insertAlerts } from '../../../services/store/alerts.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { deliverToInboxes, type Delivery, missingDeliveries } from '../../../services/store/inbox-delivery.js';
import {
  changesAfter,
  deleteFromInbox,
  inboxPosition,
  markAllRead,
  markRead,
  markUnread,
} from '../../../services/store/inboxes.js';
import { readEpoch } from '../../../services/store/state.js';
import { newAlert } from '../../support/alerts.js';
import { storeDirectory, users } from '../../support/directory.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { patience } from '../../support/until-true.js';
import { seeded, shuffled } from '../seeded.js';

const PEOPLE = users('u', 8, 'OPERATION');
const IDS = PEOPLE.map(({ userId }) => userId);

async function setUp(t: TestContext, alerts: number) {
  const store = await createTestDatabase(t);
  await storeDirectory(store.database, PEOPLE);
  return { ...store, alertIds: await addAlerts(store.database, alerts) };
}

async function addAlerts(database: Database, count: number): Promise<number[]> {
  const results = await insertAlerts(
    database,
    Array.from({ length: count }, () => newAlert()),
  );
  return results.map((result) => (result.outcome === 'stored' ? result.alertId : 0));
}

const to = (userId: string, ...alertIds: number[]): Delivery[] => alertIds.map((alertId) => ({ userId, alertId }));

/** Delivers; what others hold is tried again, as the consumer does. */
async function deliver(database: Database, deliveries: readonly Delivery[]): Promise<void> {
  for (let rest = deliveries; rest.length > 0;) {
    const { held } = await deliverToInboxes(database, rest);
    rest = rest.filter(({ userId }) => held.has(userId));
  }
}

/** Marks all as read; what the pages changed together. */
async function markAll(database: Database, userId: string): Promise<{ changes: EntryChange[]; unread: number }> {
  const changes: EntryChange[] = [];
  const pages = markAllRead(database, userId, NO_ACCOUNT);
  for (let page = await pages.next(); ; page = await pages.next()) {
    if (page.done === true) return { changes, unread: page.value };
    changes.push(...page.value.changes);
  }
}

/** Puts `count` unread entries into an inbox, in one statement. */
async function fill(
  { sql, alertIds }: { sql: TestDatabase['sql']; alertIds: number[] },
  userId: string,
  count: number,
) {
  await sql(
    `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
     SELECT $1, $2::bigint + k, k, k, 1, false, now() FROM generate_series(1, $3::int) k`,
    [userId, alertIds[0]! + 1_000_000, count],
  );
  await sql('INSERT INTO inboxes (user_id, last_seq, unread_count) VALUES ($1, $2::int, $2::int)', [userId, count]);
}

/**
 * I3 and the counts: numbers are unique, every row has one of 1..last_seq, and the badge is the number of unread rows.
 */
async function assertConsistent({ sql }: Pick<TestDatabase, 'sql'>, dense: boolean): Promise<void> {
  const rows = await sql<{
    user_id: string;
    last_seq: number;
    unread_count: number;
    top: number | null;
    rows: number;
    numbers: number;
    unread: number;
  }>(`
    SELECT i.user_id, i.last_seq, i.unread_count, max(s.seq) AS top, count(s.seq) AS rows, count(DISTINCT s.seq) AS numbers,
           count(*) FILTER (WHERE NOT s.is_read AND s.deleted_at IS NULL AND s.seq IS NOT NULL) AS unread
    FROM inboxes i LEFT JOIN alert_statuses s USING (user_id) GROUP BY i.user_id ORDER BY i.user_id`);
  for (const row of rows) {
    assert.equal(row.top ?? 0, row.last_seq, `${row.user_id}: the last number is a row's`);
    assert.equal(row.numbers, row.rows, `${row.user_id}: numbers are unique`);
    assert.equal(row.unread, row.unread_count, `${row.user_id}: unread_count`);
    if (dense) assert.equal(row.rows, row.last_seq, `${row.user_id}: numbers are dense`);
  }
}

test('numbers are dense, in the order of the batch, for new inboxes and old ones', async (t) => {
  const { database, alertIds } = await setUp(t, 5);
  const [a, b, c, d, e] = alertIds as [number, number, number, number, number];
  const first = await deliverToInboxes(database, [...to('u1', c, a), ...to('u2', b), ...to('u1', b)]);
  assert.equal(first.created, 4);
  assert.deepEqual(first.impossible, []);
  const rowsOf = (result: typeof first, userId: string) =>
    result.inboxes
      .find((inbox) => inbox.userId === userId)!
      .changes.map(({ alertId, sequence }) => [alertId, sequence]);
  assert.deepEqual(rowsOf(first, 'u1'), [
    [c, 1],
    [a, 2],
    [b, 3],
  ]);
  assert.deepEqual(rowsOf(first, 'u2'), [[b, 1]]);
  // u1 has an inbox by now, u3 has none: both ways in one batch.
  const second = await deliverToInboxes(database, [...to('u3', e), ...to('u1', e, d)]);
  assert.deepEqual(rowsOf(second, 'u1'), [
    [e, 4],
    [d, 5],
  ]);
  assert.deepEqual(rowsOf(second, 'u3'), [[e, 1]]);
  const state = second.inboxes.find(({ userId }) => userId === 'u1')!;
  assert.deepEqual([state.lastSequence, state.unreadCount], [5, 5]);
});

test('a repeated batch has no effect and describes what is there now', async (t) => {
  const store = await setUp(t, 4);
  const { database, alertIds, sql } = store;
  const [a, b, c, d] = alertIds as [number, number, number, number];
  const batch = to('u1', a, b, c);
  await deliverToInboxes(database, batch);
  await markRead(database, 'u1', [a], NO_ACCOUNT);
  await deleteFromInbox(database, 'u1', [b], NO_ACCOUNT);
  const before = await sql('SELECT * FROM alert_statuses ORDER BY alert_id');
  const again = await deliverToInboxes(database, batch);
  assert.equal(again.created, 0);
  assert.deepEqual(await sql('SELECT * FROM alert_statuses ORDER BY alert_id'), before);
  assert.deepEqual(again.inboxes, [
    {
      userId: 'u1',
      lastSequence: 5,
      unreadCount: 1,
      epoch: await readEpoch(database),
      changes: [
        { alertId: c, sequence: 3, change: 'CREATED', isRead: false },
        { alertId: a, sequence: 4, change: 'READ', isRead: true },
        { alertId: b, sequence: 5, change: 'DELETED', isRead: false },
      ],
    },
  ]);
  // Half old, half new.
  const mixed = await deliverToInboxes(database, to('u1', d, a));
  assert.equal(mixed.created, 1);
  assert.deepEqual(
    mixed.inboxes[0]!.changes.map(({ alertId, sequence }) => [alertId, sequence]),
    [
      [a, 4],
      [d, 6],
    ],
  );
  await assertConsistent(store, false);
});

test('an alert twice in one batch is delivered once', async (t) => {
  const { database, alertIds } = await setUp(t, 1);
  const twice = [...to('u1', alertIds[0]!), ...to('u1', alertIds[0]!)];
  assert.equal((await deliverToInboxes(database, twice)).created, 1);
  assert.equal((await deliverToInboxes(database, [...twice, ...to('u2', alertIds[0]!)])).created, 1);
  assert.deepEqual(await deliverToInboxes(database, []), {
    inboxes: [],
    created: 0,
    impossible: [],
    closed: 0,
    otherEpoch: 0,
    held: new Set(),
  });
});

test('unknown alerts and users are reported and the rest is delivered', async (t) => {
  const store = await setUp(t, 2);
  const { database, alertIds } = store;
  const [a, b] = alertIds as [number, number];
  for (const userId of ['u1', 'u2']) await deliverToInboxes(database, to(userId, a));
  const result = await deliverToInboxes(database, [
    ...to('u1', b, 999_999),
    ...to('ghost', b),
    ...to('u2', b),
    ...to('u3', b),
  ]);
  assert.equal(result.created, 3);
  assert.deepEqual(
    result.impossible.map(({ delivery, reason }) => [delivery.userId, delivery.alertId, reason]).sort(),
    [
      ['ghost', b, 'user ghost does not exist'],
      ['u1', 999_999, 'alert 999999 does not exist'],
    ],
  );
  assert.deepEqual(
    (
      await missingDeliveries(
        database,
        IDS.map((userId) => ({ userId, alertId: b })),
      )
    ).missing
      .map(({ userId }) => userId)
      .sort(),
    ['u4', 'u5', 'u6', 'u7', 'u8'],
  );
  await assertConsistent(store, true);
});

test('concurrent batches over overlapping users, 20 rounds: dense, unique, counted', async (t) => {
  const store = await setUp(t, 1);
  const { database } = store;
  const random = seeded(20);
  const other = store.connect();
  for (let round = 0; round < 20; round += 1) {
    const alertIds = await addAlerts(database, 6);
    const all = shuffled(
      IDS.flatMap((userId) => to(userId, ...alertIds)),
      random,
    );
    // Three batches of which each pair shares records.
    const batches = [all.slice(0, 30), all.slice(15, 48), [...all.slice(36), ...all.slice(0, 6)]];
    await Promise.all(batches.map((batch, index) => deliver(index === 1 ? other : database, batch)));
    await assertConsistent(store, true);
    assert.deepEqual((await missingDeliveries(database, all)).missing, []);
  }
  assert.deepEqual(await store.sql('SELECT DISTINCT last_seq, unread_count FROM inboxes'), [
    { last_seq: 120, unread_count: 120 },
  ]);
});

test('an inbox that somebody holds is left out at once; the others are served, and it is when it is free', async (t) => {
  const store = await setUp(t, 4);
  const { database, alertIds, connect } = store;
  const [a, b, c, d] = alertIds as [number, number, number, number];
  await deliver(database, [...to('u1', a), ...to('u2', a)]);
  const holder = connect();
  await holder.transaction(async (connection) => {
    await connection.query("SELECT 1 FROM inboxes WHERE user_id = 'u1' FOR UPDATE");
    const startedAt = performance.now();
    // New rows alone; with a row that is there; with an inbox that is not.
    for (const batch of [
      [...to('u1', b), ...to('u2', b)],
      [...to('u1', c, a), ...to('u2', c, a)],
      [...to('u3', c), ...to('u1', c)],
    ]) {
      const { held, inboxes } = await deliverToInboxes(database, batch);
      assert.deepEqual([...held], ['u1']);
      assert.equal(inboxes.length, 1);
    }
    const ms = performance.now() - startedAt;
    assert.ok(ms < patience(1000), `${ms} ms`);
    const { held } = await deliverToInboxes(database, to('u1', b), true);
    assert.deepEqual([...held], ['u1'], 'in line it waits a second');
    // What is returned as waiting is counted when it is handled.
    const other = { epoch: 1 };
    const mixed = [...to('u1', b), ...to('u2', d), { ...to('u1', c)[0]!, ...other }, { ...to('u2', c)[0]!, ...other }];
    assert.equal((await deliverToInboxes(database, mixed)).otherEpoch, 1);
  });
  const { inboxes } = await deliverToInboxes(database, to('u1', b, c, d));
  assert.deepEqual(
    inboxes[0]!.changes.map(({ alertId, sequence }) => [alertId, sequence]),
    [
      [b, 2],
      [c, 3],
      [d, 4],
    ],
  );
  await assertConsistent(store, true);
});

test('an inbox that callers hold in turn is never found free: in line it is served', async (t) => {
  const { database, alertIds, connect } = await setUp(t, 2);
  await deliver(database, to('u1', alertIds[0]!));
  let isOver = false;
  const holders = Array.from({ length: 6 }, async () => {
    const holder = connect();
    while (!isOver)
      await holder.transaction(async (connection) => {
        await connection.query("SELECT 1 FROM inboxes WHERE user_id = 'u1' FOR UPDATE");
        await connection.query('SELECT pg_sleep(0.02)');
      });
  });
  await wait(200);
  const { created } = await deliverToInboxes(database, to('u1', alertIds[1]!), true);
  isOver = true;
  await Promise.all(holders);
  assert.equal(created, 1);
});

test('reading, unreading and deleting while alerts arrive: every number once, every count right', async (t) => {
  for (const seed of [1, 2, 3]) {
    await t.test(`seed ${seed}`, async (each) => {
      const store = await setUp(each, 40);
      const { database, alertIds } = store;
      const random = seeded(seed);
      const people = ['u1', 'u2', 'u3'];
      const batches = Array.from({ length: 25 }, () =>
        Array.from({ length: 8 }, () => ({
          userId: people[random(3)]!,
          alertId: alertIds[random(alertIds.length)]!,
        })),
      );
      const mutations = Array.from({ length: 60 }, () => {
        const userId = people[random(3)]!;
        const some = Array.from({ length: 1 + random(5) }, () => alertIds[random(alertIds.length)]!);
        return [
          () => markRead(database, userId, some, NO_ACCOUNT),
          () => markUnread(database, userId, some, NO_ACCOUNT),
          () => deleteFromInbox(database, userId, some, NO_ACCOUNT),
          async () => ({ userId, ...(await markAll(database, userId)) }),
        ][[0, 0, 0, 1, 1, 2, 3][random(7)]!]!;
      });
      const numbers = new Map<string, number[]>();
      const note = (userId: string, sequences: number[]) =>
        numbers.set(userId, [...(numbers.get(userId) ?? []), ...sequences]);
      await Promise.all([
        ...[0, 1].map(async (lane) => {
          for (const batch of batches.filter((_, index) => index % 2 === lane)) await deliver(database, batch);
        }),
        ...[0, 1].map(async (lane) => {
          for (const mutation of mutations.filter((_, index) => index % 2 === lane)) {
            const { userId, changes } = await mutation();
            note(
              userId,
              changes.map(({ sequence }) => sequence),
            );
          }
        }),
      ]);
      await assertConsistent(store, false);
      // Each number is given once: a mutation's are its own, a creation's are in created_seq, and together they are
      // dense.
      for (const userId of people) {
        const created = await store.sql<{ created_seq: number }>(
          'SELECT created_seq FROM alert_statuses WHERE user_id = $1',
          [userId],
        );
        const given = [...(numbers.get(userId) ?? []), ...created.map(({ created_seq }) => created_seq)].sort(
          (x, y) => x - y,
        );
        const { lastSequence } = await inboxPosition(database, userId);
        assert.deepEqual(
          given,
          Array.from({ length: lastSequence }, (_, index) => index + 1),
          userId,
        );
      }
    });
  }
});

test('mutations touch only what they apply to, and repeated ones nothing', async (t) => {
  const store = await setUp(t, 3);
  const { database, alertIds } = store;
  const [a, b, c] = alertIds as [number, number, number];
  await deliverToInboxes(database, [...to('u1', a, b), ...to('u2', a, b, c)]);
  const read = await markRead(database, 'u1', [a, b, c, 12_345], NO_ACCOUNT);
  assert.deepEqual(
    read.changes.map(({ alertId, sequence, change, isRead }) => [alertId, sequence, change, isRead]),
    [
      [a, 3, 'READ', true],
      [b, 4, 'READ', true],
    ],
  );
  assert.deepEqual([read.lastSequence, read.unreadCount], [4, 0]);
  assert.deepEqual((await markRead(database, 'u1', [a, b], NO_ACCOUNT)).changes, []);
  assert.equal((await markUnread(database, 'u1', [a], NO_ACCOUNT)).unreadCount, 1);
  const deleted = await deleteFromInbox(database, 'u1', [a, b], NO_ACCOUNT);
  assert.deepEqual([deleted.changes.length, deleted.unreadCount, deleted.lastSequence], [2, 0, 7]);
  assert.deepEqual((await markUnread(database, 'u1', [a, b], NO_ACCOUNT)).changes, []);
  assert.deepEqual((await deleteFromInbox(database, 'u1', [a], NO_ACCOUNT)).changes, []);
  // A user who has no inbox.
  assert.deepEqual(await markAll(database, 'u5'), { changes: [], unread: 0 });
  // Nobody else's inbox was touched.
  assert.deepEqual(await inboxPosition(database, 'u2'), { lastSequence: 3, prunedSequence: 0, unreadCount: 3 });
  await assertConsistent(store, false);
});

test('changesAfter: pages while rows move past the page miss nothing and end at the present state', async (t) => {
  const store = await setUp(t, 30);
  const { database, alertIds } = store;
  await deliverToInboxes(database, to('u1', ...alertIds));
  const random = seeded(11);
  const seen = new Map<number, { change: string; isRead: boolean }>();
  const sequences: number[] = [];
  let cursor = 0;
  const pageOf = async (userId: string, after: number) =>
    (await changesAfter(database, [{ userId, after, limit: 4 }]))[0]!;
  for (let pages = 0; ; pages += 1) {
    const page = await pageOf('u1', cursor);
    for (const { alertId, sequence, change, isRead } of page.changes) {
      sequences.push(sequence);
      cursor = sequence;
      seen.set(alertId, { change, isRead });
    }
    if (page.changes.length < 4) break;
    if (pages < 6) {
      // Rows in front of and behind the cursor move to the end.
      await markRead(database, 'u1', [alertIds[random(30)]!, alertIds[random(30)]!], NO_ACCOUNT);
      await deleteFromInbox(database, 'u1', [alertIds[random(30)]!], NO_ACCOUNT);
    }
  }
  assert.deepEqual(
    sequences,
    [...sequences].sort((x, y) => x - y),
  );
  assert.equal(new Set(sequences).size, sequences.length);
  const present = await store.sql<{ alert_id: number; is_read: boolean; deleted: boolean }>(
    'SELECT alert_id, is_read, deleted_at IS NOT NULL AS deleted FROM alert_statuses',
  );
  assert.equal(present.length, 30);
  for (const { alert_id, is_read, deleted } of present) {
    const last = seen.get(alert_id)!;
    assert.deepEqual([last.isRead, last.change === 'DELETED'], [is_read, deleted], String(alert_id));
  }
  const end = await pageOf('u1', cursor);
  assert.deepEqual([end.changes, end.lastSequence], [[], cursor]);
  assert.deepEqual(await pageOf('u7', 0), {
    changes: [],
    lastSequence: 0,
    prunedSequence: 0,
    unreadCount: 0,
    epoch: undefined,
  });
});

test('changesAfter: many cursors in one statement get what each would get alone', async (t) => {
  const { database, alertIds } = await setUp(t, 6);
  await deliverToInboxes(database, [...to('u1', ...alertIds), ...to('u2', alertIds[0]!)]);
  await markRead(database, 'u1', [alertIds[1]!], NO_ACCOUNT);
  const cursors = [
    { userId: 'u2', after: 0, limit: 5 },
    { userId: 'u1', after: 7, limit: 5 },
    { userId: 'u7', after: 0, limit: 5 },
    { userId: 'u1', after: 0, limit: 3 },
    { userId: 'u1', after: 5, limit: 5 },
  ];
  const together = await changesAfter(database, cursors);
  const alone = await Promise.all(cursors.map((cursor) => changesAfter(database, [cursor])));
  assert.deepEqual(together, alone.flat());
  assert.deepEqual(
    together.map(({ changes }) => changes.map(({ sequence }) => sequence)),
    [[1], [], [], [1, 3, 4], [6, 7]],
  );
});

test('MarkAllRead marks what was there when it began, a page at a time; what comes or is marked unread meanwhile stays', async (t) => {
  const store = await setUp(t, 1);
  const { database, alertIds } = store;
  await fill(store, 'u1', 2600);
  const some = Array.from({ length: 300 }, (_, index) => alertIds[0]! + 1_000_000 + 1 + index * 7);
  await markRead(database, 'u1', some, NO_ACCOUNT);
  await deleteFromInbox(database, 'u1', some.slice(0, 50), NO_ACCOUNT);
  const pages = markAllRead(database, 'u1', NO_ACCOUNT);
  const changed: number[] = [];
  for (let page = await pages.next(); page.done !== true; page = await pages.next()) {
    assert.ok(page.value.changes.length <= 1000);
    if (changed.length === 0) {
      await deliver(database, to('u1', alertIds[0]!));
      await markUnread(database, 'u1', [some[100]!, page.value.changes[0]!.alertId], NO_ACCOUNT);
    }
    changed.push(...page.value.changes.map(({ alertId }) => alertId));
  }
  assert.equal(changed.length, 2300);
  const unread = await store.sql<{ alert_id: number }>(
    "SELECT alert_id FROM alert_statuses WHERE user_id = 'u1' AND NOT is_read AND deleted_at IS NULL ORDER BY alert_id",
  );
  assert.deepEqual(
    unread.map(({ alert_id }) => alert_id),
    [alertIds[0]!, some[100]!, changed[0]!].toSorted((a, b) => a - b),
  );
  await assertConsistent(store, false);
  assert.deepEqual((await markAll(database, 'u1')).changes.length, 3);
});

test('an old unread entry far below many read ones is found', async (t) => {
  const store = await setUp(t, 1);
  await fill(store, 'u1', 25_000);
  const first = store.alertIds[0]! + 1_000_001;
  await store.sql('UPDATE alert_statuses SET is_read = true WHERE alert_id > $1', [first]);
  await store.sql('UPDATE inboxes SET unread_count = 1');
  const { changes, unread } = await markAll(store.database, 'u1');
  assert.deepEqual([changes.map(({ alertId, sequence }) => [alertId, sequence]), unread], [[[first, 25_001]], 0]);
});

test('who changes nothing does not wait for an inbox that somebody holds; who does is told after 2 s', async (t) => {
  const store = await setUp(t, 2);
  const { database, alertIds, connect } = store;
  const [a, b] = alertIds as [number, number];
  await deliver(database, [...to('u1', a), ...to('u2', b)]);
  await markRead(database, 'u1', [a], NO_ACCOUNT);
  await connect().transaction(async (connection) => {
    await connection.query('SELECT 1 FROM inboxes FOR UPDATE');
    const startedAt = performance.now();
    assert.deepEqual(await markAll(database, 'u1'), { changes: [], unread: 0 });
    assert.equal((await markRead(database, 'u1', [a, b], NO_ACCOUNT)).lastSequence, 2);
    assert.deepEqual((await markUnread(database, 'u1', [b], NO_ACCOUNT)).changes, []);
    assert.deepEqual((await deleteFromInbox(database, 'u1', [b], NO_ACCOUNT)).changes, []);
    assert.ok(performance.now() - startedAt < patience(1000));
    await assert.rejects(markAll(database, 'u2'), { code: '55P03' });
  });
});

test('while 40,000 entries are marked others get the lock of the inbox between two pages', async (t) => {
  const store = await setUp(t, 1);
  await fill(store, 'u1', 40_000);
  const other = store.connect();
  let isOver = false;
  const startedAt = performance.now();
  const marking = markAll(store.database, 'u1').finally(() => (isOver = true));
  const waits: number[] = [];
  while (!isOver) {
    const askedAt = performance.now();
    await other.query({ text: "SELECT 1 FROM inboxes WHERE user_id = 'u1' FOR UPDATE" });
    waits.push(performance.now() - askedAt);
    await wait(5);
  }
  assert.equal((await marking).changes.length, 40_000);
  const [longest, all] = [Math.max(...waits), performance.now() - startedAt];
  t.diagnostic(`${waits.length} times, at most ${longest.toFixed(0)} ms of ${all.toFixed(0)} ms`);
  assert.ok(longest < all / 4);
});
