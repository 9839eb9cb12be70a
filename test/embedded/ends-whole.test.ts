import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../../services/launch/embedded/postgres.js';
import { silentLogger } from '../../services/lib/logging.js';
import { alertRequest } from '../support/alerts.js';
import { temporaryFolder } from '../support/cleanup.js';
import { defer } from '../support/defer.js';
import { loadDirectory } from '../support/directory.js';
import { openDatabase } from '../support/postgres.js';
import { type Standalone, startStandalone } from '../support/standalone.js';
import { patience, untilTrue } from '../support/until-true.js';

/** The PostgreSQL of a data folder. */
function serverOf({ dataDir }: Pick<Standalone, 'dataDir'>): { isAlive: () => boolean } {
  const pid = Number(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
  const isAlive = () => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('postgres');
  assert.ok(isAlive());
  return { isAlive };
}

/** Somebody holds an inbox for as long as the test lasts, and an alert is on its way there. */
async function holdInbox(t: TestContext, service: Standalone): Promise<void> {
  const api = service.api();
  await loadDirectory(api);
  const create = () => api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  const { database } = openDatabase(t, service.databaseUrl);
  const countOf = async (text: string) => (await database.query<{ count: number }>({ text })).rows[0]!.count;
  await create();
  await untilTrue(async () => (await countOf('SELECT count(*) FROM alert_statuses')) === 1, {
    what: 'the first one is in',
  });
  let release: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  defer(t, () => release());
  void database
    .transaction(async (connection) => {
      await connection.query("SELECT 1 FROM inboxes WHERE user_id = 'op1' FOR UPDATE");
      await create();
      await held;
    })
    .catch(() => undefined);
  const waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')";
  await untilTrue(async () => (await countOf(waiting)) > 0, { what: 'delivery waits for the inbox' });
}

test('SIGTERM while delivery waits for an inbox that is held: it ends within its time limit, its PostgreSQL before it', async (t) => {
  const service = await startStandalone(t);
  await holdInbox(t, service);
  const server = serverOf(service);
  const started = performance.now();
  await service.kill('SIGTERM');
  assert.ok(performance.now() - started < patience(5000), `it took ${Math.round(performance.now() - started)} ms`);
  assert.equal(server.isAlive(), false, 'PostgreSQL has outlived it');
});

const THROWS = `--import=data:text/javascript,${encodeURIComponent("process.on('SIGUSR2', () => { throw new Error('nobody catches this'); })")}`;
const REJECTS = `--import=data:text/javascript,${encodeURIComponent("process.on('SIGUSR2', () => { void Promise.reject(new Error('nobody awaits this')); })")}`;

for (const [what, signals, env] of [
  ['a second signal', ['SIGTERM', 'SIGTERM'], {}],
  ['a time limit that is over', ['SIGTERM'], { SHUTDOWN_TIMEOUT_MS: '100' }],
  ['a terminal that is closed (SIGHUP)', ['SIGHUP'], {}],
  ['SIGQUIT', ['SIGQUIT'], {}],
  ['an error that nobody catches', ['SIGUSR2'], { NODE_OPTIONS: THROWS }],
  ['a rejection that nobody awaits', ['SIGUSR2'], { NODE_OPTIONS: REJECTS }],
] as const) {
  test(`${what} ends the service and its PostgreSQL`, async (t) => {
    const service = await startStandalone(t, { env });
    const server = serverOf(service);
    for (const signal of signals) service.process.signal(signal);
    await service.process.exited;
    assert.equal(server.isAlive(), false, 'PostgreSQL has outlived it');
  });
}

test('a service whose parent was killed ends, and its PostgreSQL before it', async (t) => {
  const service = await startStandalone(t);
  const server = serverOf(service);
  service.process.abandon();
  assert.deepEqual(await service.process.exited, { code: 0, signal: null });
  assert.equal(server.isAlive(), false, 'PostgreSQL has outlived it');
});

test('a data folder is locked for every process, whatever its temporary folder is', async (t) => {
  const first = await startStandalone(t);
  const server = serverOf(first);
  const elsewhere = temporaryFolder();
  defer(t, elsewhere.remove);
  const link = join(elsewhere.path, 'link');
  symlinkSync(first.dataDir, link);
  for (const dataDir of [first.dataDir, link]) {
    const second = await startStandalone(t, { ready: false, dataDir, env: { TMPDIR: elsewhere.path } });
    assert.deepEqual(await second.process.exited, { code: 1, signal: null });
    assert.match(second.process.stderr, new RegExp(`is in use .*pid ${first.process.pid}`));
  }
  assert.ok(server.isAlive());
  await loadDirectory(first.api());
  await first.kill('SIGKILL');
  // What a killed one has left holds nobody up.
  await first.restart();
});

test('in the data folder no link is followed', async (t) => {
  const victims = temporaryFolder();
  defer(t, victims.remove);
  const file = join(victims.path, 'file');
  const folder = join(victims.path, 'folder');
  writeFileSync(file, 'as it was');
  mkdirSync(folder);
  for (const [name, target] of [
    ['postgres-password', file],
    ['postgres-password', join(victims.path, 'nothing')],
    ['postgres', folder],
  ] as const) {
    const data = temporaryFolder();
    defer(t, data.remove);
    symlinkSync(target, join(data.path, name));
    await assert.rejects(
      startEmbeddedPostgres({ dataDir: data.path, port: 0, logger: silentLogger(), durable: false }),
      /symbolic link/,
    );
  }
  assert.equal(readFileSync(file, 'utf8'), 'as it was');
  assert.equal(existsSync(join(victims.path, 'nothing')), false);
});

test('a PostgreSQL that says that it starts is waited for, however long it reads its log', async (t) => {
  const data = temporaryFolder('ssom-pg-');
  defer(t, data.remove);
  const options = { dataDir: data.path, port: 0, logger: silentLogger(), durable: false };
  await (await startEmbeddedPostgres(options)).stop();
  // A standby that takes no connections answers what a server does that recovers.
  const cluster = join(data.path, 'postgres');
  writeFileSync(join(cluster, 'standby.signal'), '');
  appendFileSync(join(cluster, 'postgresql.conf'), 'hot_standby = off\n');
  const silentMs = Math.min(patience(1000), 3000);
  const started = startEmbeddedPostgres({ ...options, silentMs });
  const early = await Promise.race([started.then(() => 'it has started'), sleep(silentMs * 2.5)]);
  assert.equal(early, undefined);
  writeFileSync(join(cluster, 'promote'), '');
  process.kill(Number(readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGUSR1');
  await (await started).stop();
});
