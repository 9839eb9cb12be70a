import assert from 'node:assert/strict';
import test from 'node:test';
import type { RoleName } from '../../../services/domain/role-names.js';
import { GrpcServer } from '../../../services/lib/grpc/server.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { alertRequest } from '../../support/alerts.js';
import { ADMIN, failureOf } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { user } from '../../support/directory.js';
import { health } from '../../support/health.js';
import { startTestCluster } from '../../support/in-process.js';
import { createTestDatabase } from '../../support/postgres.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { untilTrue } from '../../support/until-true.js';

interface Readyz {
  readonly status: string;
  readonly checks: Readonly<Record<string, { ok: boolean; required: boolean; reason: string }>>;
}

/** The services of each role that needs PostgreSQL; '' is the whole server. */
const SERVICES: Readonly<Record<string, readonly string[]>> = {
  'alert-api': ['', 'AlertService', 'InboxService', 'DeviceService', 'DirectoryService'],
  'stream-gateway': ['', 'AlertStreamService'],
  fanout: [''],
  delivery: [''],
};

test('while PostgreSQL is away every role is alive and not ready, says why, and is ready again without a restart', async (t) => {
  const { url } = await createTestDatabase(t);
  const target = new URL(url);
  const proxy = await TcpProxy.listen(Number(target.port));
  defer(t, () => proxy.close());
  target.host = proxy.address;
  const cluster = await startTestCluster(t, { DATABASE_URL: target.href });
  const roles = await Promise.all(
    Object.keys(SERVICES).map(async (name) => ({ name, ...(await cluster.start(name as RoleName)) })),
  );
  // Before the roles end, which would wait for it.
  defer(t, () => proxy.heal());

  /** What each role says of itself, everywhere. */
  const look = (role: (typeof roles)[number]) => async () => {
    const get = (path: string) => fetch(`http://${role.http}${path}`, { signal: AbortSignal.timeout(5000) });
    const [live, ready, metrics] = await Promise.all([get('/livez'), get('/readyz'), get('/metrics')]);
    assert.equal(live.status, 200, `${role.name} /livez`);
    const { status, checks } = (await ready.json()) as Readyz;
    const serving = await Promise.all(
      SERVICES[role.name]!.map((service) => health(role.address, service === '' ? '' : `ssom.alert.v1.${service}`)),
    );
    const gauge = /^ssom_ready\{[^}]*check="postgresql"[^}]*\} (\d)/m.exec(await metrics.text())?.[1];
    return { code: ready.status, status, postgresql: checks['postgresql'], serving, gauge };
  };

  const untilAll = async (what: string, code: number, status: string) => {
    for (const role of roles)
      await untilTrue(async () => (await look(role)()).code === code, {
        what: `${role.name} ${what}`,
        timeoutMs: 30_000,
      });
    for (const role of roles) {
      const seen = await look(role)();
      assert.deepEqual([seen.code, seen.status], [code, status], role.name);
      assert.equal(seen.postgresql?.required, true);
      assert.equal(seen.postgresql.ok, code === 200);
      assert.equal(seen.gauge, code === 200 ? '1' : '0');
      const address = `${target.host}${target.pathname}`;
      assert.equal(seen.postgresql.reason === address, code === 200, 'what is wrong is the reason, not the address');
      assert.deepEqual(
        seen.serving,
        SERVICES[role.name]!.map(() => (code === 200 ? 'SERVING' : 'NOT_SERVING')),
      );
    }
  };

  await untilAll('is ready', 200, 'ready');
  proxy.cut();
  await untilAll('is not ready', 503, 'not ready');
  proxy.heal();
  await untilAll('is ready again', 200, 'ready');
});

test('each role becomes ready once, when all that it needs is known, and is not ready when it ends', async (t) => {
  const said = t.mock.method(GrpcServer.prototype, 'setServing');
  const cluster = await startTestCluster(t);
  for (const name of [...Object.keys(SERVICES), 'push'] as RoleName[]) {
    said.mock.resetCalls();
    const role = await cluster.start(name);
    const get = async () => (await fetch(`http://${role.http}/readyz`)).status;
    assert.deepEqual([await get(), await health(role.address, '')], [200, 'SERVING'], name);
    assert.deepEqual(
      said.mock.calls.map(({ arguments: [serving] }) => serving),
      [true],
      name,
    );
    role.runtime.ending();
    assert.deepEqual([await get(), await health(role.address, '')], [503, 'NOT_SERVING'], name);
  }
});

test('a role that has never been ready says so for each of its services', async (t) => {
  const cluster = await startTestCluster(t, { DATABASE_URL: 'postgres://nobody@127.0.0.2:1/none' });
  for (const name of Object.keys(SERVICES) as RoleName[]) {
    const role = await cluster.start(name, { ready: false });
    for (const service of SERVICES[name]!)
      assert.equal(
        await health(role.address, service === '' ? '' : `ssom.alert.v1.${service}`),
        'NOT_SERVING',
        service,
      );
    assert.equal((await fetch(`http://${role.http}/readyz`)).status, 503);
  }
});

test('who calls while the server shuts down is told to try again, whether the call waits for the database or is new', async (t) => {
  const cluster = await startTestCluster(t);
  const { database, sql } = cluster.store;
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await upsertUsers(database, [user('op1', 'OPERATION')], NO_ACCOUNT);
  await api.call('CreateAlert', alertRequest());
  let release: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  let locked: () => void;
  const isLocked = new Promise<void>((resolve) => (locked = resolve));
  const holds = database.transaction(async (connection) => {
    await connection.query('LOCK TABLE alerts, inboxes IN ACCESS EXCLUSIVE MODE');
    locked();
    await held;
  });
  defer(t, async () => {
    release();
    await holds;
  });
  await isLocked;
  const waiting = async () =>
    (await sql<{ count: number }>('SELECT count(*) FROM pg_locks WHERE NOT granted'))[0]!.count;
  const calls = [
    api.call('CreateAlert', alertRequest()),
    api.call('ListAlerts', {}, ADMIN),
    api.call('MarkAllRead', {}, { user: 'op1' }),
  ].map(failureOf);
  await untilTrue(async () => (await waiting()) >= calls.length, { what: 'they wait' });
  role.runtime.ending();
  const refused = await failureOf(api.call('ListUsers', {}, ADMIN));
  const stopped = role.runtime.grpc.shutdown(300, () => role.runtime.database.endStatements());
  for (const { code, reason, details } of [refused, ...(await Promise.all(calls))]) {
    assert.deepEqual([code, reason], ['UNAVAILABLE', 'SHUTTING_DOWN']);
    assert.ok(details.retryAfterMs! > 0);
  }
  await stopped;
});

test('while PostgreSQL takes no writes nothing is stored, readiness says why, and callers may try again', async (t) => {
  const cluster = await startTestCluster(t);
  const { sql } = cluster.store;
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const get = async () => {
    const answer = await fetch(`http://${role.http}/readyz`);
    return { code: answer.status, checks: ((await answer.json()) as Readyz).checks };
  };
  const name = new URL(cluster.store.url).pathname.slice(1);
  const setReadOnly = async (value: string) => {
    await sql(`SET default_transaction_read_only = off`);
    await sql(`ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`);
    // Sessions that are there keep what they have: as if another server had their address now.
    await sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'ssom-alert'",
    );
  };
  await upsertUsers(cluster.store.database, [user('op1', 'OPERATION')], NO_ACCOUNT);
  await api.call('CreateAlert', alertRequest());
  await setReadOnly('on');
  await untilTrue(async () => (await get()).code === 503, { what: 'it is not ready' });
  assert.match((await get()).checks['postgresql']!.reason, /read-only/);
  for (let count = 0; count < 8; count += 1) {
    const { code, reason, details } = await failureOf(api.call('CreateAlert', alertRequest()));
    assert.deepEqual([code, reason], ['UNAVAILABLE', 'DATABASE_UNAVAILABLE']);
    assert.ok(details.retryAfterMs! > 0);
  }
  await setReadOnly('off');
  await untilTrue(async () => (await get()).code === 200, { what: 'it is ready again' });
  await api.call('CreateAlert', alertRequest());
});
