import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { registerSchemas } from '../../../services/events/schemas/register.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../../../services/lib/registry/embedded.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster, type TestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import { listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

const SOON = '300';
const NEVER = 3_600_000;

/** A registry that can be lost: behind one address another one comes in its place, with other ids. */
class LosableRegistry {
  readonly #server: Server = createServer((request, response) => {
    this.#pass(request).then(
      ({ status, text }) => response.writeHead(status).end(text),
      // A connection that was kept may end as it is used again.
      () => response.writeHead(502).end(),
    );
  });

  private constructor(
    private readonly t: TestContext,
    private present: EmbeddedRegistry,
  ) {}

  static async start(t: TestContext): Promise<LosableRegistry> {
    const first = await startEmbeddedRegistry(0);
    defer(t, () => first.close());
    const losable = new LosableRegistry(t, first);
    losable.#server.listen(0, '127.0.0.1');
    await once(losable.#server, 'listening');
    defer(t, () => losable.#server.close().closeAllConnections());
    return losable;
  }

  async #pass(request: IncomingMessage): Promise<{ status: number; text: string }> {
    const body = await buffer(request);
    const { method = 'GET', url = '/' } = request;
    const answer = await fetch(this.present.url + url, { method, ...(body.length > 0 ? { body } : {}) });
    return { status: answer.status, text: await answer.text() };
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  client(url = this.url): RegistryClient {
    return new RegistryClient({ url, username: '', password: '' }, silentLogger());
  }

  async lose(): Promise<void> {
    const next = await startEmbeddedRegistry(0);
    defer(this.t, () => next.close());
    const fields = (count: number) => Array.from({ length: count }, (_, n) => ({ name: `f${n}`, type: 'long' }));
    for (let count = 0; count < 20; count += 1) {
      const schema = JSON.stringify({ type: 'record', name: 'R', fields: fields(count) });
      await this.client(next.url).register(`other-${count}`, schema);
    }
    this.present = next;
  }
}

interface Check {
  readonly ok: boolean;
  readonly required: boolean;
  readonly reason: string;
}

async function schemasCheck(http: string): Promise<Check> {
  const answer = (await (await fetch(`http://${http}/readyz`)).json()) as { checks: Record<string, Check> };
  return answer.checks['schemas']!;
}

async function untilInInbox(cluster: TestCluster, api: ReturnType<TestCluster['api']>, count: number): Promise<void> {
  await untilTrue(async () => (await listWholeInbox(api, 'op1')).rows.length === count, {
    what: `${count} alerts in the inbox`,
  });
}

test('the registry was lost while roles run: they take up the new ids, and nobody waits for a restart', async (t) => {
  const registry = await LosableRegistry.start(t);
  const env = { SCHEMA_REGISTRY_URL: registry.url, SCHEMA_REGISTRY_CHECK_INTERVAL_MS: SOON, SET_UP_AT_START: 'true' };
  const cluster = await startTestCluster(t, env);
  const alertApi = await cluster.start('alert-api');
  const api = cluster.api(alertApi);
  const fanout = await cluster.start('fanout');
  await loadDirectory(api);
  await registry.lose();
  for (const { http } of [alertApi, fanout])
    await untilTrue(async () => (await metricOf(http, 'ssom_schema_renewed_total')) === 3, { what: 'the new ids' });
  // One that knows nothing of before.
  await cluster.start('delivery');
  await api.call('CreateAlert', alertRequest());
  await untilInInbox(cluster, api, 1);
  assert.deepEqual(await cluster.store.sql('SELECT 1 FROM dead_letters'), []);
});

test('records with an id of before: dead letters that hold up nothing, seen in /readyz, and reconcile delivers', async (t) => {
  const registry = await LosableRegistry.start(t);
  const cluster = await startTestCluster(t, { SCHEMA_REGISTRY_URL: registry.url, SET_UP_AT_START: 'true' });
  // It does not notice.
  const alertApi = await cluster.start('alert-api', { config: { schemaRegistryCheckIntervalMs: NEVER } });
  const api = cluster.api(alertApi);
  await loadDirectory(api);
  // It needs no registry to be ready: it must have its ids, and have compared them for the last time.
  const hasCompared = async () => ((await schemasCheck(alertApi.http)) as Check | undefined)?.ok === true;
  await untilTrue(hasCompared, { what: 'the ids of alert-api' });
  await registry.lose();
  const fanout = await cluster.start('fanout');
  await cluster.start('delivery');
  await api.call('CreateAlert', alertRequest());
  await untilInInbox(cluster, api, 1);
  const letters = await cluster.store.sql<{ reason: string }>(
    'SELECT topic, alert_id, user_id, reason FROM dead_letters',
  );
  assert.match(letters[0]!.reason, /the registry knows no schema \d+|schema \d+ cannot be read as ours/);
  assert.deepEqual(letters, [
    { topic: 'alert-created-topic', alert_id: null, user_id: null, reason: letters[0]!.reason },
  ]);
  const check = await schemasCheck(fanout.http);
  assert.deepEqual([check.ok, check.required], [false, false]);
  assert.match(check.reason, /Their writer has to take up the registry's ids/);
  const complete = 'SELECT 1 FROM alert_progress WHERE completed_at IS NOT NULL';
  // reconcile looks at it again when its put-off is over.
  const isComplete = async () => (await cluster.store.sql(complete)).length === 1;
  await untilTrue(isComplete, { what: 'it is complete', timeoutMs: 60_000 });
});

test('where roles register nothing the check says what to do, and passes when it was done', async (t) => {
  const registry = await LosableRegistry.start(t);
  const env = { SCHEMA_REGISTRY_URL: registry.url, SCHEMA_REGISTRY_CHECK_INTERVAL_MS: SOON, SET_UP_AT_START: 'false' };
  const cluster = await startTestCluster(t, env);
  await registerSchemas(cluster.config, registry.client());
  const { http } = await cluster.start('delivery');
  await untilTrue(async () => (await schemasCheck(http)).ok, { what: 'all is well' });
  await registry.lose();
  await untilTrue(async () => !(await schemasCheck(http)).ok, { what: 'the loss is seen' });
  const { reason, required } = await schemasCheck(http);
  assert.match(reason, /our newest schema of \S+ is not registered at .*; run: ssom-alert migrate/);
  assert.equal(required, false);
  await registerSchemas(cluster.config, registry.client());
  await untilTrue(async () => (await schemasCheck(http)).ok, { what: 'all is well again' });
  assert.equal(await metricOf(http, 'ssom_schema_renewed_total'), 3);
});
