import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alertRequest } from '../support/alerts.js';
import { connectApi, type TestApi } from '../support/api.js';
import { loadDirectory } from '../support/directory.js';
import { createTestDatabase } from '../support/postgres.js';
import { startRole, startStandalone } from '../support/standalone.js';
import { assertFoldEqualsInbox, collectStream, Folded, listWholeInbox } from '../support/stream.js';
import { untilTrue } from '../support/until-true.js';

/** Of SMALL_DIRECTORY, for an app of the core bank. */
const RECIPIENTS = ['core1', 'core2', 'ext1', 'op1', 'op2'];

async function untilDelivered(api: TestApi, alertIds: readonly number[]): Promise<void> {
  const wanted = new Set(alertIds);
  for (const user of RECIPIENTS) {
    const missing = async () => {
      const there = new Set((await listWholeInbox(api, user)).rows.map(({ alertId }) => alertId));
      return [...wanted].filter((alertId) => !there.has(alertId));
    };
    await untilTrue(async () => (await missing()).length === 0, {
      timeoutMs: 30_000,
      intervalMs: 200,
      what: `${user} has all ${wanted.size} acknowledged alerts`,
    });
    const { rows } = await listWholeInbox(api, user);
    assert.equal(new Set(rows.map(({ alertId }) => alertId)).size, rows.length, `${user}: nothing twice`);
  }
}

test('kill -9 while alerts are created: every acknowledged one arrives once, and tokens still work', async (t) => {
  const service = await startStandalone(t);
  await loadDirectory(service.api());
  const acknowledged: number[] = [];
  const folded = new Folded();
  for (const [round, aliveMs] of [700, 1100].entries()) {
    const api = service.api();
    const stream = collectStream(t, api, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' }, folded);
    let stop = false;
    const lanes = Array.from({ length: 6 }, async () => {
      while (!stop) {
        try {
          const { alert } = await api.call('CreateAlert', alertRequest(), { caller: `round${round}` }, 5000);
          acknowledged.push(alert!.alertId);
        } catch {
          return;
        }
      }
    });
    await sleep(aliveMs);
    const exited = service.kill('SIGKILL');
    stop = true;
    await Promise.all([...lanes, exited]);
    await untilTrue(() => stream.hasEnded, { what: 'the stream broke' });
    await service.restart();
  }
  assert.ok(acknowledged.length > 50, `only ${acknowledged.length} were acknowledged`);
  assert.equal(new Set(acknowledged).size, acknowledged.length);
  const api = service.api();
  await untilDelivered(api, acknowledged);
  assert.notEqual(folded.resumeToken, '');
  const stream = collectStream(t, api, { user: 'op1' }, {}, folded);
  await stream.untilAlerts(acknowledged, 20_000);
  await assertFoldEqualsInbox(api, 'op1', folded);
  t.diagnostic(`${acknowledged.length} alerts acknowledged in two lives`);
});

test('committed and never published, because Kafka was away and the process died: a later one delivers', async (t) => {
  const store = await createTestDatabase(t);
  const env = { DATABASE_URL: store.url, LOG_LEVEL: 'info' };
  // Nothing listens there.
  const nowhere = { KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:9', SCHEMA_REGISTRY_URL: 'http://127.0.0.1:10' };
  const lonely = startRole(t, 'alert-api', { ...env, ...nowhere });
  // PostgreSQL alone is enough for that.
  const { grpc } = await (await lonely.ready()).listening();
  const lonelyApi = connectApi(t, grpc);
  await loadDirectory(lonelyApi);
  const created = await Promise.all(
    Array.from({ length: 20 }, () => lonelyApi.call('CreateAlert', alertRequest({ requestId: `r${Math.random()}` }))),
  );
  const alertIds = created.map(({ alert }) => alert!.alertId);
  assert.equal((await store.sql('SELECT 1 FROM outbox')).length, 20);
  await lonely.kill('SIGKILL');
  const service = await startStandalone(t, { env });
  const api = service.api();
  await untilDelivered(api, alertIds);
  await untilTrue(async () => (await store.sql('SELECT 1 FROM outbox')).length === 0, { what: 'the outbox is empty' });
});

test('killed at its very start, again and again: the next start works', async (t) => {
  const service = await startStandalone(t, { ready: false });
  for (const aliveMs of [150, 600, 1200, 2000]) {
    await sleep(aliveMs);
    await service.kill('SIGKILL');
    service.launch();
  }
  await service.untilReady();
  await loadDirectory(service.api());
});
