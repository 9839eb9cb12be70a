import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { openEvents } from '../../../../services/events/events.js';
import { registerSchemas } from '../../../../services/events/schemas/register.js';
import { UndecodableRecord } from '../../../../services/lib/avro.js';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { classify } from '../../../../services/lib/kafka/failure.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { RegistryClient, RegistryError } from '../../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../../services/lib/registry/embedded.js';
import { defer } from '../../../support/defer.js';

const V1 = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"}]}';
const V2 = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"},{"name":"n","type":"int","default":0}]}';
/** Readable by V1, but it cannot read V1. */
const NO_DEFAULT = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"},{"name":"n","type":"int"}]}';
/** It can read V1, but V1 cannot read it. */
const NO_FIELD = '{"type":"record","name":"E","fields":[]}';
/** Compatible with V1 and not with V2. */
const OTHER_TYPE =
  '{"type":"record","name":"E","fields":[{"name":"id","type":"long"},{"name":"n","type":"string","default":""}]}';

async function embedded(t: TestContext): Promise<RegistryClient> {
  const registry = await startEmbeddedRegistry(0);
  defer(t, () => registry.close());
  return new RegistryClient({ url: `${registry.url}/`, username: '', password: '' }, silentLogger());
}

const answers = (status: number, errorCode: number) => (error: unknown) => {
  assert.ok(error instanceof RegistryError);
  assert.deepEqual([error.status, error.errorCode], [status, errorCode]);
  return true;
};

test('registering twice gives the same id, white space aside', async (t) => {
  const client = await embedded(t);
  const id = await client.register('s-value', V1);
  assert.equal(await client.register('s-value', V1), id);
  assert.equal(await client.register('s-value', JSON.stringify(JSON.parse(V1), null, 2)), id);
  assert.equal(await client.find('s-value', V1), id);
  assert.equal(await client.register('other-value', V1), id);
  const second = await client.register('s-value', V2);
  assert.notEqual(second, id);
  const latest = await client.latest('s-value');
  assert.deepEqual([latest.id, latest.version, latest.schema], [second, 2, V2]);
  assert.equal(await client.schemaById(id), V1);
  assert.equal(await client.schemaById(second), V2);
  assert.deepEqual(await client.subjects(), ['other-value', 's-value']);
});

test('what is not there: 40401, 40403, and an undecodable record', async (t) => {
  const client = await embedded(t);
  await assert.rejects(client.find('none-value', V1), answers(404, 40401));
  await assert.rejects(client.latest('none-value'), answers(404, 40401));
  await client.register('s-value', V1);
  await assert.rejects(client.find('s-value', V2), answers(404, 40403));
  await assert.rejects(client.schemaById(999), UndecodableRecord);
});

test('an incompatible schema: 409, and the subject stays as it was', async (t) => {
  const client = await embedded(t);
  await client.register('s-value', V1);
  await assert.rejects(client.register('s-value', NO_DEFAULT), answers(409, 409));
  await assert.rejects(client.register('s-value', NO_FIELD), answers(409, 409));
  await client.register('s-value', V2);
  // Compatible with version 1, but transitive means: with every version.
  await assert.rejects(client.register('s-value', OTHER_TYPE), answers(409, 409));
  assert.equal((await client.latest('s-value')).version, 2);
  assert.equal(await client.isCompatible('s-value', OTHER_TYPE), false);
  assert.equal(await client.isCompatible('s-value', V1), true);
  assert.equal(await client.isCompatible('unknown-value', OTHER_TYPE), true);
});

test('an invalid schema: 42201', async (t) => {
  const client = await embedded(t);
  for (const schema of ['{"type":"nonsense"}', 'no JSON', '{"type":"record","name":"E"}'])
    await assert.rejects(client.register('s-value', schema), answers(422, 42201), schema);
});

test('a level other than FULL_TRANSITIVE is refused rather than ignored', async (t) => {
  const client = await embedded(t);
  await client.setCompatibility('s-value', 'FULL_TRANSITIVE');
  await assert.rejects(client.setCompatibility('s-value', 'NONE'), answers(422, 42203));
});

test('subjects with characters that URLs know', async (t) => {
  const client = await embedded(t);
  const id = await client.register('a/b c%2F-value', V1);
  assert.equal(await client.find('a/b c%2F-value', V1), id);
});

test('our own schemas: registered twice with the same ids, found, and named when they are missing', async (t) => {
  const client = await embedded(t);
  const config = loadConfig({ KAFKA_TOPIC_ALERT_CREATED: 'mine' });
  await assert.rejects(openEvents(config, client), /of mine-value is not registered .* run: ssom-alert migrate/);
  const ids = await registerSchemas(config, client);
  assert.deepEqual(Object.keys(ids).sort(), ['inbox-change-topic-value', 'mine-value', 'user-alert-topic-value']);
  assert.deepEqual(await registerSchemas(config, client), ids);
  const events = await openEvents(config, client);
  assert.equal(events.alertCreated.schemaId, ids['mine-value']);
  assert.equal(events.topics.alertCreated, 'mine');
});

/** A server that answers every request alike and keeps their headers. */
async function scripted(t: TestContext, status: number, body: string) {
  const seen: { headers: IncomingHttpHeaders; url: string }[] = [];
  const server = createServer((request, response) => {
    seen.push({ headers: request.headers, url: request.url ?? '' });
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

test('basic auth is sent when there is a user name, and only then', async (t) => {
  const { url, seen } = await scripted(t, 200, '{"id":1}');
  const login = { username: 'ssom', password: 'pä:ss' };
  await new RegistryClient({ url, ...login }, silentLogger()).find('s', V1);
  await new RegistryClient({ url, username: '', password: '' }, silentLogger()).find('s', V1);
  const sent = seen[0]!.headers.authorization ?? '';
  assert.match(sent, /^Basic /);
  assert.equal(Buffer.from(sent.slice(6), 'base64').toString(), 'ssom:pä:ss');
  assert.equal(seen[1]!.headers.authorization, undefined);
});

test('a path behind the host is kept, as Apicurio needs it', async (t) => {
  const { url, seen } = await scripted(t, 200, '{"id":1}');
  await new RegistryClient({ url: `${url}/apis/ccompat/v7/`, username: '', password: '' }, silentLogger()).find(
    's',
    V1,
  );
  assert.equal(seen[0]!.url, '/apis/ccompat/v7/subjects/s');
});

test('trouble of the registry may be tried again, refusals may not; an answer that is no JSON is shown', async (t) => {
  const client = async (status: number, body: string) =>
    new RegistryClient({ url: (await scripted(t, status, body)).url, username: '', password: '' }, silentLogger());
  for (const [status, canRetry] of [
    [500, true],
    [503, true],
    [429, true],
    [401, false],
    [404, false],
  ] as const) {
    await assert.rejects((await client(status, '<html>proxy</html>')).find('s', V1), (error: RegistryError) => {
      assert.deepEqual([error.status, error.canRetry], [status, canRetry]);
      assert.match(error.message, /proxy/);
      return true;
    });
  }
  const gone = await startEmbeddedRegistry(0);
  await gone.close();
  const closed = new RegistryClient({ url: gone.url, username: '', password: '' }, silentLogger());
  await assert.rejects(closed.find('s', V1), /registry at http:\/\/127\.0\.0\.1:\d+ did not answer \(ECONNREFUSED\)/);
  await assert.rejects(closed.schemaById(1), (error) => !(error instanceof UndecodableRecord));
});

test('only a registry that says so makes a schema unknown; whatever else it answers is its own trouble', async (t) => {
  const outcome = async (status: number, body: string) => {
    const { url } = await scripted(t, status, body);
    const client = new RegistryClient({ url, username: '', password: '' }, silentLogger());
    defer(t, () => client.breaker.close());
    return client.schemaById(1).then(() => 'schema', classify);
  };
  assert.equal(await outcome(200, JSON.stringify({ schema: V1 })), 'schema');
  assert.equal(await outcome(404, '{"error_code":40403,"message":"Schema not found"}'), 'poison');
  assert.equal(await outcome(200, JSON.stringify({ schema: '{"type":"object"}', schemaType: 'JSON' })), 'poison');
  // With references to others, which were not asked for.
  const refers = '{"type":"record","name":"E","fields":[{"name":"a","type":"other.Type"}]}';
  assert.equal(await outcome(200, JSON.stringify({ schema: refers, references: [] })), 'poison');
  const wrong: [number, string][] = [
    [404, '<html>Not Found</html>'],
    [404, '{"error_code":40401}'],
    [500, 'null'],
    [200, 'null'],
    [200, '{}'],
    [200, '{"schema":5}'],
    [200, '{"schema":"no Avro"}'],
    [200, ' '.repeat(5 * 1_048_576)],
  ];
  for (const [status, body] of wrong) assert.equal(await outcome(status, body), 'outage', body.slice(0, 50));
});

test('an answer without an id of a schema is none', async (t) => {
  for (const body of ['{}', 'null', '{"id":"7"}', '{"id":-1}', '{"id":1.5}', '{"id":4294967296}', '[]']) {
    const { url } = await scripted(t, 200, body);
    const client = new RegistryClient({ url, username: '', password: '' }, silentLogger());
    await assert.rejects(client.find('s', V1), /answered for s with no id of a schema/, body);
    await assert.rejects(client.register('s', V1), { name: 'RegistryUnavailable' }, body);
  }
});

test('two who register different schemas at once: both stand, or one is told why not', async (t) => {
  const client = await embedded(t);
  await client.register('s-value', V1);
  const outcomes = await Promise.allSettled([client.register('s-value', V2), client.register('s-value', OTHER_TYPE)]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const lost = outcomes.find((outcome) => outcome.status === 'rejected') as PromiseRejectedResult;
  assert.ok(answers(409, 409)(lost.reason));
  assert.equal((await client.versions('s-value')).length, 2);
  const same = await Promise.all(Array.from({ length: 10 }, () => client.register('t-value', V1)));
  assert.equal(new Set(same).size, 1);
});

test('an answer that breaks off, or never ends, is no answer', async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('{"schema":');
    if (request.url!.endsWith('/1')) setTimeout(() => response.destroy(), 10);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new RegistryClient({ url, username: '', password: '', timeoutMs: 200 }, silentLogger());
  defer(t, () => client.breaker.close());
  for (const id of [1, 2]) assert.equal(await client.schemaById(id).then(String, classify), 'outage');
});
