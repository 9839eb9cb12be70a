import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { UserAlertEvent } from '../../../services/events/event-types.js';
import { readVersions } from '../../../services/events/schemas/files.js';
import { AvroCodec } from '../../../services/lib/avro.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../services/lib/registry/embedded.js';
import { alertRequest } from '../../support/alerts.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster, type TestCluster } from '../../support/in-process.js';
import { listWholeInbox } from '../../support/stream.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { untilTrue } from '../../support/until-true.js';

/** A registry that comes and goes; one that was lost and is filled anew would not know an id for a moment. */
async function startRegistry(t: TestContext) {
  const registry = await startEmbeddedRegistry(0);
  defer(t, () => registry.close());
  const proxy = await TcpProxy.listen(Number(new URL(registry.url).port));
  defer(t, () => proxy.close());
  const url = `http://127.0.0.1:${proxy.port}`;
  const client = new RegistryClient({ url, username: '', password: '' }, silentLogger());
  return { url, client, stop: () => proxy.cut(), come: () => proxy.heal() };
}

async function inboxSize(api: ReturnType<TestCluster['api']>, userId: string): Promise<number> {
  return (await listWholeInbox(api, userId)).rows.length;
}

/** As another team's next version has it. */
function nextVersion(): string {
  const newest = readVersions('user-alert-topic-value').at(-1)!.text;
  const schema = JSON.parse(newest) as { fields: object[] };
  schema.fields.push({ name: 'more', type: 'string', default: '' });
  return JSON.stringify(schema);
}

test('a schema that nobody knows yet, and the registry away: its record waits, others go on, and it is read later', async (t) => {
  const registry = await startRegistry(t);
  const cluster = await startTestCluster(t, { SCHEMA_REGISTRY_URL: registry.url });
  const schema = nextVersion();
  const id = await registry.client.register('user-alert-topic-value', schema);
  const alertApi = await cluster.start('alert-api');
  const api = cluster.api(alertApi);
  await loadDirectory(api, [user('waiting', 'ONE'), user('going', 'TWO')]);
  await cluster.start('fanout');
  const delivery = await cluster.start('delivery');
  const create = async (userId: string) =>
    (await api.call('CreateAlert', alertRequest({ recipients: { userIds: [userId] } }))).alert!.alertId;
  const alertId = await create('going');
  await untilTrue(async () => (await inboxSize(api, 'going')) === 1, { what: 'the first is there' });
  registry.stop();
  const producer = await Producer.connect(cluster.backends.brokers, cluster.config, silentLogger(), { clientId: 'x' });
  defer(t, () => producer.close());
  const codec = new AvroCodec<UserAlertEvent & { more: string }>(schema, id, () =>
    Promise.reject(new Error('unasked')),
  );
  const { topicUserAlert: topic } = cluster.config;
  const value = codec.encode({ alertId, userId: 'waiting', epoch: 0, more: 'x' });
  await producer.publish([{ topic, key: 'waiting', value }]);
  for (let count = 2; count <= 6; count += 1) {
    await create('going');
    await untilTrue(async () => (await inboxSize(api, 'going')) === count, { what: 'others go on' });
  }
  assert.equal(await inboxSize(api, 'waiting'), 0);
  assert.match(delivery.logged(), /schema \d+ cannot be had now: the schema registry at \S+ did not answer/);
  assert.deepEqual(await cluster.store.sql('SELECT 1 FROM dead_letters'), []);
  registry.come();
  await untilTrue(async () => (await inboxSize(api, 'waiting')) === 1, { what: 'what waited is delivered' });
  assert.deepEqual(await cluster.store.sql('SELECT 1 FROM dead_letters'), []);
});

test('roles that start while the registry is away: with the cache on disk they work, without it they wait', async (t) => {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const registry = await startRegistry(t);
  const SCHEMA_REGISTRY_CACHE_DIR = folder.path;
  const cluster = await startTestCluster(t, { SCHEMA_REGISTRY_URL: registry.url, SCHEMA_REGISTRY_CACHE_DIR });
  // Not one of those that follow: librdkafka's own broker takes its time until a group has another member.
  await (await cluster.start('stream-gateway')).stop();
  registry.stop();
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const fanout = await cluster.start('fanout');
  await cluster.start('delivery');
  await api.call('CreateAlert', alertRequest());
  await untilTrue(async () => (await inboxSize(api, 'op1')) === 1, { what: 'it is delivered' });
  assert.match(fanout.logged(), /the id of a schema is the one in the cache on disk/);
  const without = await cluster.start('delivery', { ready: false, config: { schemaRegistryCacheDir: '' } });
  await untilTrue(() => without.logged().includes('not there yet'), { what: 'it waits' });
});
