import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { insertAlerts } from '../../../services/store/alerts.js';
import { outboxState, removePublished, unpublished } from '../../../services/store/outbox.js';
import {
  deferReconcile,
  findProgress,
  incompleteAlerts,
  markComplete,
  markFannedOut,
} from '../../../services/store/progress.js';
import { newAlert } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { startTestCluster } from '../../support/in-process.js';
import { createTestDatabase } from '../../support/postgres.js';

async function setUp(t: TestContext, count: number) {
  const store = await createTestDatabase(t);
  const results = await insertAlerts(
    store.database,
    Array.from({ length: count }, () => newAlert()),
  );
  const ids = results.map((result) => (result.outcome === 'stored' ? result.alertId : 0)).sort((a, b) => a - b);
  /** Makes everything older by the database's clock. */
  const age = (seconds: number) =>
    store.sql(
      `WITH o AS (UPDATE outbox SET created_at = created_at - $1 * interval '1 second')
       UPDATE alert_progress SET created_at = created_at - $1 * interval '1 second', reconcile_at = reconcile_at - $1 * interval '1 second'`,
      [seconds],
    );
  return { ...store, ids, age };
}

test('left-over alerts come oldest first, by age, without those in flight', async (t) => {
  const { database, ids, age } = await setUp(t, 5);
  assert.deepEqual(await unpublished(database, 5000, 10, []), []);
  await age(6);
  assert.deepEqual(await unpublished(database, 5000, 10, []), ids);
  assert.deepEqual(await unpublished(database, 5000, 2, []), ids.slice(0, 2));
  assert.deepEqual(await unpublished(database, 5000, 2, ids.slice(0, 2)), ids.slice(2, 4));
});

test('what is dated ahead, since a clock was wrong, is due at once, and its age is never below 0', async (t) => {
  const { database, ids, age } = await setUp(t, 2);
  await age(-3600);
  assert.deepEqual(await unpublished(database, 5000, 10, []), ids);
  assert.deepEqual(await outboxState(database, 1000), { depth: 2, oldestId: ids[0], ageSeconds: 0 });
  await removePublished(database, ids);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids);
  await deferReconcile(database, [ids[0]!]);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids.slice(1));
  // Put off further than it would be now: the clock was an hour ahead then.
  await age(-3600);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids);
});

test('published rows go, the time is noted once, and doing it again is harmless', async (t) => {
  const { database, ids, age } = await setUp(t, 3);
  await age(10);
  const before = await outboxState(database, 1000);
  assert.equal(before.depth, 3);
  assert.ok(before.ageSeconds >= 10 && before.ageSeconds < 60);
  await removePublished(database, ids.slice(0, 2));
  const { publishedAt } = (await findProgress(database, ids[0]!))!;
  assert.ok(publishedAt !== null);
  await removePublished(database, [...ids.slice(0, 2), 999_999]);
  assert.equal((await findProgress(database, ids[0]!))!.publishedAt, publishedAt);
  assert.equal((await findProgress(database, ids[2]!))!.publishedAt, null);
  assert.equal((await outboxState(database, 1000)).depth, 1);
  await removePublished(database, ids);
  assert.deepEqual(await outboxState(database, 1000), { depth: 0, oldestId: undefined, ageSeconds: 0 });
});

test('incomplete are those out of the outbox, past the grace, not complete and not put off', async (t) => {
  const { database, ids, age, sql } = await setUp(t, 4);
  await age(60);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), []);
  await removePublished(database, ids);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids);
  assert.deepEqual(await incompleteAlerts(database, 120_000, 10), []);
  await markFannedOut(database, [{ alertId: ids[0]!, recipients: 3, publishedAt: Date.now() }]);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids);
  await markComplete(database, [{ alertId: ids[0]!, recipients: 3 }]);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids.slice(1));
  await deferReconcile(database, [ids[1]!]);
  assert.deepEqual(await incompleteAlerts(database, 30_000, 10), ids.slice(2));
  const delay = async () =>
    (
      await sql<{ s: string }>(
        'SELECT extract(epoch FROM reconcile_at - now()) AS s FROM alert_progress WHERE alert_id = $1',
        [ids[1]!],
      )
    )[0]!.s;
  assert.ok(Math.abs(Number(await delay()) - 10) < 1);
  await deferReconcile(database, [ids[1]!]);
  assert.ok(Math.abs(Number(await delay()) - 20) < 1);
  for (let attempt = 0; attempt < 15; attempt += 1) await deferReconcile(database, [ids[1]!]);
  assert.ok(Math.abs(Number(await delay()) - 3600) < 1);
});

test('of each record that is published together it is told whether Kafka has it', async (t) => {
  const { backends, config } = await startTestCluster(t);
  const producer = await Producer.connect(backends.brokers, config, silentLogger(), { clientId: 'test' });
  defer(t, () => producer.close());
  const record = (value: Buffer) => ({ topic: 'alert-created-topic', key: 'k', value });
  const values = [Buffer.from('a'), Buffer.alloc(40_000_000), Buffer.from('b')];
  const [first, second, third] = await producer.publishEach(values.map(record));
  assert.deepEqual([first, third], [undefined, undefined]);
  assert.match(second!.message, /size too large/);
  assert.equal(second!.permanent, true);
  await producer.close();
  const [closed] = await producer.publishEach([record(values[0]!)]);
  assert.equal(closed!.permanent, false);
});
