import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient, registryOptions, riskOfRegistry } from '../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../services/lib/registry/embedded.js';
import { localCertificates } from '../../support/certificates.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import { startTestCluster } from '../../support/in-process.js';
import { patience, untilTrue } from '../../support/until-true.js';

const SCHEMA = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"}]}';

/** A registry by TLS that takes one bearer token, or one password; `files` are a client's. */
async function startSecured(t: TestContext, { mutual = false } = {}) {
  const registry = await startEmbeddedRegistry(0);
  defer(t, () => registry.close());
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const { authority, certificate: cert, key, client } = localCertificates();
  const write = (name: string, text: string) => {
    const file = join(folder.path, name);
    writeFileSync(file, text);
    return file;
  };
  const state = { takes: 'Bearer first' };
  const seen: string[] = [];
  const server = createServer(
    { cert, key, ca: authority, requestCert: mutual, rejectUnauthorized: mutual },
    (request, response) => {
      const { authorization = '' } = request.headers;
      if (authorization !== state.takes) {
        response.writeHead(401).end('{"error_code":401,"message":"Unauthorized"}');
        return;
      }
      void (async () => {
        const { method = '', url = '' } = request;
        const pieces: Buffer[] = [];
        for await (const piece of request) pieces.push(piece as Buffer);
        const body = pieces.length > 0 ? { body: Buffer.concat(pieces) } : {};
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(registry.url + url, { method, headers, ...body });
        response.writeHead(answer.status).end(await answer.text());
      })();
    },
  );
  server.on('secureConnection', (socket) => seen.push(String(socket.getPeerCertificate().subject?.CN)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => {
    server.closeAllConnections();
    server.close();
  });
  const files = {
    SCHEMA_REGISTRY_URL: `https://localhost:${(server.address() as AddressInfo).port}`,
    SCHEMA_REGISTRY_CA_FILE: write('ca.pem', authority),
  };
  const own = {
    SCHEMA_REGISTRY_CERT_FILE: write('client.pem', client.certificate),
    SCHEMA_REGISTRY_KEY_FILE: write('client-key.pem', client.key),
  };
  return { files, own, write, state, seen };
}

function clientOf(t: TestContext, environment: Record<string, string>): RegistryClient {
  const config = loadConfig(environment);
  const logger = silentLogger();
  const client = new RegistryClient(registryOptions(config.schemaRegistryUrl, config, logger), logger);
  defer(t, () => client.breaker.close());
  return client;
}

test('TLS with an authority of our own, a certificate, and a bearer token that is replaced in its file', async (t) => {
  const { files, own, write, state, seen } = await startSecured(t, { mutual: true });
  const SCHEMA_REGISTRY_TOKEN_FILE = write('token', 'first\n');
  const client = clientOf(t, { ...files, ...own, SCHEMA_REGISTRY_TOKEN_FILE });
  assert.equal(typeof (await client.register('s-value', SCHEMA)), 'number');
  assert.deepEqual(new Set(seen), new Set(['client']));
  state.takes = 'Bearer second';
  await assert.rejects(client.subjects(), /answered 401.*look at SCHEMA_REGISTRY_USERNAME.*SCHEMA_REGISTRY_TOKEN/);
  write('token', 'second');
  assert.deepEqual(await client.subjects(), ['s-value']);
  // Somebody is at the file.
  write('token', '');
  assert.deepEqual(await client.subjects(), ['s-value']);
});

test('what is a secret and goes in clear beyond this machine is warned of', () => {
  const risk = (url: string, environment: Record<string, string>) => riskOfRegistry(url, loadConfig(environment));
  const login = { SCHEMA_REGISTRY_USERNAME: 'ssom', SCHEMA_REGISTRY_PASSWORD: 'secret' };
  assert.match(
    risk('http://registry:8081', login) ?? '',
    /^SCHEMA_REGISTRY_PASSWORD goes to http:\/\/registry:8081 in clear/,
  );
  assert.match(risk('http://registry', { SCHEMA_REGISTRY_TOKEN: 't' }) ?? '', /^SCHEMA_REGISTRY_TOKEN goes/);
  for (const url of ['https://registry', 'http://localhost:8081', 'http://127.0.0.1:1', 'http://[::1]:1'])
    assert.equal(risk(url, login), undefined, url);
  assert.equal(risk('http://registry', {}), undefined);
});

test('who is not believed is named: another authority, another name, no certificate', async (t) => {
  const { files, write } = await startSecured(t, { mutual: true });
  const said = (environment: Record<string, string>) =>
    clientOf(t, { ...files, ...environment })
      .subjects()
      .then(
        () => 'nothing',
        (error: Error) => error.message,
      );
  assert.match(await said({}), /did not answer|does not take our certificate/);
  const other = write('other.pem', localCertificates().authority);
  assert.match(
    await said({ SCHEMA_REGISTRY_CA_FILE: other }),
    /its certificate is of no authority that is trusted here .*look at SCHEMA_REGISTRY_URL, _CA_FILE/,
  );
  const byAddress = files.SCHEMA_REGISTRY_URL.replace('localhost', '127.0.0.1');
  assert.match(await said({ SCHEMA_REGISTRY_URL: byAddress }), /for another name than it was called by/);
});

test('a role says within 5 s that the registry refuses it, at the start and later, and goes on when it is mended', async (t) => {
  const { files, write, state } = await startSecured(t);
  state.takes = `Basic ${Buffer.from('ssom:one').toString('base64')}`;
  const password = write('password', 'one');
  const cluster = await startTestCluster(t, {
    ...files,
    SCHEMA_REGISTRY_USERNAME: 'ssom',
    SCHEMA_REGISTRY_PASSWORD_FILE: password,
    SCHEMA_REGISTRY_CHECK_INTERVAL_MS: '500',
  });
  write('password', 'wrong');
  const startedAt = performance.now();
  const { http, logged } = await cluster.start('delivery', { ready: false });
  const check = async (name: string) => {
    const { checks } = (await (await fetch(`http://${http}/readyz`)).json()) as {
      checks: Record<string, { ok: boolean; reason: string } | undefined>;
    };
    return checks[name];
  };
  const refusal = /answered 401.*look at SCHEMA_REGISTRY_USERNAME/;
  await untilTrue(async () => refusal.test((await check('schema registry'))?.reason ?? ''), { what: 'its reason' });
  assert.ok(performance.now() - startedAt < patience(5000));
  assert.match(logged(), refusal);
  assert.match(logged(), /it refuses us; trying again/);
  write('password', 'one');
  await untilTrue(async () => (await check('schema registry'))?.ok === true, { what: 'the registry' });
  state.takes = `Basic ${Buffer.from('ssom:two').toString('base64')}`;
  await untilTrue(async () => refusal.test((await check('schemas'))?.reason ?? ''), { what: 'the later refusal' });
  assert.match(logged(), /the schema registry refuses us/);
  write('password', 'two');
  await untilTrue(async () => (await check('schemas'))?.ok === true, { what: 'its end' });
});
