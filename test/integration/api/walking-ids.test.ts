import assert from 'node:assert/strict';
import test from 'node:test';
import { deliverToInboxes } from '../../../services/store/inbox-delivery.js';
import { alertRequest } from '../../support/alerts.js';
import { failureOf, type Method, type TestApi } from '../../support/api.js';
import { loadDirectory } from '../../support/directory.js';
import { newToken } from '../../support/push.js';
import { startTraced, type Traced, untilSpan } from '../../support/traced.js';
import { untilTrue } from '../../support/until-true.js';

const WALKER = { user: 'op2' };

/** What a call is answered, and by which statements: both can be seen from outside, these by how long they take. */
async function seen(traced: Traced, api: TestApi, method: Method, request: object) {
  traced.receiver.spans.length = 0;
  const call = api.call(method, request, WALKER);
  const answer = await call.then(
    (response) => JSON.stringify(response),
    async () => {
      const { code, reason, message } = await failureOf(call);
      return `${code} ${reason} ${message}`;
    },
  );
  const { spanId } = await untilSpan(traced, `ssom.alert.v1.${SERVICES[method]}/${method}`);
  const statements = () =>
    traced.receiver.spans
      .filter(({ parentId, attributes }) => parentId === spanId && attributes['db.system.name'] === 'postgresql')
      .map(({ attributes }) => String(attributes['db.query.text'] ?? attributes['db.query.summary']));
  await untilTrue(() => statements().length > 0, { what: `the statements of ${method}` });
  return { answer: answer.replace(/\b\d+\b/g, 'N'), statements: statements().sort() };
}

const SERVICES: Partial<Record<Method, string>> = {
  GetAlert: 'AlertService',
  MarkRead: 'InboxService',
  MarkUnread: 'InboxService',
  DeleteFromInbox: 'InboxService',
  UnregisterDevice: 'DeviceService',
};

test('who walks through ids learns not which of them are somebody else’s', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  const token = newToken();
  const { device } = await api.call('RegisterDevice', { platform: 'DEVICE_PLATFORM_ANDROID', token }, { user: 'op1' });
  const { alertId } = alert!;
  await deliverToInboxes(cluster.store.database, [{ alertId, userId: 'op1' }]);
  const walks: [method: Method, somebodys: object, nobodys: object][] = [
    ['GetAlert', { alertId }, { alertId: alertId + 1000 }],
    ['MarkRead', { alertIds: [alertId] }, { alertIds: [alertId + 1000] }],
    ['MarkUnread', { alertIds: [alertId] }, { alertIds: [alertId + 1000] }],
    ['DeleteFromInbox', { alertIds: [alertId] }, { alertIds: [alertId + 1000] }],
    ['UnregisterDevice', { deviceId: device!.deviceId }, { deviceId: device!.deviceId + 1000 }],
    ['UnregisterDevice', { token }, { token: newToken() }],
  ];
  for (const [method, somebodys, nobodys] of walks)
    assert.deepEqual(await seen(traced, api, method, somebodys), await seen(traced, api, method, nobodys), method);
  const [entry] = (await api.call('ListInbox', {}, { user: 'op1' })).entries;
  assert.deepEqual([entry?.alert?.alertId, entry?.isRead], [alertId, false], 'nothing was changed');
  assert.equal((await api.call('ListDevices', {}, { user: 'op1' })).devices.length, 1);
});
