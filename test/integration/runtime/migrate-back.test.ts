import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../../services/lib/logging.js';
import { migrate, migrateBack, MIGRATIONS } from '../../../services/store/migrate.js';
import { createEmptyDatabase } from '../../support/postgres.js';

const ACCOUNT = '0016-audit-log';
const ENTRY = `
  INSERT INTO audit_log (actor_kind, actor, credential, peer, action, object, outcome, reason, details, request_id, trace_id)
  VALUES ('user', 'op01', '', '', 'inbox.read', '', 'done', '', '{}', '', '')`;

/** A database as it is right after a migration. */
async function migratedTo(t: Parameters<typeof createEmptyDatabase>[0], last: string) {
  const database = await createEmptyDatabase(t);
  await migrate(database.url, silentLogger());
  for (const { name } of [...MIGRATIONS].reverse()) {
    if (name === last) break;
    assert.equal(await migrateBack(database.url, silentLogger()), name);
  }
  return database;
}

test('one step back and forward again', async (t) => {
  const { url, sql } = await migratedTo(t, ACCOUNT);
  assert.equal(await migrateBack(url, silentLogger()), ACCOUNT);
  const left = await sql(`
    SELECT relname AS name FROM pg_class WHERE relname LIKE 'audit%'
    UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE '%audit%'`);
  assert.deepEqual(left, []);
  assert.equal((await migrate(url, silentLogger()))[0], ACCOUNT);
  await sql(ENTRY);
});

test('a step back that would lose something is refused, says why, and changes nothing', async (t) => {
  const { url, sql } = await migratedTo(t, ACCOUNT);
  await sql(ENTRY);
  await assert.rejects(migrateBack(url, silentLogger()), /0016-audit-log cannot be undone: the account .* has entries/);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM audit_log'), [{ n: 1 }]);
  assert.equal((await migrate(url, silentLogger())).includes(ACCOUNT), false);
});

test('a step back that cannot be noted is none', async (t) => {
  const { url, sql } = await migratedTo(t, ACCOUNT);
  // As a database that is checked by its owner: nobody may change what was applied.
  await sql('CREATE RULE applied AS ON DELETE TO schema_migrations DO INSTEAD SELECT 1 / 0');
  await assert.rejects(migrateBack(url, silentLogger()), /division by zero/);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM audit_log'), [{ n: 0 }]);
});

test('two at once take one migration back, as what is behind it is released', async (t) => {
  const { url } = await migratedTo(t, ACCOUNT);
  const ended = await Promise.allSettled([migrateBack(url, silentLogger()), migrateBack(url, silentLogger())]);
  assert.deepEqual(
    ended.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as Error).message)).sort(),
    ['0015-refusals-in-row cannot be undone; restore a backup', ACCOUNT],
  );
});

test('what a later release has migrated is for its own command line, and of nothing nothing is taken back', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  await assert.rejects(migrateBack(url, silentLogger()), /no migration was applied/);
  await migrate(url, silentLogger());
  await sql(`INSERT INTO schema_migrations (name, batch, migration_time) VALUES ('9999-later', 99, now())`);
  await assert.rejects(migrateBack(url, silentLogger()), /9999-later, is of a later release/);
});
