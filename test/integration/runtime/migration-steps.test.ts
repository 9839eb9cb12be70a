import assert from 'node:assert/strict';
import test from 'node:test';
import knexModule from 'knex';
import pg from 'pg';
import { backfill, buildIndex } from '../../../services/store/migrations/steps.js';
import { defer } from '../../support/defer.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

const ROWS = 2500;

async function filled(t: Parameters<typeof createTestDatabase>[0]) {
  const database = await createTestDatabase(t);
  await database.sql(`
    INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
    SELECT 'u' || n % 7, n, n, n, 1, n % 10 = 0, now() FROM generate_series(1, ${ROWS}) n`);
  await database.sql('ALTER TABLE alert_statuses ADD COLUMN note text');
  return database;
}

function knexOn(t: Parameters<typeof createTestDatabase>[0], { url }: TestDatabase): knexModule.Knex {
  const knex = knexModule.default({ client: 'pg', connection: url, pool: { min: 0, max: 1 } });
  defer(t, () => knex.destroy());
  return knex;
}

const NOTES = {
  table: 'alert_statuses',
  key: ['user_id', 'alert_id'],
  set: `note = 'read'`,
  where: 't.is_read AND t.note IS NULL',
};

test('a backfill changes each row that needs it once, and a row that somebody holds keeps few others waiting', async (t) => {
  const database = await filled(t);
  const knex = knexOn(t, database);
  const other = new pg.Client({ connectionString: database.url });
  await other.connect();
  defer(t, () => other.end());
  await other.query('BEGIN');
  await other.query(`SELECT 1 FROM alert_statuses WHERE user_id = 'u6' AND is_read FOR UPDATE`);
  const filling = backfill(knex, NOTES);
  // What is before it in the key's order was committed with its own batch.
  for (let done = 0; done === 0;)
    done = (await database.sql<{ n: number }>('SELECT count(*) AS n FROM alert_statuses WHERE note IS NOT NULL'))[0]!.n;
  await other.query('COMMIT');
  assert.equal(await filling, ROWS / 10);
  assert.equal(await backfill(knex, NOTES), 0);
  assert.deepEqual(await database.sql(`SELECT count(*) AS n FROM alert_statuses WHERE note = 'read'`), [
    { n: ROWS / 10 },
  ]);
});

test('an index is built once, and anew if its build was broken off', async (t) => {
  const database = await filled(t);
  const knex = knexOn(t, database);
  const build = () => buildIndex(knex, 'alert_statuses_note', 'alert_statuses (note) WHERE note IS NOT NULL');
  const oid = async () =>
    (await database.sql<{ oid: number }>(`SELECT 'alert_statuses_note'::regclass::oid::int AS oid`))[0]!.oid;
  await build();
  const first = await oid();
  await build();
  assert.equal(await oid(), first);
  await database.sql(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'alert_statuses_note'::regclass`);
  await build();
  assert.notEqual(await oid(), first);
});
