import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import { main } from '../../services/cli/cli.js';
import { describeConfig, loadConfig } from '../../services/lib/config/load.js';
import { type Variable, variables } from '../../services/lib/config/variables.js';
import { startEmbeddedRegistry } from '../../services/lib/registry/embedded.js';
import { ROOT } from '../../services/lib/root.js';
import { localCertificates } from '../support/certificates.js';
import { temporaryFolder } from '../support/cleanup.js';
import { defer } from '../support/defer.js';
import { startOtlpReceiver } from '../support/otlp-receiver.js';
import { createTestDatabase } from '../support/postgres.js';
import { newToken, startPushTarget } from '../support/push.js';
import { startRole, startStandalone } from '../support/standalone.js';
import { AUDIENCE, ISSUER, KeyServer, signingKey, token } from '../support/tokens.js';
import { untilTrue } from '../support/until-true.js';
import { fakeContext } from '../unit/cli/fake-context.js';

/** Everything that must stay hidden, and everything that was said. */
class Hunt {
  readonly #secrets = new Map<string, string>();
  readonly #said: [where: string, text: string][] = [];
  readonly #folder = temporaryFolder();

  constructor(t: TestContext) {
    defer(t, () => this.#folder.remove());
  }

  /** A secret with what needs escaping in URLs, JSON and base64. */
  plant(name: string): string {
    return this.keep(name, `${randomBytes(9).toString('hex')}/+"&`);
  }

  keep(name: string, secret: string): string {
    this.#secrets.set(secret, name);
    return secret;
  }

  file(name: string, content: string): string {
    const path = join(this.#folder.path, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  hear(where: string, said: string): void {
    this.#said.push([where, said]);
  }

  /** Which secrets can be read where, in whichever form. */
  found(): string[] {
    return [...this.#secrets].flatMap(([secret, name]) =>
      this.#said
        .filter(([, text]) => formsOf(secret).some((form) => text.includes(form)))
        .map(([where]) => `${name} in ${where}`),
    );
  }
}

/** What a reader could make the secret of. In base64 it begins at any of three places, whatever stands before it. */
function formsOf(secret: string): string[] {
  const core = /^[0-9a-f]{18}/.exec(secret)?.[0] ?? secret.slice(0, 200);
  const inBase64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.from('x'.repeat(shift) + secret).toString('base64');
    return encoded.slice(Math.ceil((shift * 4) / 3), -4);
  });
  return [core, ...inBase64];
}

/** Those that the table calls secret. */
const SECRETS = Object.values(variables as Record<string, Variable<unknown>>).filter(({ secret }) => secret === true);

/** A registry that wants a user and a password. */
async function guardedRegistry(t: TestContext, user: string, password: string): Promise<string> {
  const registry = await startEmbeddedRegistry(0);
  defer(t, () => registry.close());
  const wanted = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const server = createServer((request, response) => {
    const answer = async () => {
      // Some quote what they were sent.
      const { authorization = '' } = request.headers;
      if (authorization !== wanted) return response.writeHead(401).end(`not with ${authorization}`);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = chunks.length === 0 ? null : Buffer.concat(chunks);
      const there = await fetch(registry.url + request.url!, { method: request.method!, body });
      return response.writeHead(there.status).end(await there.text());
    };
    void answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A database role of its own with a planted password, on a fresh database. */
async function plantedDatabase(t: TestContext, password: string) {
  const store = await createTestDatabase(t);
  const role = `planted_${randomBytes(4).toString('hex')}`;
  await store.sql(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${password}'`);
  const url = new URL(store.url);
  url.username = role;
  url.password = encodeURIComponent(password);
  const lockOut = async (other: string) => {
    await store.sql(`ALTER ROLE ${role} PASSWORD '${other}'`);
    await store.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role]);
  };
  return { url: url.href, lockOut };
}

/** What a call was answered, with all that is in the error. */
async function answerOf(client: grpc.Client, path: string, metadata: grpc.Metadata, body: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const keep = (bytes: Buffer) => bytes;
    client.makeUnaryRequest(path, keep, keep, body, metadata, { deadline: Date.now() + 10_000 }, (error) =>
      resolve(error === null ? '' : `${error.message} ${JSON.stringify(error.metadata.getMap())} ${error.stack}`),
    );
  });
}

const bearer = (text: string) => {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${text}`);
  return metadata;
};

test('a secret is said nowhere in a run in which much goes wrong', async (t) => {
  const hunt = new Hunt(t);
  const password = hunt.plant('DATABASE_URL');
  const registryPassword = hunt.plant('SCHEMA_REGISTRY_PASSWORD');
  const [database, registry, collector, push, key] = await Promise.all([
    plantedDatabase(t, password),
    guardedRegistry(t, 'alerts', registryPassword),
    startOtlpReceiver(t),
    startPushTarget(t),
    signingKey('k1'),
  ]);
  const spans: Buffer[] = [];
  const take = collector.take.bind(collector);
  collector.take = (bytes) => {
    spans.push(bytes);
    take(bytes);
  };
  const keys = await KeyServer.start(t, key);
  const admin = hunt.keep(
    'a token',
    await token(key, 'ops', 'alerts:create alerts:read directory:admin inbox admin', { claims: { client_id: 'ops' } }),
  );
  const tls = localCertificates();
  hunt.keep('GRPC_TLS_KEY_FILE', tls.key.split('\n')[1]!);
  const account = JSON.parse(readFileSync(push.environment['FCM_CREDENTIALS']!, 'utf8')) as { private_key: string };
  hunt.keep('FCM_CREDENTIALS', account.private_key.split('\n')[1]!);
  const service = await startStandalone(t, {
    env: {
      DATABASE_URL_FILE: hunt.file('database', `${database.url}\n`),
      SCHEMA_REGISTRY_URL: registry,
      SCHEMA_REGISTRY_USERNAME: 'alerts',
      SCHEMA_REGISTRY_PASSWORD: registryPassword,
      KAFKA_SASL_PASSWORD_FILE: hunt.file('kafka', hunt.plant('KAFKA_SASL_PASSWORD')),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: `api-key=${encodeURIComponent(hunt.plant('OTEL_EXPORTER_OTLP_HEADERS'))}`,
      OTEL_BSP_SCHEDULE_DELAY: '50',
      AUTH_MODE: 'jwt',
      JWT_JWKS: keys.url,
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
      GRPC_TLS_CERT_FILE: hunt.file('certificate', tls.certificate),
      GRPC_TLS_KEY_FILE: hunt.file('key', tls.key),
      ALERT_MONITORING_SELF_ALERTS: 'true',
      ALERT_MONITORING_SELF_ALERT_TOKEN_FILE: hunt.file('token', admin),
      ...push.environment,
      LOG_LEVEL: 'trace',
      SHUTDOWN_TIMEOUT_MS: '1000',
    },
  });
  const address = service.grpc.replace('127.0.0.1', 'localhost');
  const client = new grpc.Client(address, grpc.credentials.createSsl(Buffer.from(tls.authority)));
  defer(t, () => client.close());
  const environment = {
    SSOM_ADDRESS: address,
    SSOM_CA_FILE: hunt.file('authority', tls.authority),
    SSOM_TOKEN: admin,
  };
  const command = async (more: Record<string, string>, ...args: string[]) => {
    const context = fakeContext({ environment: { ...environment, ...more } });
    const code = await main(args, context);
    hunt.hear(`ssom-alert ${args.join(' ')}`, context.out() + context.err());
    return code;
  };
  assert.equal(await command({}, 'directory', 'load', join(ROOT, 'deploy', 'sample', 'directory.json')), 0);

  // What is right: an alert with a password in its text goes all the way to a phone.
  const device = hunt.keep('a token of a device', newToken());
  assert.equal(
    await command({}, 'devices', 'register', '--user', 'op01', '--platform', 'ANDROID', '--token', device),
    0,
  );
  const message = hunt.plant('the text of an alert');
  await push.fcm.rule({ token: device, times: 2, error: 'UNAVAILABLE' });
  const sent = ['alerts', 'create', '--kind', 'GRAFANA', '--level', 'CRITICAL', '--app', 'bank', '--title', 'down'];
  assert.equal(await command({}, ...sent, '--message', message.replaceAll('"', ''), '--to-user', 'op01'), 0);
  await untilTrue(async () => (await push.fcm.received(device)).some(({ accepted }) => accepted), { what: 'the push' });

  // What is wrong with calls: tokens, bodies, names.
  const paths = [
    'AlertService/CreateAlert',
    'InboxService/ListInbox',
    'DirectoryService/UpsertUsers',
    'AlertService/No',
  ];
  const wrong = {
    'what is no token': hunt.plant('what is no token'),
    'a token with a claim that is a secret': hunt.keep(
      'a claim',
      await token(key, hunt.plant('a subject').repeat(8), 'inbox'),
    ),
    'a forged token': hunt.keep('a forged token', await token(await signingKey('k1'), 'ops', 'inbox')),
    'a foreign token': hunt.keep('a foreign token', await token(key, 'ops', 'inbox', { claims: { aud: 'other' } })),
    'a good one': admin,
  };
  for (const path of paths)
    for (const [what, text] of Object.entries(wrong)) {
      const body = Buffer.from(hunt.plant('bytes that are no message'));
      hunt.hear(`${path} with ${what}`, await answerOf(client, `/ssom.alert.v1.${path}`, bearer(text), body));
    }
  assert.equal(await command({ SSOM_TOKEN: wrong['what is no token'] }, 'inbox', 'list', '--user', 'op01'), 1);

  // What is wrong around it: PostgreSQL takes the password no more.
  await database.lockOut(hunt.plant('another password'));
  await untilTrue(
    async () => {
      const answer = await fetch(`http://${service.http}/readyz`);
      hunt.hear('/readyz', await answer.text());
      return answer.status !== 200;
    },
    { what: 'PostgreSQL is away' },
  );
  hunt.hear(
    'CreateAlert without a database',
    await answerOf(client, '/ssom.alert.v1.InboxService/ListInbox', bearer(admin), Buffer.alloc(0)),
  );
  assert.notEqual(await command({ DATABASE_URL: database.url, SCHEMA_REGISTRY_URL: registry }, 'migrate'), 0);
  hunt.hear('/metrics', await (await fetch(`http://${service.http}/metrics`)).text());
  await service.kill('SIGTERM');
  assert.ok(spans.length > 0, 'spans came');
  hunt.hear('the spans', Buffer.concat(spans).toString());
  hunt.hear('the log', service.output);
  assert.match(service.output, /"level":10|"level":20/, 'it was logged at trace');
  assert.deepEqual(hunt.found(), []);
  hunt.hear('a header', Buffer.from(`alerts:${registryPassword}`).toString('base64'));
  assert.deepEqual(hunt.found(), ['SCHEMA_REGISTRY_PASSWORD in a header'], 'it would be found');
});

test('a secret that is wrong, or is for somebody who is away, is not said either', async (t) => {
  const hunt = new Hunt(t);
  const store = await createTestDatabase(t);
  const registry = await guardedRegistry(t, 'alerts', hunt.plant('the right password'));
  const url = new URL(store.url);
  url.password = encodeURIComponent(hunt.plant('DATABASE_URL'));
  // Another way to be known is a contradiction of the one that is taken here.
  const other = /^(SCHEMA_REGISTRY_TOKEN|KAFKA_SASL_OAUTHBEARER_.*|KAFKA_SSL_.*)$/;
  const given = Object.fromEntries(
    SECRETS.filter(({ name }) => !other.test(name)).map(({ name }) => [name, hunt.plant(name)]),
  );
  const start = (databaseUrl: string) =>
    startRole(t, 'delivery', {
      KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1',
      KAFKA_SECURITY_PROTOCOL: 'SASL_PLAINTEXT',
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'alerts',
      SCHEMA_REGISTRY_URL: registry,
      SCHEMA_REGISTRY_USERNAME: 'alerts',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_HEADERS: `api-key=${encodeURIComponent(hunt.plant('OTEL_EXPORTER_OTLP_HEADERS'))}`,
      ...given,
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'trace',
      SHUTDOWN_TIMEOUT_MS: '2000',
    });
  // Registry and brokers are asked for once PostgreSQL is there.
  const roles = [
    { role: start(url.href), fails: [/password authentication failed/] },
    { role: start(store.url), fails: [/answered 401/, /127\.0\.0\.1:1\b.*(connect|refused|down)/i] },
  ];
  for (const { role, fails } of roles) {
    await untilTrue(() => !role.running || fails.every((failure) => failure.test(role.output)), {
      what: () => `${fails.join()}: ${role.output.slice(-3000)}`,
    });
    assert.ok(role.running, role.output);
    hunt.hear('/readyz', (await role.get('/readyz')).body);
    hunt.hear('/metrics', (await role.get('/metrics')).body);
    await role.stop();
    hunt.hear('the log', role.output);
  }
  assert.deepEqual(hunt.found(), []);
});

test('a secret is in no complaint about the configuration, nor in its description', (t) => {
  const hunt = new Hunt(t);
  const hear = (environment: Record<string, string>) => {
    try {
      hunt.hear('the description', describeConfig(loadConfig(environment)).join('\n'));
    } catch (error) {
      hunt.hear('a complaint', (error as Error).message);
    }
  };
  for (const { name } of SECRETS) {
    hear({ [name]: hunt.plant(name) });
    hear({ [name]: hunt.plant(name), [`${name}_FILE`]: hunt.file(name, hunt.plant(`${name}_FILE`)) });
    hear({ [`${name}_FILE`]: hunt.file(`${name}-2`, hunt.plant(`${name}_FILE`)) });
  }
  // A password in a URL that is not meant to have one.
  for (const { name, parse } of Object.values(variables as Record<string, Variable<unknown>>))
    for (const scheme of ['http', 'postgres', 'wrong']) {
      const url = `${scheme}://somebody:${encodeURIComponent(hunt.plant(name))}@127.0.0.1:1/x`;
      if (typeof parse(url) !== 'string' || scheme === 'wrong') hear({ [name]: url });
    }
  assert.deepEqual(hunt.found(), []);
});
