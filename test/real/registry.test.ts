import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Registry, startRegistry } from '#stack';
import { openEvents } from '../../services/events/events.js';
import { registerSchemas } from '../../services/events/schemas/register.js';
import { canonicalSchema, UndecodableRecord } from '../../services/lib/avro.js';
import { loadConfig } from '../../services/lib/config/load.js';
import { silentLogger } from '../../services/lib/logging.js';
import type { RegistryError } from '../../services/lib/registry/client.js';
import { RegistryClient } from '../../services/lib/registry/client.js';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../../services/lib/registry/embedded.js';
import { ROOT } from '../../services/lib/root.js';
import { privateStart, stackFolder, whySkip } from '../support/stack.js';

const record = (fields: object[]) =>
  canonicalSchema(JSON.stringify({ type: 'record', name: 'R', namespace: 'test', fields }));
const FIRST = record([{ name: 'id', type: 'long' }]);
const WITH_DEFAULT = record([
  { name: 'id', type: 'long' },
  { name: 'title', type: 'string', default: '' },
]);
const WITHOUT_DEFAULT = record([
  { name: 'id', type: 'long' },
  { name: 'title', type: 'string' },
]);

const SUBJECTS = ['alert-created-topic-value', 'inbox-change-topic-value', 'user-alert-topic-value'];

/** Ours, oldest first, read without the code that registers them. */
function versionsOf(subject: string): string[] {
  const folder = join(ROOT, 'schemas', subject);
  return readdirSync(folder)
    .sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0]))
    .map((file) => JSON.stringify(JSON.parse(readFileSync(join(folder, file), 'utf8'))));
}

const AUTH = { user: 'alerts', password: 'p:w ü' };

const withoutDocs = (schema: string): unknown =>
  JSON.parse(schema, (key, value: unknown) => (key === 'doc' ? undefined : value));

// The client must not notice which registry it speaks to.
describe('the schema registry', { skip: whySkip() }, () => {
  const folder = stackFolder();
  const config = loadConfig({ PROFILE: 'dev' });
  let apicurio: Registry;
  let embedded: EmbeddedRegistry;

  before(async () => {
    apicurio = await startRegistry({ ...privateStart(folder.path), port: 0, basicAuth: AUTH });
    embedded = await startEmbeddedRegistry(0);
  });

  after(async () => {
    await embedded?.close();
    await apicurio?.stop();
    folder.remove();
  });

  const clientOf = (url: string, username = '', password = '') =>
    new RegistryClient({ url, username, password }, silentLogger());

  const registries: [string, () => RegistryClient][] = [
    ['Apicurio with basic auth', () => clientOf(apicurio.url, AUTH.user, AUTH.password)],
    ['the in-process one', () => clientOf(embedded.url)],
  ];

  for (const [name, connect] of registries) {
    describe(name, () => {
      it('registers each version of ours in order, and again without effect', async () => {
        const client = connect();
        const ids = await registerSchemas(config, client);
        assert.deepEqual(Object.keys(ids).sort(), SUBJECTS);
        assert.deepEqual((await client.subjects()).sort(), SUBJECTS);
        for (const subject of SUBJECTS) {
          const versions = versionsOf(subject);
          const latest = await client.latest(subject);
          // To Apicurio a version that differs in words alone is the one before, with its id.
          const distinct = new Set(versions.map((version) => JSON.stringify(withoutDocs(version)))).size;
          assert.ok([distinct, versions.length].includes(latest.version), `${subject} has ${latest.version}`);
          assert.equal(latest.id, ids[subject]);
          assert.deepEqual(withoutDocs(latest.schema), withoutDocs(versions.at(-1)!));
          const registered: number[] = [];
          for (const version of versions) {
            const id = await client.find(subject, version);
            assert.deepEqual(withoutDocs(await client.schemaById(id)), withoutDocs(version));
            registered.push(id);
          }
          assert.deepEqual(
            registered,
            [...registered].sort((a, b) => a - b),
            'ids follow the versions',
          );
        }
        assert.deepEqual(await registerSchemas(config, client), ids);
        assert.equal((await openEvents(config, client)).alertCreated.schemaId, ids['alert-created-topic-value']);
      });

      it('keeps every subject of ours compatible in both directions', async () => {
        const client = connect();
        for (const subject of SUBJECTS) {
          const latest = JSON.parse((await client.latest(subject)).schema) as { fields: object[] };
          const without = { ...latest, fields: latest.fields.slice(1) };
          // Old readers would miss a field without a default; new ones would miss what old writers did not write.
          assert.equal(
            await client.isCompatible(subject, JSON.stringify(without)),
            false,
            `${subject} without a field`,
          );
          const more = { ...latest, fields: [...latest.fields, { name: 'more', type: 'string' }] };
          assert.equal(await client.isCompatible(subject, JSON.stringify(more)), false, `${subject} with another`);
          const optional = { ...latest, fields: [...latest.fields, { name: 'more', type: 'string', default: '' }] };
          assert.equal(await client.isCompatible(subject, JSON.stringify(optional)), true, `${subject} with a default`);
        }
      });

      it('registers, finds, and refuses what is incompatible with any version', async () => {
        const client = connect();
        const subject = 'test-value';
        assert.equal(await client.isCompatible(subject, FIRST), true, 'an unknown subject takes everything');
        await assert.rejects(client.find(subject, FIRST), (error: RegistryError) => {
          assert.equal(error.status, 404);
          assert.ok([40401, 40403].includes(error.errorCode), String(error.errorCode));
          assert.equal(error.canRetry, false);
          return true;
        });
        await assert.rejects(client.latest(subject), { name: 'RegistryError', status: 404 });
        const first = await client.register(subject, FIRST);
        await client.setCompatibility(subject, 'FULL_TRANSITIVE');
        assert.equal(await client.register(subject, FIRST), first);
        assert.equal(await client.find(subject, FIRST), first);
        await assert.rejects(client.register(subject, WITHOUT_DEFAULT), (error: RegistryError) => {
          assert.equal(error.status, 409);
          assert.equal(error.canRetry, false);
          assert.match(error.message, /test-value\/versions: the schema registry answered 409/);
          return true;
        });
        assert.equal(await client.isCompatible(subject, WITHOUT_DEFAULT), false);
        assert.equal(await client.isCompatible(subject, WITH_DEFAULT), true);
        const second = await client.register(subject, WITH_DEFAULT);
        assert.ok(second > first);
        assert.deepEqual(
          { ...(await client.latest(subject)), schema: '' },
          { ...(await client.latest(subject)), id: second, version: 2, schema: '' },
        );
        assert.equal(await client.find(subject, FIRST), first);
        await assert.rejects(client.register(subject, '{"type":"nonsense"}'), { name: 'RegistryError', status: 422 });
        await assert.rejects(client.schemaById(99_999), UndecodableRecord);
      });
    });
  }

  it('has each of our subjects at FULL_TRANSITIVE', async () => {
    const authorization = `Basic ${Buffer.from(`${AUTH.user}:${AUTH.password}`).toString('base64')}`;
    for (const subject of SUBJECTS) {
      const response = await fetch(`${apicurio.url}/config/${subject}`, { headers: { authorization } });
      assert.deepEqual(await response.json(), { compatibilityLevel: 'FULL_TRANSITIVE' });
    }
  });

  it('refuses a wrong password, or none, and the client says so', async () => {
    for (const client of [clientOf(apicurio.url, AUTH.user, 'wrong'), clientOf(apicurio.url)]) {
      await assert.rejects(client.register('test-value', FIRST), (error: RegistryError) => {
        assert.equal(error.name, 'RegistryError');
        assert.equal(error.status, 401);
        assert.equal(error.canRetry, false);
        assert.match(error.message, /POST \/subjects\/test-value\/versions: the schema registry answered 401/);
        assert.equal(error.message.includes('wrong'), false, 'the password is in the message');
        return true;
      });
    }
  });

  it('that does not answer is named with its address', async () => {
    const client = clientOf('http://127.0.0.1:1');
    await assert.rejects(
      client.latest('x'),
      /the schema registry at http:\/\/127\.0\.0\.1:1 did not answer \(E?[A-Za-z]+\)/,
    );
  });
});
