import assert from 'node:assert/strict';
import test from 'node:test';
import type { AlertCreatedEvent } from '../../../../services/events/event-types.js';
import { openEvents } from '../../../../services/events/events.js';
import { readSchemas } from '../../../../services/events/schemas/files.js';
import { problemsOfWriteVersions, writtenVersion } from '../../../../services/events/schemas/meaning.js';
import { registerSchemas } from '../../../../services/events/schemas/register.js';
import { AvroCodec } from '../../../../services/lib/avro.js';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { RegistryClient } from '../../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../../services/lib/registry/embedded.js';
import { defer } from '../../../support/defer.js';
import { schemaFolder } from '../../../support/schema-folder.js';

const EVENT: AlertCreatedEvent = {
  alertId: 7,
  alertKind: 'GRAFANA',
  appName: 'ssok-bank',
  level: 'ERROR',
  title: 'down',
  message: '',
  sourceId: '',
  labels: { a: 'b' },
  occurredAt: 1,
  createdAt: 2,
  directoryVersion: 3,
  recipientsNamed: true,
  namedRecipients: { userIds: ['kim'], departments: [] },
  epoch: 9,
};

test('a writer that is held at an earlier version writes that one, and reads every one', async (t) => {
  const server = await startEmbeddedRegistry(0);
  defer(t, () => server.close());
  const registry = new RegistryClient({ url: server.url, username: '', password: '' }, silentLogger());
  const free = loadConfig({});
  await registerSchemas(free, registry);
  const held = await openEvents(loadConfig({ SCHEMA_WRITE_VERSIONS: 'alert-created-topic-value:2' }), registry);
  const newest = await openEvents(free, registry);
  const bytes = held.alertCreated.encode(EVENT);
  const second = (await registry.versions('alert-created-topic-value'))[1]!;
  assert.equal(bytes.readUInt32BE(1), second.id);
  assert.equal(newest.alertCreated.encode(EVENT).readUInt32BE(1), newest.alertCreated.schemaId);
  // Whoever has that version alone reads it without asking for another.
  const old = new AvroCodec<Partial<AlertCreatedEvent>>(second.schema, second.id, () =>
    Promise.reject(new Error('asked')),
  );
  const read = await old.decode(bytes);
  assert.deepEqual([read.title, read.directoryVersion, read.epoch], ['down', 3, undefined]);
  for (const reader of [held, newest]) {
    const { namedRecipients, epoch, title } = await reader.alertCreated.decode(bytes);
    assert.deepEqual([namedRecipients, epoch, title], [null, 0, 'down']);
  }
  assert.equal((await held.alertCreated.decode(newest.alertCreated.encode(EVENT))).epoch, 9);
  assert.equal(held.userAlert.schemaId, newest.userAlert.schemaId, 'other subjects are not held');
  const writes = [held, newest].map(({ alertCreated }) => [alertCreated.writes('title'), alertCreated.writes('epoch')]);
  assert.deepEqual(writes, [
    [true, false],
    [true, true],
  ]);
});

test('a symbol that the earlier version lacks is written as its default', () => {
  const kind = (...symbols: string[]) => ({ type: 'enum', name: 'K', symbols, default: 'OTHER' });
  const schema = (...symbols: string[]) =>
    JSON.stringify({ type: 'record', name: 'E', fields: [{ name: 'k', type: kind(...symbols) }] });
  const held = new AvroCodec<{ k: string }>(
    schema('OTHER', 'A', 'NEW'),
    1,
    () => Promise.reject(new Error('asked')),
    undefined,
    schema('OTHER', 'A'),
  );
  assert.deepEqual({ ...held.decodeKnown(held.encode({ k: 'NEW' })) }, { k: 'OTHER' });
  assert.deepEqual({ ...held.decodeKnown(held.encode({ k: 'A' })) }, { k: 'A' });
});

test('a version that changes a meaning is written only once the variable says so', (t) => {
  const schemas = schemaFolder(t);
  const told = { name: 'noteOf', type: 'string', default: 'USER', doc: 'Whose note it is; USER: as before.' };
  schemas.next([told], { changesMeaning: { of: 'alertId', toldBy: 'noteOf', heldBy: 'SCHEMA_WRITE_VERSIONS' } });
  schemas.write('user-alert-topic-value/v5.avsc', {
    ...schemas.read('user-alert-topic-value/v4.avsc'),
    changesMeaning: undefined,
  });
  const folder = readSchemas(schemas.path).folders.find(({ name }) => name === 'user-alert-topic-value')!;
  const written = (version?: number) =>
    writtenVersion(folder, new Map(version === undefined ? [] : [[folder.name, version]])).version;
  // What comes behind it means the same new thing, so it waits too.
  assert.deepEqual([written(), written(4), written(5), written(1)], [3, 4, 5, 1]);
  assert.throws(() => written(6), /SCHEMA_WRITE_VERSIONS: user-alert-topic-value has the versions 1 to 5, not 6/);
});

test('the variable is refused with what would be right', () => {
  assert.throws(
    () => loadConfig({ SCHEMA_WRITE_VERSIONS: 'user-alert-topic-value=2' }),
    /such as alert-created-topic-value:4/,
  );
  assert.throws(
    () => loadConfig({ SCHEMA_WRITE_VERSION: 'user-alert-topic-value:2' }),
    /is not a variable of this service/,
  );
  assert.deepEqual(problemsOfWriteVersions('user-alert-topic-value:2'), []);
  assert.match(problemsOfWriteVersions('user-alert-topic-value:99')[0]!, /has the versions 1 to \d+, not 99/);
  assert.match(problemsOfWriteVersions('other-value:1')[0]!, /'other-value' is none of alert-created-topic-value/);
});
