import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { startEmbeddedRegistry } from '../../../services/lib/registry/embedded.js';
import { defer } from '../../support/defer.js';
import { fakeContext } from './fake-context.js';

/** A registry like the service's own that answers some paths as it is told. */
async function registryWith(t: TestContext, answers: Readonly<Record<string, unknown>>): Promise<string> {
  const real = await startEmbeddedRegistry(0);
  defer(t, () => real.close());
  const server = createServer((request, response) => {
    const { method = 'GET', url = '/' } = request;
    void buffer(request).then(async (body) => {
      const told = answers[`${method} ${url}`];
      if (told !== undefined) return response.end(JSON.stringify(told));
      const answer = await fetch(real.url + url, { method, ...(body.length > 0 ? { body } : {}) });
      return response.writeHead(answer.status).end(await answer.text());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function migrateSchemas(url: string) {
  const context = fakeContext({ environment: { SCHEMA_REGISTRY_URL: url } });
  const code = await main(['migrate', '--schemas-only'], context);
  return { code, out: context.out(), err: context.err() };
}

const foreign = (fields: object[]) =>
  JSON.stringify({ type: 'record', name: 'UserAlertEvent', namespace: 'ssom.alert.events', fields });
const OURS = [
  { name: 'alertId', type: 'long' },
  { name: 'userId', type: 'string' },
];

test('migrate names versions that are not ours, whether the roles can read them, and what to do', async (t) => {
  const subject = 'user-alert-topic-value';
  const path = `GET /subjects/${subject}/versions`;
  const url = await registryWith(t, {
    [path]: [7, 8],
    [`${path}/7`]: { id: 40, version: 7, schema: foreign([{ name: 'alertId', type: 'string' }]) },
    [`${path}/8`]: { id: 41, version: 8, schema: foreign([...OURS, { name: 'note', type: 'string', default: '' }]) },
    'GET /config/inbox-change-topic-value': { compatibilityLevel: 'NONE' },
  });
  const { code, out, err } = await migrateSchemas(url);
  assert.equal(code, 0, err);
  assert.match(out, /3 subjects registered/);
  assert.match(err, /^warning: user-alert-topic-value version 7 \(id 40\) is not .*, and the roles cannot read it: /m);
  assert.ok(err.includes(`curl -X DELETE ${url}/subjects/${subject}/versions/7`), err);
  assert.match(err, /^note: user-alert-topic-value version 8 \(id 41\) is not among .*; the roles can read it/m);
  assert.match(err, /^warning: the compatibility of inbox-change-topic-value was NONE; it is FULL_TRANSITIVE again/m);
});

test('migrate has nothing to say of a registry that holds our versions, or none', async (t) => {
  const url = await registryWith(t, {});
  for (const round of ['first', 'again']) {
    const { code, err } = await migrateSchemas(url);
    assert.deepEqual([code, err], [0, ''], round);
  }
});
