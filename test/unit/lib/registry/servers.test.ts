import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { UnusableSchema } from '../../../../services/lib/avro.js';
import { ConfigError, loadConfig } from '../../../../services/lib/config/load.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { RegistryClient, RegistryUnavailable, riskOfRegistry } from '../../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../../services/lib/registry/embedded.js';
import { defer } from '../../../support/defer.js';

const SCHEMA = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"}]}';
const UNKNOWN = '{"error_code":40403,"message":"Schema not found"}';

interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly location?: string;
}

/** A server that counts what it is asked and answers as told; undefined: not at all. */
async function scripted(t: TestContext, answer: (asked: number) => Answer | undefined) {
  const seen = { asked: 0, authorization: [] as (string | undefined)[], url: '' };
  const server: Server = createServer((request, response) => {
    seen.asked += 1;
    seen.authorization.push(request.headers.authorization);
    const said = answer(seen.asked);
    if (said === undefined) return;
    const headers = said.location === undefined ? {} : { location: said.location };
    response.writeHead(said.status, headers).end(said.body ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => {
    server.closeAllConnections();
    server.close();
  });
  seen.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return seen;
}

function clientOf(t: TestContext, url: string, timeoutMs = 5000): RegistryClient {
  const client = new RegistryClient({ url, username: 'ssom', password: 'secret', timeoutMs }, silentLogger());
  defer(t, () => client.breaker.close());
  return client;
}

test('while one server is away another one answers, and goes on being asked first', async (t) => {
  const registry = await startEmbeddedRegistry(0);
  defer(t, () => registry.close());
  const trouble: [string, Answer | undefined][] = [
    ['500', { status: 500 }],
    ['503 as HTML', { status: 503, body: '<html>' }],
    ['429', { status: 429 }],
    ['HTML', { status: 200, body: '<html>a proxy</html>' }],
    ['a redirect', { status: 302, location: 'http://127.0.0.1:1/' }],
    ['silence', undefined],
  ];
  for (const [what, answer] of trouble) {
    const broken = await scripted(t, () => answer);
    const client = clientOf(t, `${broken.url}/ , ${registry.url}`, 300);
    const id = await client.register('s-value', SCHEMA);
    assert.equal(await client.schemaById(id), SCHEMA, what);
    assert.equal(broken.asked, 1, what);
    assert.equal(client.url, `${broken.url}, ${registry.url}`);
  }
  const gone = await startEmbeddedRegistry(0);
  await gone.close();
  assert.deepEqual(await clientOf(t, `${gone.url},${registry.url}`).subjects(), ['s-value']);
});

test('each server is asked twice at most, and an answer that is a no is one', async (t) => {
  const first = await scripted(t, () => ({ status: 503, body: '{"error_code":50001,"message":"busy"}' }));
  const second = await scripted(t, () => ({ status: 500 }));
  await assert.rejects(clientOf(t, `${first.url},${second.url}`).find('s', SCHEMA), { name: 'RegistryError' });
  assert.deepEqual([first.asked, second.asked], [2, 2]);
  const recovering = await scripted(t, (asked) => (asked === 1 ? { status: 503 } : { status: 200, body: '{"id":7}' }));
  assert.equal(await clientOf(t, recovering.url).find('s', SCHEMA), 7);
  const refusing = await scripted(t, () => ({ status: 409, body: '{"error_code":409,"message":"incompatible"}' }));
  const never = await scripted(t, () => ({ status: 200, body: '{"id":8}' }));
  await assert.rejects(clientOf(t, `${refusing.url},${never.url}`).register('s', SCHEMA), { status: 409 });
  assert.deepEqual([refusing.asked, never.asked], [1, 0]);
});

test('servers that are silent are waited for as long as each may take, and no longer', async (t) => {
  const [first, second] = [await scripted(t, () => undefined), await scripted(t, () => undefined)];
  const since = performance.now();
  await assert.rejects(clientOf(t, `${first.url},${second.url}`, 200).find('s', SCHEMA), /did not answer/);
  assert.ok(performance.now() - since >= 390);
  assert.deepEqual([first.asked, second.asked], [1, 1]);
});

test('a redirect is not followed, shown where it leads, and carries nothing of ours there', async (t) => {
  const elsewhere = await scripted(t, () => ({ status: 200, body: '{"id":1}' }));
  const redirecting = await scripted(t, () => ({
    status: 307,
    location: `${elsewhere.url}/login?token=x`,
    body: UNKNOWN,
  }));
  await assert.rejects(clientOf(t, redirecting.url).schemaById(1), (error: Error) => {
    assert.ok(error instanceof RegistryUnavailable);
    assert.match(error.message, /answered 307 and sends us to http:\/\/127\.0\.0\.1:\d+, which is not followed/);
    assert.equal(error.message.includes('token'), false);
    return true;
  });
  assert.equal(elsewhere.asked, 0);
});

test('a schema is unknown when every server says so: one may not have it yet', async (t) => {
  const behind = await scripted(t, () => ({ status: 404, body: UNKNOWN }));
  const known = await scripted(t, () => ({ status: 200, body: JSON.stringify({ schema: SCHEMA }) }));
  assert.equal(await clientOf(t, `${behind.url},${known.url}`).schemaById(1), SCHEMA);
  const alsoBehind = await scripted(t, () => ({ status: 404, body: UNKNOWN }));
  await assert.rejects(clientOf(t, `${behind.url},${alsoBehind.url}`).schemaById(1), UnusableSchema);
  // One that is away may know it.
  const away = await scripted(t, () => ({ status: 503 }));
  await assert.rejects(
    clientOf(t, `${behind.url},${away.url}`).schemaById(1),
    (error) => !(error instanceof UnusableSchema),
  );
  // Words in the body do not make an error of the server an answer.
  const confused = await scripted(t, () => ({ status: 500, body: UNKNOWN }));
  await assert.rejects(clientOf(t, confused.url).schemaById(1), (error) => !(error instanceof UnusableSchema));
});

test('the variable takes several addresses; each is looked at', () => {
  const load = (SCHEMA_REGISTRY_URL: string) => loadConfig({ SCHEMA_REGISTRY_URL });
  const both = 'https://a:8081/apis , http://b:8081';
  assert.equal(load(both).schemaRegistryUrl, both);
  for (const wrong of ['http://a,b', 'http://a,,http://b', 'http://a http://b', 'ftp://a'])
    assert.throws(() => load(wrong), ConfigError, wrong);
  assert.throws(() => load('http://a,http://me:secret@b'), /SCHEMA_REGISTRY_URL: must not have a user and password/);
  const config = loadConfig({ SCHEMA_REGISTRY_USERNAME: 'me', SCHEMA_REGISTRY_PASSWORD: 'x' });
  assert.match(
    riskOfRegistry('https://a,http://b', config) ?? '',
    /^SCHEMA_REGISTRY_PASSWORD goes to http:\/\/b in clear/,
  );
});
