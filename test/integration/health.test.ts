import assert from 'node:assert/strict';
import test from 'node:test';
import { defer } from '../support/defer.js';
import { startTestCluster, type RoleName } from '../support/in-process.js';
import { health } from '../support/health.js';
import { createTestDatabase } from '../support/postgres.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { untilTrue } from '../support/until-true.js';

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
