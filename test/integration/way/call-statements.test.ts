import test from 'node:test';
import { alertRequest } from '../../support/alerts.js';
import { ADMIN, type As, type Method } from '../../support/api.js';
import { loadDirectory } from '../../support/directory.js';
import { newToken } from '../../support/push.js';
import { startTraced, untilSpan } from '../../support/traced.js';
import { untilTrue } from '../../support/until-true.js';

const OWNER: As = { user: 'op1' };

test('below the span of every call are its statements, whether it reads or writes', async (t) => {
  const traced = await startTraced(t);
  const { cluster, receiver } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest());
  const { alertId } = alert!;
  const token = newToken();
  const calls: readonly [Method, As, object, string?][] = [
    ['GetAlert', ADMIN, { alertId }, 'SELECT push_deliveries'],
    ['ListAlerts', ADMIN, {}],
    ['ListInbox', OWNER, {}],
    ['GetUnreadCount', OWNER, {}],
    ['MarkRead', OWNER, { alertIds: [alertId] }, 'find-users'],
    ['MarkAllRead', OWNER, {}, 'find-users'],
    ['RegisterDevice', OWNER, { platform: 'DEVICE_PLATFORM_ANDROID', token }],
    ['ListDevices', OWNER, {}],
    ['UnregisterDevice', OWNER, { token }],
    ['ListUsers', ADMIN, {}],
    ['GetRoutingRules', ADMIN, {}],
  ];
  for (const [method, as, request, summary] of calls) {
    await api.call(method, request, as);
    const span = await untilSpan(traced, `${serviceOf(method)}/${method}`);
    const below = () => receiver.spans.filter(({ parentId }) => parentId === span.spanId);
    const statements = () => below().filter(({ attributes }) => attributes['db.system.name'] === 'postgresql');
    await untilTrue(() => statements().some(({ name }) => summary === undefined || name === summary), {
      what: () =>
        `${summary ?? 'statements'} below ${method}; there are ${below()
          .map(({ name }) => name)
          .join()}`,
    });
  }
});

function serviceOf(method: Method): string {
  if (/Alert/.test(method)) return 'ssom.alert.v1.AlertService';
  if (/Device/.test(method)) return 'ssom.alert.v1.DeviceService';
  return /Users|Rules/.test(method) ? 'ssom.alert.v1.DirectoryService' : 'ssom.alert.v1.InboxService';
}
