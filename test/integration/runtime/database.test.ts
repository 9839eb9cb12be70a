import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import pg from 'pg';
import { loadConfig } from '../../../services/lib/config/load.js';
import { databaseStatus } from '../../../services/lib/grpc/database-status.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { CallEnded, Database, DatabaseEnding } from '../../../services/lib/postgres.js';
import { cancelStatement } from '../../../services/lib/postgres-cancel.js';
import { judgeDatabaseError, sqlState } from '../../../services/lib/postgres-errors.js';
import { wait } from '../../../services/lib/retry.js';
import { defer } from '../../support/defer.js';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { patience, untilTrue } from '../../support/until-true.js';

function open(t: TestContext, url: string, settings: Record<string, string> = {}): Database {
  const database = new Database(url, loadConfig(settings), silentLogger());
  defer(t, () => database.close());
  return database;
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('it did not fail'),
    (error: Error) => error,
  );

test('the settings of a role or a database do not change what statements and results mean', async (t) => {
  const { url, sql, connect } = await createEmptyDatabase(t);
  const settings = {
    DateStyle: "'German, DMY'",
    TimeZone: "'Asia/Seoul'",
    IntervalStyle: "'sql_standard'",
    bytea_output: "'escape'",
    extra_float_digits: '-5',
    standard_conforming_strings: 'off',
    array_nulls: 'off',
    transform_null_equals: 'on',
    client_encoding: "'LATIN1'",
    default_transaction_isolation: "'serializable'",
  };
  const role = `role_${Date.now()}`;
  const name = new URL(url).pathname.slice(1);
  await sql(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'secret'`);
  for (const [setting, value] of Object.entries(settings)) {
    await sql(`ALTER DATABASE ${name} SET ${setting} = ${value}`);
    await sql(`ALTER ROLE ${role} SET ${setting} = ${value}`);
  }
  const other = new URL(url);
  other.username = role;
  other.password = 'secret';
  for (const database of [connect(), open(t, other.href)]) {
    const { rows } = await database.query({
      text: `SELECT timestamptz '2026-02-03 04:05:06.789+00' AS time, '한글\\'::text AS text, '\\x00ff'::bytea AS bytes, 0.1::float8 + 0.2 AS number,
        $1::text[] AS list, (NULL::int = NULL) IS NULL AS unknown, current_setting('transaction_isolation') AS isolation, interval '1 day' AS "interval"`,
      values: [['a', null]],
    });
    assert.deepEqual(JSON.parse(JSON.stringify(rows[0])), {
      time: Date.UTC(2026, 1, 3, 4, 5, 6, 789),
      text: '한글\\',
      bytes: { type: 'Buffer', data: [0, 255] },
      number: 0.30000000000000004,
      list: ['a', null],
      unknown: true,
      isolation: 'read committed',
      interval: { days: 1 },
    });
  }
});

test('a server that became read-only is left at once, by all connections', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const name = new URL(url).pathname.slice(1);
  const admin = sql;
  await admin('CREATE TABLE numbers (number int)');
  // Sessions that are opened now are as those of a server that was the primary, and those that are opened later find
  // the one that is.
  await admin(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  const database = open(t, url, { DATABASE_POOL_MAX: '20' });
  const pids = async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        database.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid, pg_sleep(0.05)' }),
      ),
    );
    return new Set(all.map(({ rows }) => rows[0]!.pid));
  };
  const old = await pids();
  assert.ok(old.size >= 8);
  await assert.rejects(database.probe(), /read-only/);
  await admin('SET default_transaction_read_only = off');
  await admin(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  const failure = await failureOf(database.query({ text: 'INSERT INTO numbers VALUES (1)' }));
  assert.equal(judgeDatabaseError(failure)?.failure, 'outage', failure.message);
  for (let count = 0; count < 8; count += 1) await database.query({ text: 'INSERT INTO numbers VALUES (2)' });
  for (const pid of await pids()) assert.ok(!old.has(pid), 'a connection to the old primary is still used');
  await database.probe();
});

test('readiness finds that another server is the primary now, and leaves the old one', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const name = new URL(url).pathname.slice(1);
  await sql(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  const database = open(t, url);
  const pid = async () =>
    (await database.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })).rows[0]!.pid;
  const before = await pid();
  await assert.rejects(database.probe(), (error) => sqlState(error) === '25006');
  await sql(`SET default_transaction_read_only = off; ALTER DATABASE ${name} RESET default_transaction_read_only`);
  await database.probe();
  assert.notEqual(await pid(), before);
});

test('a slow statement, a held lock and too many bindings leave the breaker closed', async (t) => {
  const { url } = await createEmptyDatabase(t);
  const database = open(t, url, { DATABASE_STATEMENT_TIMEOUT_MS: '100' });
  const slow = await Promise.all(
    Array.from({ length: 20 }, () => failureOf(database.query({ text: 'SELECT pg_sleep(5)' }))),
  );
  for (const failure of slow) assert.equal(sqlState(failure), '57014');
  for (let count = 0; count < 20; count += 1) {
    const values = Array.from({ length: 66_000 }, () => 1);
    const failure = await failureOf(
      database.query({ text: `SELECT 1 WHERE 1 IN (${values.map((_, index) => `$${index + 1}`).join()})`, values }),
    );
    assert.equal(judgeDatabaseError(failure)?.failure, 'bug');
  }
  assert.equal(database.breaker.state, 'closed');
});

test('the breaker hears of outages in transactions, up to their COMMIT', async (t) => {
  for (const at of ['SELECT 1', 'COMMIT']) {
    const { url, sql } = await createEmptyDatabase(t);
    const database = open(t, url);
    const die = async (connection: { query(text: string): Promise<{ rows: { pid: number }[] }> }) => {
      const { rows } = await connection.query('SELECT pg_backend_pid() AS pid');
      await sql('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
    };
    for (let count = 0; count < 6 && database.breaker.state === 'closed'; count += 1) {
      const failure = await failureOf(
        database.transaction(async (connection) => {
          if (at !== 'COMMIT') await die(connection);
          await connection.query('SELECT 1');
          await die(connection);
        }),
      );
      assert.equal(judgeDatabaseError(failure)?.failure, 'outage');
    }
    assert.equal(database.breaker.state, 'open', at);
  }
});

test('what nobody waits for any more stops: a statement, a transaction, and a wait for a connection', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  await sql('CREATE TABLE numbers (number int)');
  const database = open(t, url, { DATABASE_POOL_MAX: '3' });
  const call = () => {
    const controller = new AbortController();
    return { database: database.forCall({ statements: undefined, signal: controller.signal }), controller };
  };
  const running = async () =>
    (
      await sql<{ count: number }>(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(7)%' AND state = 'active' AND pid <> pg_backend_pid()",
      )
    )[0]!.count;

  const first = call();
  const statement = failureOf(first.database.query({ text: 'SELECT pg_sleep(7)' }));
  await untilTrue(async () => (await running()) === 1, { what: 'it runs' });
  const second = call();
  const waits = failureOf(second.database.query({ text: 'SELECT 1' }));
  second.controller.abort();
  assert.ok((await waits) instanceof CallEnded, 'the wait for a connection');
  first.controller.abort();
  assert.ok((await statement) instanceof CallEnded, 'the statement');
  assert.equal(await running(), 0);

  const third = call();
  const transaction = failureOf(
    third.database.transaction(async (connection) => {
      await connection.query('INSERT INTO numbers VALUES (1)');
      third.controller.abort();
      await connection.query('INSERT INTO numbers VALUES (2)');
    }),
  );
  assert.ok((await transaction) instanceof CallEnded, 'the transaction');
  const { rows } = await database.query<{ count: number }>({ text: 'SELECT count(*) FROM numbers' });
  assert.equal(rows[0]!.count, 0);
  assert.equal(database.breaker.state, 'closed');
});

test('bulk work, health and locks do not wait for each other, with as few connections as there may be', async (t) => {
  const { url } = await createTestDatabase(t);
  const database = open(t, url, { DATABASE_POOL_MAX: '3' });
  const busyMs = Math.min(patience(1000), 5000);
  const busy = [database, database.bulk].map((each) => each.query({ text: `SELECT pg_sleep(${busyMs / 1000})` }));
  const started = performance.now();
  await database.probe();
  const inner = await database.withAdvisoryLock(1, async () => {
    const again = await database.withAdvisoryLock(1, () => Promise.resolve('twice'));
    return [again, await database.withAdvisoryLock(2, () => Promise.resolve('another'))];
  });
  assert.deepEqual(inner, [undefined, 'another']);
  assert.ok(performance.now() - started < 0.8 * busyMs, 'they waited for the others');
  await Promise.all(busy);
  await Promise.all([database.bulk.query({ text: 'SELECT pg_sleep(1)' }), database.query({ text: 'SELECT 1' })]);
});

test('an advisory lock is lost with its connection and may be taken by another process then', async (t) => {
  const { connect, sql } = await createEmptyDatabase(t);
  const [first, second] = [connect(), connect()];
  await first.withAdvisoryLock(7, async () => {
    assert.equal(await second.withAdvisoryLock(7, () => Promise.resolve('taken')), undefined);
    await sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
    await untilTrue(async () => (await second.withAdvisoryLock(7, () => Promise.resolve('taken'))) === 'taken', {
      what: 'the other one has it',
    });
  });
  assert.equal(await first.withAdvisoryLock(7, () => Promise.resolve('again')), 'again');
});

test('who holds an advisory lock is told that it is lost', async (t) => {
  const { connect, sql } = await createEmptyDatabase(t);
  const database = connect();
  await database.withAdvisoryLock(7, async (signal) => {
    assert.equal(signal.aborted, false);
    await sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
    await untilTrue(() => Promise.resolve(signal.aborted), { what: 'it is told' });
  });
  const until = new AbortController();
  await database.withAdvisoryLock(
    7,
    (signal) => {
      until.abort();
      assert.equal(signal.aborted, true, 'what else ends the work');
      return Promise.resolve();
    },
    until.signal,
  );
});

test('a statement that waits for a standby is not called done when it is stopped', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const name = new URL(url).pathname.slice(1);
  await sql('CREATE TABLE numbers (number int)');
  await sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await sql('SELECT pg_reload_conf()');
  defer(t, async () => {
    await sql('ALTER SYSTEM RESET synchronous_standby_names');
    await sql('SELECT pg_reload_conf()');
  });
  await sql(`ALTER DATABASE ${name} SET synchronous_commit = on`);
  const waiting = async () =>
    (await sql<{ count: number }>("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))[0]!.count;

  const gone = new AbortController();
  const database = open(t, url);
  const ofNobody = failureOf(
    database.forCall({ statements: undefined, signal: gone.signal }).query({ text: 'INSERT INTO numbers VALUES (1)' }),
  );
  await untilTrue(async () => (await waiting()) === 1, { what: 'it waits for the standby' });
  gone.abort();
  assert.ok((await ofNobody) instanceof CallEnded);

  const inserts = [
    database.query({ text: 'INSERT INTO numbers VALUES (2)' }),
    database.transaction((connection) => connection.query('INSERT INTO numbers VALUES (3)')),
  ].map(failureOf);
  await untilTrue(async () => (await waiting()) === 2, { what: 'they wait for the standby' });
  const blocked = Array.from({ length: 9 }, () =>
    failureOf(database.query({ text: 'INSERT INTO numbers VALUES (4)' })),
  );
  database.endStatements();
  for (const failure of await Promise.all([...inserts, ...blocked, failureOf(database.query({ text: 'SELECT 1' }))])) {
    assert.ok(failure instanceof DatabaseEnding, failure.message);
    assert.equal(judgeDatabaseError(failure)?.failure, 'outage');
    const { code, reason, retryAfterMs } = databaseStatus(failure)!;
    assert.deepEqual([code, reason], ['UNAVAILABLE', 'SHUTTING_DOWN']);
    assert.ok(retryAfterMs! > 0);
  }
  assert.equal(database.breaker.state, 'closed');
});

test('a cancel that reaches another server stops nothing there', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const client = await connectDirectly(t, url);
  const victim = await connectDirectly(t, url);
  const [{ pid }] = (await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows as [{ pid: number }];
  const sleeps = victim.query('SELECT pg_sleep(1)');
  await untilTrue(async () => (await running(sql)) === 1, { what: 'it runs' });
  // As after a failover: the number is that of somebody else's process, the key is not.
  await cancelStatement(Object.assign(Object.create(client) as pg.Client, { processID: pid }), 1000);
  await sleeps;
  const stopped = failureOf(victim.query('SELECT pg_sleep(5)'));
  await untilTrue(async () => (await running(sql)) === 1, { what: 'it runs again' });
  await cancelStatement(victim, 1000);
  assert.equal(sqlState(await stopped), '57014');
});

async function connectDirectly(t: TestContext, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  defer(t, () => client.end());
  return client;
}

async function running(sql: TestDatabase['sql']): Promise<number> {
  const text =
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()";
  return (await sql<{ count: number }>(text))[0]!.count;
}

test('the old primary is left although all connections were replaced a moment ago', async (t) => {
  const { url, sql } = await createEmptyDatabase(t);
  const name = new URL(url).pathname.slice(1);
  await sql('CREATE TABLE numbers (number int)');
  await sql(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  const database = open(t, url);
  const pid = async () =>
    (await database.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })).rows[0]!.pid;
  await failureOf(database.query({ text: 'INSERT INTO numbers VALUES (1)' }));
  const before = await pid();
  await assert.rejects(database.probe(), (error) => sqlState(error) === '25006');
  await sql(`SET default_transaction_read_only = off; ALTER DATABASE ${name} RESET default_transaction_read_only`);
  await database.probe();
  await wait(1000);
  await database.probe();
  assert.notEqual(await pid(), before);
});
