import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type grpc from '@grpc/grpc-js';
import { alertRequest } from '../support/alerts.js';
import { temporaryFolder } from '../support/cleanup.js';
import { defer } from '../support/defer.js';
import { loadDirectory } from '../support/directory.js';
import { createTestDatabase, openDatabase } from '../support/postgres.js';
import { startRole, startStandalone } from '../support/standalone.js';
import { collectStream } from '../support/stream.js';
import { patience, untilTrue } from '../support/until-true.js';

const SERVICES = [
  'ssom.alert.v1.AlertService',
  'ssom.alert.v1.InboxService',
  'ssom.alert.v1.DirectoryService',
  'ssom.alert.v1.AlertStreamService',
];
const bytes = (buffer: Buffer) => buffer;
/** As pino writes it. */
const ERROR = 50;

/** grpc.health.v1.Health/Check: 1 is SERVING. */
async function health(client: grpc.Client, service: string): Promise<number | undefined> {
  const name = Buffer.from(service);
  const request = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const response = await new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest('/grpc.health.v1.Health/Check', bytes, bytes, request, (error, value) => {
      if (error === null) resolve(value!);
      else reject(error);
    });
  });
  return response[0] === 0x08 ? response[1] : undefined;
}

/** The answer to list_services, as bytes: it holds the names. */
async function reflect(client: grpc.Client): Promise<string> {
  const call = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', bytes, bytes);
  const answer = new Promise<string>((resolve, reject) => {
    call.on('data', (data: Buffer) => resolve(data.toString('latin1')));
    call.on('error', reject);
  });
  // Field 7, list_services: "*".
  call.write(Buffer.from([0x3a, 1, 0x2a]));
  const text = await answer;
  call.end();
  return text;
}

async function takenPort(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => server.close());
  return (server.address() as AddressInfo).port;
}

test('ready: banner, health, reflection, /livez, /readyz, /metrics; SIGINT ends it within 5 s', async (t) => {
  const started = performance.now();
  const service = await startStandalone(t);
  const startMs = performance.now() - started;
  const api = service.api();
  await loadDirectory(api);
  const stream = await collectStream(t, api, { user: 'op1' }).untilLive();
  const { alert } = await api.call('CreateAlert', alertRequest());
  await stream.untilAlerts([alert!.alertId]);

  await t.test('gRPC health is SERVING, as a whole and per service', async () => {
    for (const name of ['', ...SERVICES]) assert.equal(await health(api.client, name), 1, name);
  });

  await t.test('reflection lists the services', async () => {
    const text = await reflect(api.client);
    for (const name of SERVICES) assert.ok(text.includes(name), name);
  });

  await t.test('HTTP', async () => {
    const get = (path: string) => fetch(`http://${service.http}${path}`);
    assert.equal((await get('/livez')).status, 200);
    const ready = await get('/readyz');
    assert.equal(ready.status, 200);
    const { status, checks } = (await ready.json()) as { status: string; checks: Record<string, { ok: boolean }> };
    assert.equal(status, 'ready');
    assert.ok(Object.keys(checks).includes('postgresql') && Object.keys(checks).includes('kafka'));
    assert.ok(Object.values(checks).every(({ ok }) => ok));
    const metrics = await (await get('/metrics')).text();
    for (const name of [
      'ssom_outbox_depth',
      'ssom_outbox_age',
      'ssom_alerts_created_total',
      'ssom_deliveries_total',
      'ssom_stream_changes_total',
      'ssom_stream_open',
      'rpc_server_call_duration',
    ])
      assert.match(metrics, new RegExp(`^${name}`, 'm'));
    assert.match(metrics, /^ssom_alerts_created_total\S* 1$/m);
    assert.match(metrics, /^ssom_stream_open\S* 1$/m);
    assert.equal((await get('/other')).status, 404);
  });

  await t.test('PostgreSQL with port 0 takes none that the system gives to connections', () => {
    const [firstGiven] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number);
    assert.ok(Number(new URL(service.databaseUrl).port) < firstGiven!, service.databaseUrl);
  });

  await t.test('the banner names what a newcomer needs', () => {
    assert.match(service.process.stdout, /ready/i);
    assert.doesNotMatch(service.process.stderr, /Warning: /, 'Node has nothing to say about us');
    assert.match(service.process.stdout, /grpcurl/);
    assert.match(service.process.stdout, /ssom-alert/);
    // Where it does not listen on its usual port, what can be tried says where.
    const hints = service.process.stdout.split('\n').filter((line) => line.includes('npx ssom-alert'));
    assert.equal(hints.length, 3);
    for (const hint of hints) assert.match(hint, / --address 127\.0\.0\.1:\d+$/);
  });

  await t.test('SIGINT, with a stream open', async () => {
    const stopping = performance.now();
    assert.deepEqual(await service.kill('SIGINT'), { code: 0, signal: null }, service.output);
    const stopMs = performance.now() - stopping;
    assert.ok(stopMs < patience(5000), `${stopMs} ms`);
    t.diagnostic(`start ${Math.round(startMs)} ms, stop ${Math.round(stopMs)} ms`);
  });
});

test('a second SIGINT ends it at once, and the next start works', async (t) => {
  const service = await startStandalone(t);
  const api = service.api();
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  const stream = collectStream(t, api, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' });
  await stream.untilAlerts([alert!.alertId]);
  // Somebody holds the inbox's lock: a call hangs, and the shutdown waits for it.
  const { database } = openDatabase(t, service.databaseUrl);
  const locked = database
    .transaction(async (connection) => {
      await connection.query("SELECT 1 FROM inboxes WHERE user_id = 'op1' FOR UPDATE");
      const cutOff = assert.rejects(api.call('MarkAllRead', {}, { user: 'op1' }));
      const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')";
      await untilTrue(async () => (await connection.query(waiting)).rows.length > 0, { what: 'the call waits' });
      const stopping = performance.now();
      service.process.signal('SIGINT');
      await sleep(300);
      assert.equal(service.process.exit, undefined, 'the first signal waits for calls');
      assert.deepEqual(await service.kill('SIGINT'), { code: 1, signal: null });
      assert.ok(performance.now() - stopping < patience(1500));
      await cutOff;
    })
    // Its connection may be cut by the next start, which stops the server that was left.
    .catch((error: unknown) => {
      if (error instanceof assert.AssertionError) throw error;
    });
  await locked;
  await service.restart();
  assert.equal((await service.api().call('GetUnreadCount', {}, { user: 'op1' })).unreadCount, 1);
});

test('a wrong configuration: exit 1, all problems together, nothing started', async (t) => {
  const service = await startStandalone(t, {
    ready: false,
    env: { KAFKA_PRODUCER_RETRIES: 'x', LOG_LEVEL: 'loud', STREAM_PAGE_SIZ: '1', GRPC_LISTEN: '0.0.0.0:1' },
  });
  assert.deepEqual(await service.process.exited, { code: 1, signal: null });
  for (const name of ['KAFKA_PRODUCER_RETRIES', 'LOG_LEVEL', 'STREAM_PAGE_SIZ', 'GRPC_LISTEN'])
    assert.match(service.process.stderr, new RegExp(`^ +${name}: `, 'm'));
  assert.equal(service.process.stdout, '');
});

for (const [what, content, reason] of [
  ['is not there', undefined, /ENOENT/],
  ['is not JSON', '-----BEGIN PRIVATE KEY-----', /it is not JSON/],
  [
    'has a broken key',
    JSON.stringify({ type: 'service_account', project_id: 'p', client_email: 'a@b.example', private_key: 'cut off' }),
    /private key/,
  ],
] as const) {
  test(`a file of FCM's credentials that ${what}: exit 1, and nothing started`, async (t) => {
    const folder = temporaryFolder();
    defer(t, () => folder.remove());
    const file = join(folder.path, 'service-account.json');
    if (content !== undefined) writeFileSync(file, content);
    const service = await startStandalone(t, { ready: false, env: { FCM_CREDENTIALS: file } });
    assert.deepEqual(await service.process.exited, { code: 1, signal: null });
    assert.match(service.process.stderr, /FCM_CREDENTIALS must name the file of a Google service account: /);
    assert.match(service.process.stderr, reason);
    assert.ok(!service.process.stderr.includes('BEGIN'), 'the file is not shown');
    assert.equal(service.process.stdout, '');
  });
}

test('a role that does not exist, and one without its backends: exit 1', async (t) => {
  const none = startRole(t, 'conductor');
  assert.equal((await none.exited).code, 1);
  assert.match(none.stderr, /'conductor' is no role; there are alert-api, /);
  const bare = startRole(t, 'delivery');
  assert.equal((await bare.exited).code, 1);
  for (const name of ['DATABASE_URL', 'KAFKA_BOOTSTRAP_SERVERS', 'SCHEMA_REGISTRY_URL'])
    assert.match(bare.stderr, new RegExp(`${name}: is required`));
});

test('a database that refuses a role is told from one that is away: what was refused, and where to look', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  const other = (change: (it: URL) => void) => {
    const it = new URL(url);
    change(it);
    return it.href;
  };
  await sql("DO $$ BEGIN CREATE ROLE outsider LOGIN PASSWORD 'o'; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
  const cases = [
    [
      other((it) => (it.password = 'wrong')),
      /password authentication failed for user .*: look at user and password in DATABASE_URL/,
    ],
    [other((it) => (it.password = '')), /^SASL: .*: look at user and password in DATABASE_URL/],
    [
      other((it) => (it.pathname = '/nowhere')),
      /^database "nowhere" does not exist: make that database, or name another one/,
    ],
    [
      other((it) => ((it.username = 'outsider'), (it.password = 'o'))),
      /(permission denied for|no schema has been selected) .*: run `ssom-alert database grants`/,
    ],
  ] as const;
  const roles = cases.map(([databaseUrl]) =>
    startRole(t, 'alert-api', {
      PROFILE: 'dev',
      DATABASE_URL: databaseUrl,
      KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:9',
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:9',
    }),
  );
  interface Line {
    readonly level: number;
    readonly what?: string;
    readonly reason: string;
    readonly msg: string;
  }
  for (const [index, role] of roles.entries()) {
    const said = () =>
      role.stderr
        .split('\n')
        .filter((text) => text.includes('trying again'))
        .map((text) => JSON.parse(text) as Line)
        .filter(({ what }) => what === 'postgresql');
    await untilTrue(() => said().length > 0, { what: () => `it is said: ${role.output}` });
    for (const { level, msg, reason } of said()) {
      assert.deepEqual([level, msg], [ERROR, 'it refuses us; trying again'], reason);
      assert.match(reason, cases[index]![1]);
      assert.ok(!reason.includes('wrong'), 'the password is not shown');
    }
  }
});

for (const [variable, what] of [
  ['GRPC_LISTEN', 'gRPC'],
  ['HTTP_LISTEN', 'HTTP'],
  ['EMBEDDED_POSTGRES_PORT', 'PostgreSQL'],
  ['EMBEDDED_REGISTRY_PORT', 'registry'],
] as const) {
  test(`the port of ${variable} is taken: exit 1 and one clear line`, async (t) => {
    const port = await takenPort(t);
    const value = variable.endsWith('_PORT') ? String(port) : `127.0.0.1:${port}`;
    const service = await startStandalone(t, { ready: false, env: { [variable]: value } });
    assert.deepEqual(await service.process.exited, { code: 1, signal: null });
    const lines = service.process.stderr.split('\n').filter((line) => line !== '');
    const [first] = lines;
    assert.match(first!, new RegExp(variable), service.output);
    assert.match(first!, new RegExp(String(port)));
    assert.match(first!, new RegExp(what, 'i'));
    assert.equal(lines.length, 1, service.process.stderr);
    assert.equal(service.process.stdout, '');
  });
}

test('DATA_DIR in use by a live instance: exit 1, one clear line, and the first goes on', async (t) => {
  const first = await startStandalone(t);
  const second = await startStandalone(t, { ready: false, dataDir: first.dataDir });
  assert.deepEqual(await second.process.exited, { code: 1, signal: null });
  const lines = second.process.stderr.trim().split('\n');
  assert.equal(lines.length, 1, second.process.stderr);
  assert.match(lines[0]!, new RegExp(`${first.dataDir} is in use .*pid ${first.process.pid}.*DATA_DIR`));
  await loadDirectory(first.api());
});
