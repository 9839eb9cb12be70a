import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';
import pg from 'pg';
import { silentLogger } from '../../../services/lib/logging.js';
import { migrate } from '../../../services/store/migrate.js';
import { defer } from '../../support/defer.js';
import { createEmptyDatabase } from '../../support/postgres.js';
import { cleanEnvironment } from '../../support/role-process.js';
import { untilTrue } from '../../support/until-true.js';

/** Runs the migration in a process of its own; resolves to what it applied. */
async function migrateElsewhere(url: string): Promise<string[]> {
  const services = new URL('../../../services/', import.meta.url).href;
  const script = `
    const { migrate } = await import('${services}store/migrate.js');
    const { silentLogger } = await import('${services}lib/logging.js');
    process.stdout.write(JSON.stringify(await migrate(process.env.URL, silentLogger())));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    env: cleanEnvironment({ URL: url }),
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0, errors);
  return JSON.parse(output) as string[];
}

test('two processes at once: one of them does the work', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const applied = await Promise.all([migrateElsewhere(url), migrateElsewhere(url), migrateElsewhere(url)]);
  assert.equal(applied.filter((names) => names.length > 0).length, 1);
  assert.deepEqual(await sql('SELECT directory_version FROM service_state'), [{ directory_version: 1 }]);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM routing_rules'), [{ n: 4 }]);
});

test('again and again changes nothing, also after a migration that was killed', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  assert.notDeepEqual(await migrate(url, silentLogger()), []);
  const [before] = await sql('SELECT epoch FROM service_state');
  assert.deepEqual(await migrate(url, silentLogger()), []);
  // What a killed knex leaves behind.
  await sql('UPDATE schema_migrations_lock SET is_locked = 1');
  assert.deepEqual(await migrate(url, silentLogger()), []);
  assert.deepEqual(await sql('SELECT epoch FROM service_state'), [before]);
});

test('a database that a later version has migrated is left as it is', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  await migrate(url, silentLogger());
  await sql(`INSERT INTO schema_migrations (name, batch, migration_time) VALUES ('9999-later', 2, now())`);
  assert.deepEqual(await migrate(url, silentLogger()), []);
});

test('a table that a backup holds makes nobody wait for long: the migration is refused, and works afterwards', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  await migrate(url, silentLogger());
  await sql(`DELETE FROM schema_migrations WHERE name = '0006-push-plan'`);
  await sql('ALTER TABLE push_deliveries DROP COLUMN planned_for');
  const backup = new pg.Client({ connectionString: url });
  await backup.connect();
  defer(t, () => backup.end());
  await backup.query('BEGIN');
  await backup.query('LOCK TABLE push_deliveries IN ACCESS SHARE MODE');
  const refused = migrate(url, silentLogger(), { patienceMs: 1000 });
  await assert.rejects(refused, /such as a backup, has held one for more than 1000 ms/);
  await backup.query('COMMIT');
  assert.deepEqual(await migrate(url, silentLogger()), ['0006-push-plan']);
});

test('whoever writes meanwhile waits for less than 1 s, however long a table is held, and then it is changed', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  await migrate(url, silentLogger());
  await sql(`DELETE FROM schema_migrations WHERE name = '0011-unreached'`);
  await sql('ALTER TABLE alerts DROP COLUMN unreached');
  const backup = new pg.Client({ connectionString: url });
  await backup.connect();
  defer(t, () => backup.end());
  await backup.query('BEGIN');
  await backup.query('LOCK TABLE alerts IN ACCESS SHARE MODE');
  let longest = 0;
  let queued = 0;
  let over = false;
  const write = async () => {
    while (!over) {
      const started = performance.now();
      await sql(`UPDATE alerts SET title = title WHERE alert_id = 1`);
      longest = Math.max(longest, performance.now() - started);
      if (performance.now() - started > 100) queued += 1;
    }
  };
  const writing = write();
  const migrating = migrate(url, silentLogger());
  await untilTrue(() => queued >= 2, { what: 'a write has waited behind the migration, twice' });
  await backup.query('COMMIT');
  assert.deepEqual(await migrating, ['0011-unreached']);
  over = true;
  await writing;
  assert.ok(longest < 1000, `a write waited for ${Math.round(longest)} ms`);
});

test('an index whose build was broken off is built anew, and a statement of a role waits for none', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  await migrate(url, silentLogger());
  const invalid = () => sql('SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid');
  await sql(`DELETE FROM schema_migrations WHERE name = '0014-indexes'`);
  await sql(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'push_deliveries_turn'::regclass`);
  await sql('DROP INDEX dead_letters_elsewhere');
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  defer(t, () => other.end());
  // The build waits for those who have written; nobody waits for the build.
  await other.query('BEGIN');
  await other.query(`INSERT INTO dead_letters (topic, partition, "offset", reason) VALUES ('t', 0, 1, 'r')`);
  const building = migrate(url, silentLogger());
  await untilTrue(
    async () =>
      (await sql(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'`))
        .length > 0,
    { what: 'the build of the index waits' },
  );
  await sql(`INSERT INTO dead_letters (topic, partition, "offset", reason) VALUES ('t', 0, 2, 'r')`);
  await other.query('COMMIT');
  assert.deepEqual(await building, ['0014-indexes']);
  assert.deepEqual(await invalid(), []);
  assert.deepEqual(await sql(`SELECT to_regclass('dead_letters_elsewhere') IS NOT NULL AS there`), [{ there: true }]);
});

test('two databases have two epochs, so that tokens of one are no tokens of the other', async (t) => {
  const [one, two] = [await createEmptyDatabase(t), await createEmptyDatabase(t)];
  await Promise.all([migrate(one.url, silentLogger()), migrate(two.url, silentLogger())]);
  const epoch = async ({ sql }: typeof one) =>
    (await sql<{ epoch: number }>('SELECT epoch FROM service_state'))[0]!.epoch;
  assert.notEqual(await epoch(one), await epoch(two));
});
