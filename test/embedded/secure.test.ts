import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { main } from '../../services/cli/cli.js';
import { createClient } from '../../services/client/client.js';
import { type Variable, variables } from '../../services/lib/config/variables.js';
import { ROOT } from '../../services/lib/root.js';
import { alertRequest } from '../support/alerts.js';
import { unprivileged } from '../support/as-nobody.js';
import { localCertificates } from '../support/certificates.js';
import { defer } from '../support/defer.js';
import { cleanEnvironment } from '../support/role-process.js';
import { startRole, startStandalone } from '../support/standalone.js';
import { AUDIENCE, ISSUER, KeyServer, signingKey, token } from '../support/tokens.js';
import { untilTrue } from '../support/until-true.js';
import { fakeContext } from '../unit/cli/fake-context.js';

/** Writes files, to be removed when the test ends. @returns their paths, by their names */
async function files(t: TestContext, contents: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'ssom-secure-'));
  defer(t, () => rm(folder, { recursive: true }));
  const paths = Object.keys(contents).map((name) => [name, join(folder, name)] as const);
  for (const [name, path] of paths) await writeFile(path, contents[name]!);
  return Object.fromEntries(paths);
}

test('the whole service with tokens and mTLS: an alert on its way, and the command line', async (t) => {
  const key = await signingKey('k1');
  const keys = await KeyServer.start(t, key);
  const admin = await token(key, 'ops', 'alerts:create directory:admin', { claims: { client_id: 'ops' } });
  const { authority, certificate, key: serverKey, client } = localCertificates();
  const path = await files(t, {
    authority,
    certificate,
    key: serverKey,
    client: client.certificate,
    clientKey: client.key,
    admin,
    services: JSON.stringify({ 'spiffe://ssom/payments': { service: 'payments', scopes: ['alerts:read'] } }),
  });
  const service = await startStandalone(t, {
    env: {
      AUTH_MODE: 'jwt',
      JWT_JWKS: keys.url,
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
      GRPC_TLS_CERT_FILE: path['certificate']!,
      GRPC_TLS_KEY_FILE: path['key']!,
      GRPC_TLS_CLIENT_CA_FILE: path['authority']!,
      GRPC_TLS_IDENTITIES_FILE: path['services']!,
    },
  });
  const address = service.grpc.replace('127.0.0.1', 'localhost');
  const environment = {
    SSOM_ADDRESS: address,
    SSOM_CA_FILE: path['authority']!,
    SSOM_CERT_FILE: path['client']!,
    SSOM_KEY_FILE: path['clientKey']!,
    SSOM_TOKEN_FILE: path['admin']!,
  };
  const context = fakeContext({ environment });
  assert.equal(
    await main(['directory', 'load', join(ROOT, 'deploy', 'sample', 'directory.json')], context),
    0,
    context.err(),
  );
  const tls = { ...client, authorities: authority };
  const as = (source: () => Promise<string>) => {
    const one = createClient({ address, identity: { token: source }, tls });
    defer(t, () => one.close());
    return one;
  };
  const seen: string[] = [];
  const stream = as(() => token(key, 'op01', 'inbox')).streamAlerts({ start: 'beginning' });
  const following = (async () => {
    for await (const { changes } of stream) seen.push(...changes.flatMap(({ alert }) => alert?.title ?? []));
  })();
  following.catch(() => undefined);
  const request = alertRequest({ recipients: { userIds: ['op01'] } });
  const { alert } = await as(async () => admin).createAlert(request);
  await untilTrue(() => seen.includes(request.title!), { what: 'the alert on the stream' });
  const byCertificate = fakeContext({ environment: { ...environment, SSOM_TOKEN_FILE: '' } });
  assert.equal(await main(['alerts', 'get', String(alert!.alertId)], byCertificate), 0, byCertificate.err());
  assert.ok(byCertificate.out().includes(request.title!), byCertificate.out());
  const plain = createClient({ address, identity: { token: admin } });
  defer(t, () => plain.close());
  await assert.rejects(plain.createAlert(request, { retryForMs: 0 }), { code: 'UNAVAILABLE' });
  const halfway = fakeContext({ environment: { ...environment, SSOM_KEY_FILE: '' } });
  assert.equal(await main(['inbox', 'list', '--user', 'op01'], halfway), 2);
  assert.match(halfway.err(), /--cert-file and --key-file go together/);
});

test('a role whose TLS files cannot be used says which, and ends', async (t) => {
  const path = await files(t, { certificate: localCertificates().certificate, key: localCertificates().key });
  const role = startRole(t, 'standalone', {
    GRPC_TLS_CERT_FILE: path['certificate']!,
    GRPC_TLS_KEY_FILE: path['key']!,
    EMBEDDED_POSTGRES_PORT: '0',
  });
  assert.equal((await role.exited).code, 1);
  assert.match(role.output, /the key in '.*key' and the certificate in '.*certificate' do not fit/);
});

test('a role whose user may not read the files of its secrets names each variable, its file and what to do', async (t) => {
  const { secret } = await files(t, { secret: 'postgres://u:p@db/ssom' });
  await chmod(secret!, 0);
  const secrets = (Object.values(variables) as Variable<unknown>[]).filter((variable) => variable.secret === true);
  const named = secrets.map(({ name }) => `${name}_FILE`);
  const { status, stderr } = spawnSync(
    process.execPath,
    [...unprivileged, join(ROOT, '.build', 'services', 'launch', 'main.js'), 'delivery'],
    {
      cwd: '/',
      encoding: 'utf8',
      env: cleanEnvironment(Object.fromEntries(named.map((name) => [name, secret!]))),
      timeout: 60_000,
    },
  );
  assert.equal(status, 1, stderr);
  const why = 'may not read it or enter its folder; change owner or mode';
  for (const name of named)
    assert.match(stderr, new RegExp(`^  ${name}: '${secret!}' cannot be read \\(EACCES\\): user \\d+ ${why}$`, 'm'));
});
