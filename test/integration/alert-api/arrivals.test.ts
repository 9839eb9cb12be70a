import assert from 'node:assert/strict';
import test from 'node:test';
import type { Database } from '../../../services/lib/postgres.js';
import { arrivalsOf, countUnplanned } from '../../../services/store/arrivals.js';
import { deadLettersOf } from '../../../services/store/dead-letters.js';
import { findProgress } from '../../../services/store/progress.js';
import { pushesOf } from '../../../services/store/push-records.js';
import { assertLooksUp, type Explained, explaining } from '../../support/plans.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

const RECIPIENTS = 100_000;
const PRESENT = 99_000;

/** Inboxes of 100,000 users who got alert 7 one after the other, a millisecond each, but for the last 1,000. */
async function fill({ sql }: TestDatabase): Promise<string[]> {
  await sql(
    `INSERT INTO alerts SELECT n, '', '', '', '', 'OTHER', 'a', 1, '', '', '{}', now(), now(), 1, false, '{}' FROM generate_series(1, 10) n`,
  );
  await sql(
    `INSERT INTO alert_progress (alert_id, created_at, reconcile_at) SELECT n, now(), now() FROM generate_series(1, 10) n`,
  );
  await sql(`INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at, read_at)
             SELECT 'u' || n, 7, 1, 1, 1, n <= 10, timestamptz '2026-01-01Z' + n * interval '1 ms',
                    CASE WHEN n <= 10 THEN timestamptz '2026-01-02Z' + n * interval '1 s' END
             FROM generate_series(1, ${PRESENT}) n`);
  await sql(
    `INSERT INTO push_cursors SELECT 'u' || n, CASE WHEN n <= 30 THEN 0 ELSE 1 END FROM generate_series(1, 100) n`,
  );
  await sql(`INSERT INTO devices SELECT n, 'u' || n, 't' || n, sha256(('t' || n)::bytea), 1, '', '', now(), now()
             FROM generate_series(1, 25) n`);
  await sql(`INSERT INTO dead_letters (topic, partition, "offset", alert_id, user_id, reason)
             SELECT 'user-alert-topic', 0, n, 7, 'u' || n + ${PRESENT} - 1, 'bad' FROM generate_series(1, 40) n`);
  await sql(
    `INSERT INTO dead_letters (topic, partition, "offset", alert_id, reason) VALUES ('alert-created-topic', 1, 5, 7, 'all')`,
  );
  return Array.from({ length: RECIPIENTS }, (_, index) => `u${index + 1}`);
}

/** Every statement of it, once. */
async function ask(database: Database, users: readonly string[]): Promise<void> {
  await arrivalsOf(database, 7, users, 20);
  await countUnplanned(database, 7, users);
  await deadLettersOf(database, 7, 20);
  await pushesOf(database, 7, 100);
  await findProgress(database, 7);
}

test('where an alert to 100,000 is costs look-ups by key, and names only a few of those who lack it', async (t) => {
  const store = await createTestDatabase(t);
  const plans: Explained[] = [];
  // A plan that is made while the tables are small must be right when they are large.
  await store.sql('ANALYZE');
  await ask(explaining(store.database, plans), ['u1', 'u2']);
  const users = await fill(store);
  // As a database is that was never analysed, and as one that was.
  for (const analyse of [false, true]) {
    if (analyse) await store.sql('ANALYZE');
    const database = explaining(store.database, plans);
    const began = Date.UTC(2026, 0, 1);
    assert.deepEqual(await arrivalsOf(database, 7, users, 20), {
      delivered: PRESENT,
      read: 10,
      firstDeliveredAt: began + 1,
      lastDeliveredAt: began + PRESENT,
      lastReadAt: Date.UTC(2026, 0, 2) + 10_000,
      missing: users.slice(PRESENT, PRESENT + 20),
    });
    // Ten of those with devices have read it, of whom nothing is to be pushed.
    assert.equal(await countUnplanned(database, 7, users), 15);
    const { count, letters } = await deadLettersOf(database, 7, 3);
    // One of the forty has the alert all the same.
    assert.equal(count, 40);
    assert.deepEqual(
      letters.map(({ name, userId }) => [name, userId]),
      [
        ['alert-created-topic-1@5', ''],
        ['user-alert-topic-0@2', users[PRESENT]],
        ['user-alert-topic-0@3', users[PRESENT + 1]],
      ],
    );
  }
  await ask(explaining(store.database, plans), users.slice(0, 2));
  assertLooksUp(plans);
  assert.equal(plans.length, 2 * (5 + 5 + 1) + 2 * 6);
});

test('an alert without recipients, and one that nobody has', async (t) => {
  const { database } = await createTestDatabase(t);
  const nothing = { delivered: 0, read: 0, firstDeliveredAt: null, lastDeliveredAt: null, lastReadAt: null };
  assert.deepEqual(await arrivalsOf(database, 1, [], 20), { ...nothing, missing: [] });
  assert.deepEqual(await arrivalsOf(database, 1, ['a', 'b'], 1), { ...nothing, missing: ['a'] });
  assert.equal(await countUnplanned(database, 1, ['a']), 0);
  assert.deepEqual(await deadLettersOf(database, 1, 5), { count: 0, pending: 0, letters: [] });
});
