import assert from 'node:assert/strict';
import test from 'node:test';
import pg from 'pg';
import { main } from '../../../services/cli/cli.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { sqlState } from '../../../services/lib/postgres-errors.js';
import { setGrants, userName, usersSql } from '../../../services/store/database-users.js';
import { DATABASE_USERS, grantLines, grants, OWNER } from '../../../services/store/grants.js';
import { migrate } from '../../../services/store/migrate.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import {
  createEmptyDatabase,
  createTestDatabase,
  openDatabase,
  type TestDatabase,
  urlOf,
} from '../../support/postgres.js';
import { listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

const PREFIX = 'ssom_';
const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'];
const OF_COLUMNS = ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES'];

/** What PostgreSQL allows each user, whoever granted it, as `user privilege object.column`. */
async function allowed({ sql }: TestDatabase, prefix = PREFIX): Promise<string[]> {
  const users = DATABASE_USERS.map((name) => userName(prefix, name));
  const rows = await sql<{ text: string }>(
    `SELECT concat_ws(' ', u, p, c.relname) AS text
     FROM unnest($1::text[]) u, unnest($2::text[]) p, pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(u, c.oid, p)
     UNION ALL
     SELECT concat_ws(' ', u, p, c.relname) FROM unnest($1::text[]) u, unnest('{USAGE,SELECT,UPDATE}'::text[]) p, pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND relkind = 'S' AND has_sequence_privilege(u, c.oid, p)
     UNION ALL
     SELECT concat_ws(' ', u, p, table_name || '.' || column_name)
     FROM unnest($1::text[]) u, unnest($3::text[]) p, information_schema.columns
     WHERE table_schema = 'public' AND has_column_privilege(u, table_name::text, column_name::text, p)
       AND NOT has_table_privilege(u, table_name::text, p)`,
    [users, PRIVILEGES, OF_COLUMNS],
  );
  return rows.map(({ text }) => text).sort();
}

const wanted = (prefix = PREFIX) =>
  grants()
    .map(({ user: name, privilege, object, column }) =>
      [userName(prefix, name), privilege, column === undefined ? object : `${object}.${column}`].join(' '),
    )
    .sort();

/** How a statement of a user fails; undefined: it does not. */
async function failureAs(url: string, name: Parameters<typeof urlOf>[1], text: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: urlOf(url, name) });
  await client.connect();
  try {
    await client.query(text);
    return undefined;
  } catch (error) {
    return sqlState(error);
  } finally {
    await client.end();
  }
}

test('every user may do what the table of grants says, on every table there is, and nothing else', async (t) => {
  const store = await createTestDatabase(t);
  const known = new Set(grantLines().map(({ object }) => object));
  const there = await store.sql<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')`,
  );
  assert.deepEqual(
    there.filter(({ name }) => !known.has(name)),
    [],
    'each table has a line in services/store/grants.ts',
  );
  assert.deepEqual(await allowed(store), wanted());
  const writtenByGateways = (await allowed(store)).filter((text) => /^ssom_stream_gateway (?!SELECT)/.test(text));
  assert.deepEqual(
    new Set(writtenByGateways.map((text) => text.split(/[ .]/)[2])),
    new Set(['gateway_leases', 'stream_presence', 'audit_log', 'audit_entry_ids']),
    'presence, and an account of whose streams admins opened',
  );
});

test('delivery cannot read devices, a reader no tokens, and nobody but migrate owns or makes a table', async (t) => {
  const store = await createTestDatabase(t);
  const { url } = store;
  assert.equal(await failureAs(url, 'delivery', 'SELECT 1 FROM devices'), '42501');
  assert.equal(await failureAs(url, 'delivery', 'SELECT title FROM alerts'), '42501');
  assert.equal(await failureAs(url, 'reader', 'SELECT token FROM devices'), '42501');
  assert.equal(await failureAs(url, 'reader', 'SELECT device_id, user_id FROM devices'), undefined);
  assert.equal(await failureAs(url, 'stream-gateway', `INSERT INTO inboxes (user_id) VALUES ('u')`), '42501');
  for (const name of DATABASE_USERS) {
    for (const text of ['CREATE TABLE mine ()', 'CREATE SCHEMA mine', 'ALTER TABLE alerts ADD COLUMN mine int'])
      assert.equal(await failureAs(url, name, text), '42501', `${name}: ${text}`);
  }
  const owners = await store.sql(
    `SELECT DISTINCT relowner::regrole::text AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
  );
  assert.deepEqual(owners, [{ owner: 'ssom_migrate' }]);
  assert.equal(await failureAs(url, OWNER, 'CREATE TABLE mine (); DROP TABLE mine'), undefined);
});

test('setting the grants again changes nothing, and takes away what was granted by hand', async (t) => {
  const { url, sql, database } = await createTestDatabase(t);
  const owner = openDatabase(t, urlOf(url, OWNER));
  assert.deepEqual(await setGrants(owner.database, PREFIX, false), []);
  await sql('GRANT SELECT ON devices TO ssom_delivery');
  await sql('GRANT SELECT ON alerts TO ssom_delivery WITH GRANT OPTION');
  await sql('GRANT UPDATE (title), INSERT ON alerts TO ssom_push');
  await sql('GRANT SELECT ON users TO PUBLIC');
  await sql('GRANT UPDATE ON SEQUENCE alert_ids TO ssom_reader');
  await sql('REVOKE UPDATE (last_seq) ON inboxes FROM ssom_delivery');
  const asked = await setGrants(owner.database, PREFIX, true);
  assert.ok(asked.includes('REVOKE SELECT ON TABLE "devices" FROM "ssom_delivery"'), asked.join('\n'));
  assert.ok(asked.includes('GRANT UPDATE ("last_seq") ON TABLE "inboxes" TO "ssom_delivery"'), asked.join('\n'));
  assert.deepEqual(await setGrants(owner.database, PREFIX, false), asked);
  assert.deepEqual(await allowed({ url, sql, database, connect: () => database }), wanted());
  assert.deepEqual(await setGrants(owner.database, PREFIX, false), []);
});

test('who administers PostgreSQL without being a superuser makes the users, and the command line does it all', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const name = new URL(url).pathname.slice(1);
  await sql(`CREATE ROLE dba LOGIN CREATEROLE PASSWORD 'dba'`);
  await sql(`ALTER DATABASE ${name} OWNER TO dba`);
  const dba = Object.assign(new URL(url), { username: 'dba', password: 'dba' }).href;
  // What a role made itself, as before there were users.
  await migrate(dba, silentLogger());
  await sql('CREATE TABLE of_others ()');
  const run = async (databaseUrl: string, ...args: string[]) => {
    const context = fakeContext({ environment: { DATABASE_URL: databaseUrl } });
    return { code: await main(args, context), out: context.out(), err: context.err() };
  };
  const printed = await run('', 'database', 'users', '--user-prefix', 'b_', '--dry-run');
  assert.equal(printed.out.trim(), usersSql('b_'));
  for (const prefix of ['', 'B_', "b'", 'b%s', '1b'])
    assert.match(
      (await run(dba, 'database', 'users', '--user-prefix', prefix)).err,
      /a prefix of users is 1 to 40/,
      prefix,
    );
  const none = await run(dba, 'database', 'grants', '--user-prefix', 'b_');
  assert.equal(none.code, 1);
  assert.match(none.err, /no user b_alert_api.*database users/);
  for (let round = 0; round < 2; round += 1)
    assert.deepEqual((await run(dba, 'database', 'users', '--user-prefix', 'b_')).code, 0);
  await sql(`ALTER ROLE b_migrate PASSWORD 'm'`);
  const owner = Object.assign(new URL(url), { username: 'b_migrate', password: 'm' }).href;
  assert.deepEqual(await migrate(owner, silentLogger()), []);
  const left = await sql(`
    SELECT oid::regclass::text AS name FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') AND relowner <> 'b_migrate'::regrole
    UNION ALL SELECT proname FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND proowner <> 'b_migrate'::regrole`);
  assert.deepEqual(left, [{ name: 'of_others' }], 'all of ours, functions as well, and nothing else');
  const set = await run(owner, 'database', 'grants', '--user-prefix', 'b_');
  assert.equal(set.code, 0, set.err);
  assert.match(set.out, /^GRANT SELECT, .*ON TABLE "service_state" TO "b_alert_api";$/m);
  assert.deepEqual(await allowed({ url, sql } as TestDatabase, 'b_'), wanted('b_'));
  assert.match((await run(owner, 'database', 'grants', '--user-prefix', 'b_')).err, /nothing else/);
  await sql('GRANT b_migrate TO b_push');
  defer(t, () => sql('REVOKE b_migrate FROM b_push'));
  const excess = await run(owner, 'database', 'grants', '--user-prefix', 'b_');
  assert.equal(excess.code, 1);
  assert.match(excess.err, /b_push is a member of b_migrate/);
});

const WAITING = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;

test('the owner changes beside roles that run, of a table that somebody holds once it is free', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  defer(t, () => holder.end());
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE alerts IN ACCESS SHARE MODE');
  const held = await sql(usersSql('c_')).then(
    () => 'done',
    (error: Error) => error.message,
  );
  assert.match(held, /holds the table alerts; try again/);
  const owners = (name: string) =>
    sql(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tableowner = $1`, [name]);
  assert.deepEqual(await owners('ssom_migrate'), [{ name: 'alerts' }]);
  const changing = sql(usersSql('c_'));
  await untilTrue(async () => (await sql(WAITING)).length > 0, { what: 'it waits for the table' });
  await holder.query('COMMIT');
  await changing;
  assert.deepEqual(await owners('ssom_migrate'), []);
});

test('a right that is missing is named at the start and while it runs, is no record’s fault, and is waited for', async (t) => {
  const cluster = await startTestCluster(t);
  const { sql } = cluster.store;
  const revoke = () => sql('REVOKE INSERT ON alert_statuses FROM ssom_delivery');
  const grant = () => sql('GRANT INSERT ON alert_statuses TO ssom_delivery');
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api, [user('op01', 'OPERATION')]);
  await cluster.start('fanout');
  await revoke();
  const { http, logged } = await cluster.start('delivery', { ready: false });
  const reason = async () => {
    const { checks } = (await (await fetch(`http://${http}/readyz`)).json()) as {
      checks: Record<string, { ok: boolean; reason: string }>;
    };
    return checks['postgresql']?.ok === true ? 'ready' : (checks['postgresql']?.reason ?? '');
  };
  const lacks = /ssom_delivery lacks .*INSERT on alert_statuses.*database grants/;
  await untilTrue(async () => lacks.test(await reason()), { what: () => `what it lacks, in ${logged()}` });
  assert.match(logged(), /it refuses us/);
  await grant();
  await untilTrue(async () => (await reason()) === 'ready', { what: 'delivery' });
  const has = async (alertId: number) =>
    (await listWholeInbox(api, 'op01')).rows.some((row) => row.alertId === alertId);
  const create = async () => (await api.call('CreateAlert', alertRequest())).alert!.alertId;
  const first = await create();
  await untilTrue(() => has(first), { what: 'the first alert' });
  await revoke();
  const second = await create();
  await untilTrue(() => /permission denied for table alert_statuses/.test(logged()), {
    what: () => `the table in the log: ${logged()}`,
  });
  await grant();
  await untilTrue(() => has(second), { what: 'the second alert' });
  assert.deepEqual(await sql('SELECT * FROM dead_letters'), []);
});

test('without rights to the account of who did what a role starts, names them, and serves', async (t) => {
  const cluster = await startTestCluster(t);
  const { sql } = cluster.store;
  await sql('REVOKE INSERT ON audit_log FROM ssom_alert_api');
  await sql('REVOKE USAGE ON SEQUENCE audit_entry_ids FROM ssom_alert_api');
  const role = await cluster.start('alert-api');
  const checked = async () => {
    const response = await fetch(`http://${role.http}/readyz`);
    const { checks } = (await response.json()) as { checks: Record<string, { ok: boolean; reason: string }> };
    return { status: response.status, ...checks['account'] };
  };
  const lacks = /ssom_alert_api lacks .*INSERT on audit_log, USAGE on audit_entry_ids.*database grants/;
  await untilTrue(async () => lacks.test((await checked()).reason ?? ''), { what: 'what it lacks' });
  assert.equal((await checked()).status, 200);
  assert.match(role.logged(), lacks);
  // However often it is refused there: the breaker opens at five failures.
  const { database } = role.runtime;
  const write = () => database.query({ text: 'INSERT INTO audit_log DEFAULT VALUES' });
  for (let attempt = 0; attempt < 10; attempt += 1) await assert.rejects(write(), { code: '42501' });
  const alert = await cluster.api(role).call('CreateAlert', alertRequest());
  assert.ok(alert.alert!.alertId > 0);
});
