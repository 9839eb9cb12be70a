import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { createAuthority, issueCertificate, LOCAL_NAMES, type Postgres, startPostgres } from '#stack';
import { type Environment, loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { CallEnded, Database } from '../../../services/lib/postgres.js';
import { whatToMend } from '../../../services/lib/postgres-errors.js';
import { Runtime } from '../../../services/runtime/runtime.js';
import { migrate } from '../../../services/store/migrate.js';
import { defer } from '../../support/defer.js';
import { stackFolder } from '../../support/stack.js';
import { patience, untilTrue } from '../../support/until-true.js';

/** One for all tests of this file: TLS alone, and also at an address that its certificate does not name. */
const folder = stackFolder();
let server: Promise<Postgres> | undefined;
const secure = join(folder.path, 'secure');
function startServer(): Promise<Postgres> {
  server ??= startPostgres({
    dir: folder.path,
    port: 0,
    killAtExit: true,
    secure: { folder: secure },
    settings: { listen_addresses: '127.0.0.1,127.0.0.2', fsync: 'off' },
  });
  return server;
}
after(async () => {
  await (await server)?.stop();
  folder.remove();
});

const inFolder = (name: string) => join(secure, name);
/** The URL of a user, with other words about TLS, or another host. */
async function urlOf(name: string, change: Record<string, string | undefined> = {}, host?: string): Promise<string> {
  await startServer();
  const url = new URL(readFileSync(inFolder(`${name}.database-url`), 'utf8').trim());
  for (const [key, value] of Object.entries(change))
    if (value === undefined) url.searchParams.delete(key);
    else url.searchParams.set(key, value);
  if (host !== undefined) url.hostname = host;
  return url.href;
}

function open(t: TestContext, environment: Environment): Database {
  const config = loadConfig(environment);
  const database = new Database(config.databaseUrl, config, silentLogger());
  defer(t, () => database.close());
  return database;
}

async function failureOf(t: TestContext, url: string): Promise<Error> {
  const failure = await open(t, { DATABASE_URL: url })
    .query({ text: 'SELECT 1' })
    .then(
      () => undefined,
      (error: Error) => error,
    );
  assert.ok(failure, 'nobody refused it');
  return failure;
}

test('every connection is by TLS, verified, with a password and where asked a certificate; nothing else gets in', async (t) => {
  const database = open(t, { DATABASE_URL: await urlOf('admin') });
  await Promise.all([
    database.probe(),
    database.query({ text: 'SELECT 1' }),
    database.bulk.query({ text: 'SELECT 1' }),
  ]);
  const { rows } = await database.query<{ ssl: boolean; client: string | null }>({
    text: `SELECT ssl, client_dn AS client FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'ssom-alert'`,
  });
  assert.equal(rows.length, 3);
  assert.ok(rows.every(({ ssl, client }) => ssl && client === '/CN=admin'));
  await open(t, { DATABASE_URL: await urlOf('delivery') }).query({ text: 'SELECT 1' });
  const plain = await failureOf(t, await urlOf('delivery', { sslmode: 'disable' }));
  assert.match(`${plain.message}: ${whatToMend(plain)}`, /no encryption.*pg_hba/);
  const bare = await failureOf(t, await urlOf('admin', { sslcert: undefined, sslkey: undefined }));
  assert.match(bare.message, /valid client certificate/);
});

test('migrations and the command line go the same way', async () => {
  assert.notDeepEqual(await migrate(await urlOf('admin'), silentLogger()), []);
});

test('a statement that nobody waits for is stopped, by TLS as well', async (t) => {
  const database = open(t, { DATABASE_URL: await urlOf('admin') });
  const controller = new AbortController();
  const startedAt = performance.now();
  const sleeping = database.until(controller.signal).query({ text: `SELECT pg_sleep(9), 'nobody'` });
  const running = () =>
    database.query({
      text: `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(9), _nobody_'`,
    });
  await untilTrue(async () => (await running()).rowCount === 1, { what: 'the statement' });
  controller.abort();
  await assert.rejects(sleeping, CallEnded);
  await untilTrue(async () => (await running()).rowCount === 0, { what: 'its end' });
  assert.ok(performance.now() - startedAt < 8500);
});

test('a wrong authority, host, password or certificate is refused and named', async (t) => {
  const other = inFolder('other-ca.pem');
  writeFileSync(other, createAuthority().certificate);
  const said = async (...args: Parameters<typeof urlOf>) => {
    const error = await failureOf(t, await urlOf(...args));
    return `${error.message}: ${whatToMend(error)}`;
  };
  assert.match(
    await said('delivery', { sslrootcert: other }),
    /no authority that is trusted here; look at .*sslrootcert/,
  );
  assert.match(await said('delivery', { sslrootcert: undefined }), /no authority that is trusted here/);
  assert.match(await said('delivery', {}, '127.0.0.2'), /another name than it was called by/);
  // As in one version of pg, but not in another.
  assert.match(await said('delivery', { sslmode: 'require' }, '127.0.0.2'), /another name than it was called by/);
  await open(t, { DATABASE_URL: await urlOf('delivery', { sslmode: 'no-verify' }, '127.0.0.2') }).query({
    text: 'SELECT 1',
  });
  const wrong = new URL(await urlOf('delivery'));
  wrong.password = 'wrong';
  const refused = await failureOf(t, wrong.href);
  assert.match(
    `${refused.message}: ${whatToMend(refused)}`,
    /password authentication failed.*look at user and password/,
  );
  const stranger = issueCertificate(createAuthority(), 'admin');
  writeFileSync(inFolder('stranger.pem'), stranger.certificate);
  writeFileSync(inFolder('stranger-key.pem'), stranger.key);
  const files = { sslcert: inFolder('stranger.pem'), sslkey: inFolder('stranger-key.pem') };
  assert.match(await said('admin', files), /does not take our certificate|valid client certificate/);
});

test('a password that was replaced in its file is used by the next connection, and so is another user', async (t) => {
  const file = inFolder('rotated.database-url');
  copyFileSync(inFolder('delivery.database-url'), file);
  await startServer();
  copyFileSync(inFolder('delivery.database-url'), file);
  const admin = open(t, { DATABASE_URL: await urlOf('admin') });
  const database = open(t, { DATABASE_URL_FILE: file });
  const user = async () =>
    (await database.query<{ user: string }>({ text: 'SELECT current_user AS user' })).rows[0]?.user;
  const kill = () =>
    admin.query({ text: `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'ssom_%'` });
  assert.equal(await user(), 'ssom_delivery');
  await admin.query({ text: `ALTER ROLE ssom_delivery PASSWORD 'another'` });
  defer(t, () =>
    admin.query({
      text: `ALTER ROLE ssom_delivery PASSWORD '${readFileSync(inFolder('postgres-delivery.password'), 'utf8')}'`,
    }),
  );
  const next = new URL(await urlOf('delivery'));
  next.password = 'another';
  writeFileSync(file, `${next.href}\n`);
  await kill();
  await untilTrue(() => user().catch(() => undefined), { what: 'the new password' });
  await database.probe();
  // Somebody is at the file: what was there is used.
  for (const text of ['', 'postgres://', `${next.href}&sslrootcert=/nowhere`]) {
    writeFileSync(file, text);
    await kill();
    await untilTrue(() => user().catch(() => undefined), { what: `the last one, while there is '${text}'` });
  }
  writeFileSync(file, await urlOf('reader'));
  await kill();
  await untilTrue(async () => (await user().catch(() => undefined)) === 'ssom_reader', { what: 'the new user' });
});

test('what is wrong shows within 5 s at the start and while it runs, and is over when the file is mended', async (t) => {
  const ca = inFolder('a-role-ca.pem');
  writeFileSync(ca, createAuthority().certificate);
  const config = loadConfig({ DATABASE_URL: await urlOf('admin', { sslrootcert: ca }), SET_UP_AT_START: 'false' });
  const backends = {
    databaseUrl: config.databaseUrl,
    brokers: { bootstrapServers: '', inProcess: false },
    registryUrl: '',
  };
  const startedAt = performance.now();
  const runtime = await Runtime.create(config, 'a-role', backends, { logger: silentLogger() });
  defer(t, () => runtime.close());
  const { address } = await runtime.serveHttp('127.0.0.1:0');
  const controller = new AbortController();
  defer(t, () => controller.abort(new Error('the test ends it')));
  runtime.databaseReady(controller.signal).catch(() => undefined);
  const said = async () => {
    const { checks } = (await (await fetch(`http://${address}/readyz`)).json()) as {
      checks: Record<string, { ok: boolean; reason: string }>;
    };
    return checks['postgresql']!.ok ? 'ready' : checks['postgresql']!.reason;
  };
  await untilTrue(async () => (await said()).includes('no authority that is trusted here'), { what: 'its reason' });
  assert.ok(performance.now() - startedAt < patience(5000));
  copyFileSync(inFolder('ca.pem'), ca);
  await untilTrue(async () => (await said()) === 'ready', { what: 'its recovery' });
  // The server gets a certificate that has expired.
  const admin = open(t, { DATABASE_URL: await urlOf('admin') });
  await admin.query({ text: 'SELECT 1' });
  const authority = {
    certificate: readFileSync(inFolder('ca.pem'), 'utf8'),
    key: readFileSync(inFolder('ca-key.pem'), 'utf8'),
  };
  const { rows } = await admin.query<{ cert: string; key: string }>({
    text: `SELECT current_setting('ssl_cert_file') AS cert, current_setting('ssl_key_file') AS key`,
  });
  const replace = async (pair: { certificate: string; key: string }) => {
    writeFileSync(rows[0]!.cert, pair.certificate);
    writeFileSync(rows[0]!.key, pair.key);
    await admin.query({ text: 'SELECT pg_reload_conf()' });
  };
  await replace(issueCertificate(authority, 'postgres', LOCAL_NAMES, { from: '20200101', to: '20210101' }));
  const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssom-alert' AND pid <> pg_backend_pid()`;
  await untilTrue(
    async () => {
      await admin.query({ text });
      return (await said()).includes('its certificate has expired');
    },
    { what: 'what is wrong now', intervalMs: 200 },
  );
  await replace(issueCertificate(authority, 'postgres', LOCAL_NAMES));
  await untilTrue(async () => (await said()) === 'ready', { what: 'its second recovery' });
});
