import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { MIGRATIONS } from '../../../services/store/migrate.js';
import { backfill, buildIndex } from '../../../services/store/migrations/steps.js';
import { type CheckedMigration, problemsOf } from '../../support/migration-rules.js';

const record = JSON.parse(readFileSync(join(ROOT, 'deploy', 'release', 'release.json'), 'utf8')) as {
  migrations: Record<string, string>;
};
/** They are applied everywhere, and stay as they are. */
const RELEASED = new Set(Object.keys(record.migrations));

const of = (sql: string, more: Partial<CheckedMigration> = {}): CheckedMigration => ({
  name: '9999-tried',
  up: (knex) => knex.raw(sql),
  ...more,
});

test('no migration since the release holds up the roles, or breaks those of the release before', async () => {
  for (const migration of MIGRATIONS)
    if (!RELEASED.has(migration.name)) assert.deepEqual(await problemsOf(migration), []);
});

test('migrations are named by rising numbers, each once', () => {
  const names = MIGRATIONS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)].sort());
  for (const name of names) assert.match(name, /^\d{4}-[a-z-]+$/);
});

const REFUSED: Readonly<Record<string, RegExp>> = {
  'CREATE INDEX a ON alerts (level)': /every write.*buildIndex/,
  'CREATE UNIQUE INDEX a ON alerts (level)': /every write.*buildIndex/,
  'DROP INDEX alerts_request': /DROP INDEX CONCURRENTLY/,
  'ALTER TABLE alerts ADD COLUMN token uuid DEFAULT gen_random_uuid()': /every row.*backfill/,
  'ALTER TABLE alerts ADD COLUMN n bigserial': /every row.*backfill/,
  'ALTER TABLE alerts ADD COLUMN at timestamptz NOT NULL DEFAULT clock_timestamp()': /every row.*backfill/,
  'ALTER TABLE alerts ADD COLUMN team text NOT NULL': /last release inserts.*constant DEFAULT/,
  'ALTER TABLE alerts ALTER COLUMN level TYPE integer': /new column/,
  'ALTER TABLE alerts ALTER level SET DATA TYPE integer': /new column/,
  'ALTER TABLE alerts ALTER COLUMN traceparent SET NOT NULL': /NOT VALID/,
  'ALTER TABLE alerts ADD CONSTRAINT c CHECK (level > 0)': /NOT VALID, and VALIDATE/,
  'ALTER TABLE alert_statuses ADD FOREIGN KEY (alert_id) REFERENCES alerts': /NOT VALID, and VALIDATE/,
  'ALTER TABLE alerts ADD CONSTRAINT c UNIQUE (title)': /USING INDEX/,
  'ALTER TABLE alerts RENAME COLUMN title TO headline': /name that the last release uses/,
  'ALTER TABLE alerts RENAME TO notices': /name that the last release uses/,
  'LOCK TABLE alerts': /against everybody/,
  'TRUNCATE outbox': /against everybody/,
  'UPDATE alerts SET level = 1': /backfill/,
  'DELETE FROM alerts WHERE level = 1': /backfill/,
  'DROP TABLE outbox': /contract/,
  'ALTER TABLE alerts DROP COLUMN unreached': /contract/,
  'CREATE INDEX CONCURRENTLY a ON alerts (level)': /transaction: false/,
  'ALTER TABLE alerts ADD COLUMN a text; ALTER TABLE inboxes ADD COLUMN a text': /a migration for each/,
};

for (const [sql, expected] of Object.entries(REFUSED))
  test(`refused: ${sql}`, async () => {
    assert.match((await problemsOf(of(sql))).join('\n'), expected);
  });

const ALLOWED = [
  'ALTER TABLE alerts ADD COLUMN team text',
  "ALTER TABLE alerts ADD COLUMN team text NOT NULL DEFAULT ''",
  'ALTER TABLE alerts ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now()',
  'ALTER TABLE alerts ADD CONSTRAINT c CHECK (level > 0) NOT VALID',
  'ALTER TABLE alerts VALIDATE CONSTRAINT c',
  'CREATE TABLE teams (team text PRIMARY KEY); CREATE INDEX teams_x ON teams (team); ALTER TABLE teams ADD COLUMN n bigserial',
];

for (const sql of ALLOWED)
  test(`allowed: ${sql}`, async () => {
    assert.deepEqual(await problemsOf(of(sql)), []);
  });

test('allowed: what is dropped once nothing uses it, an index beside others, rows in batches', async () => {
  const config = { transaction: false };
  const contract = 'it was written for the last time two releases ago';
  assert.deepEqual(await problemsOf(of('ALTER TABLE alerts DROP COLUMN unreached', { contract })), []);
  const steps = of('', {
    config,
    up: async (knex) => {
      await buildIndex(knex, 'alerts_level', 'alerts (level)');
      await backfill(knex, { table: 'alerts', key: ['alert_id'], set: `team = ''`, where: 'team IS NULL' });
    },
  });
  assert.deepEqual(await problemsOf(steps), []);
  assert.match((await problemsOf({ ...steps, config: {} })).join('\n'), /does not work in a transaction/);
  assert.match((await problemsOf(of('ALTER TABLE alerts ADD COLUMN a text', { config }))).join('\n'), /IF NOT EXISTS/);
});
