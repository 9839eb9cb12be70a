import assert from 'node:assert/strict';
import test from 'node:test';
import { alertRequest } from '../support/alerts.js';
import { loadDirectory } from '../support/directory.js';
import { startTestCluster } from '../support/in-process.js';
import { startStandalone } from '../support/standalone.js';
import { assertFoldEqualsInbox, collectStream } from '../support/stream.js';

test('an alert reaches an open stream', async (t) => {
  const service = await startStandalone(t);
  const api = service.api();
  await loadDirectory(api);
  const stream = await collectStream(t, api, { user: 'op1' }).untilLive();
  const { alert } = await api.call('CreateAlert', alertRequest());
  await stream.untilAlerts([alert!.alertId]);
  await assertFoldEqualsInbox(api, 'op1', stream.folded);
  assert.deepEqual(await service.kill('SIGINT'), { code: 0, signal: null });
});

test('the same with the roles apart', async (t) => {
  const cluster = await startTestCluster(t);
  const alertApi = await cluster.start('alert-api');
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateway = await cluster.start('stream-gateway');
  const api = cluster.api(alertApi);
  await loadDirectory(api);
  const stream = await collectStream(t, cluster.api(gateway), { user: 'op1' }).untilLive();
  const { alert } = await api.call('CreateAlert', alertRequest());
  await stream.untilAlerts([alert!.alertId]);
  await assertFoldEqualsInbox(api, 'op1', stream.folded);
});
