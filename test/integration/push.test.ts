import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { DevicePlatform } from '../../services/lib/grpc/types/ssom/alert/v1/DevicePlatform.js';
import { alertRequest } from '../support/alerts.js';
import { loadDirectory } from '../support/directory.js';
import { startTestCluster } from '../support/in-process.js';
import { dataOf, newToken, startPushTarget } from '../support/push.js';
import { collectStream } from '../support/stream.js';
import { untilTrue } from '../support/until-true.js';

async function start(t: TestContext, environment: Record<string, string> = {}) {
  const target = await startPushTarget(t);
  const cluster = await startTestCluster(t, { PUSH_SWEEP_INTERVAL_MS: '300', ...target.environment, ...environment });
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  await loadDirectory(api);
  const register = async (user: string, platform: DevicePlatform = 'DEVICE_PLATFORM_ANDROID') => {
    const token = newToken();
    await api.call('RegisterDevice', { platform, token }, { user });
    return token;
  };
  const create = async (userIds: string[], more: object = {}) => {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds }, ...more }));
    return alert!.alertId;
  };
  const receives = (token: string, count: number) =>
    untilTrue(async () => (await dataOf(target.fcm, token)).length >= count, {
      timeoutMs: 20_000,
      what: `${count} messages`,
    });
  return { fcm: target.fcm, cluster, api, register, create, receives };
}

test("an alert reaches each of its recipient's devices once, and disappears from them when it is read", async (t) => {
  const { fcm, cluster, api, register, create, receives } = await start(t);
  await cluster.start('push');
  const tokens = [
    await register('op1', 'DEVICE_PLATFORM_ANDROID'),
    await register('op1', 'DEVICE_PLATFORM_IOS'),
    await register('op1', 'DEVICE_PLATFORM_WEB'),
  ];
  const other = await register('op2');
  const alertId = await create(['op1'], { level: 'ALERT_LEVEL_CRITICAL', title: '디스크 없음' });
  for (const token of tokens) await receives(token, 1);
  const [first] = await fcm.received(tokens[0]);
  const key = `alert-${alertId}`;
  assert.deepEqual(first!.collapse, {
    collapseKey: key,
    androidTag: key,
    apnsCollapseId: key,
    webpushTopic: key,
    webpushTag: key,
  });
  const message = first!.message!;
  assert.equal((message.notification as { title: string }).title, '디스크 없음');
  assert.equal((message.android as { priority: string }).priority, 'HIGH');
  assert.deepEqual(message.data, {
    type: 'alert',
    alert_id: String(alertId),
    kind: 'GRAFANA',
    level: 'CRITICAL',
    app_name: (message.data as Record<string, string>).app_name,
    sequence: '1',
    unread_count: '1',
  });

  await api.call('MarkRead', { alertIds: [alertId] }, { user: 'op1' });
  for (const token of tokens) await receives(token, 2);
  assert.deepEqual((await dataOf(fcm, tokens[1]!))[1], {
    type: 'dismiss',
    alert_ids: String(alertId),
    unread_count: '0',
  });
  assert.deepEqual(await fcm.received(other), []);
});
