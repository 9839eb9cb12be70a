import assert from 'node:assert/strict';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { api as services } from '../../services/api/protos.js';
import { statusDetails } from '../../services/lib/grpc/status.js';
import { alertRequest } from '../support/alerts.js';
import { type As, metadataOf } from '../support/api.js';
import { loadDirectory, SMALL_DIRECTORY } from '../support/directory.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { untilTrue } from '../support/until-true.js';

type StatusName = keyof typeof grpc.status;

/** What a method must say to whom (I6). The requests are about user op1's data, or an alert in op1's inbox. */
interface Rule {
  /** `userId`: whose data the request names; empty: the caller's. */
  readonly request: (userId: string, alertId: number) => object;
  /** op1, about itself. */
  readonly self: StatusName;
  /** chan1, about op1. */
  readonly other: StatusName;
  /** A service with every scope, about op1. */
  readonly service: StatusName;
  /** A service that names nobody. */
  readonly nobody: StatusName;
}

const inbox = (fields: (alertId: number) => object): Rule => ({
  request: (userId, alertId) => ({ userId, ...fields(alertId) }),
  self: 'OK',
  other: 'PERMISSION_DENIED',
  service: 'OK',
  nobody: 'INVALID_ARGUMENT',
});
const servicesOnly = (request: () => object): Rule => ({
  request,
  self: 'PERMISSION_DENIED',
  other: 'PERMISSION_DENIED',
  service: 'OK',
  nobody: 'OK',
});

const RULES: Record<string, Rule> = {
  'AlertService/CreateAlert': servicesOnly(() => alertRequest()),
  'AlertService/BatchCreateAlerts': servicesOnly(() => ({ requests: [alertRequest()] })),
  // Another's alert reads as one that does not exist.
  'AlertService/GetAlert': {
    request: (_userId, alertId) => ({ alertId }),
    self: 'OK',
    other: 'NOT_FOUND',
    service: 'OK',
    nobody: 'OK',
  },
  'AlertService/ListAlerts': servicesOnly(() => ({})),
  'InboxService/ListInbox': inbox(() => ({})),
  'InboxService/GetUnreadCount': inbox(() => ({})),
  'InboxService/MarkRead': inbox((alertId) => ({ alertIds: [alertId] })),
  'InboxService/MarkUnread': inbox((alertId) => ({ alertIds: [alertId] })),
  'InboxService/MarkAllRead': inbox(() => ({})),
  // An alert that is not there: the inbox stays as the other methods need it.
  'InboxService/DeleteFromInbox': inbox(() => ({ alertIds: [987_654_321] })),
  'DeviceService/RegisterDevice': inbox(() => ({
    platform: 'DEVICE_PLATFORM_ANDROID',
    token: 'a-token-of-the-length-that-FCM-gives',
  })),
  // Nobody has it: the right caller is told so.
  'DeviceService/UnregisterDevice': {
    ...inbox(() => ({ token: 'a-token-that-nobody-has-registered' })),
    self: 'NOT_FOUND',
    service: 'NOT_FOUND',
  },
  'DeviceService/ListDevices': inbox(() => ({})),
  'DirectoryService/UpsertUsers': servicesOnly(() => ({ users: [SMALL_DIRECTORY[0]!] })),
  'DirectoryService/ListUsers': servicesOnly(() => ({})),
  'DirectoryService/SetRoutingRules': servicesOnly(() => ({
    rules: [{ department: 'OPERATION', match: 'ROUTING_MATCH_ALL' }],
  })),
  'DirectoryService/GetRoutingRules': servicesOnly(() => ({})),
  'AlertStreamService/StreamAlerts': inbox(() => ({})),
};

/** Every method of every service of ssom.alert.v1, by `Service/Method`. */
const METHODS = new Map(
  Object.values(services as unknown as Record<string, { service?: grpc.ServiceDefinition }>)
    .flatMap(({ service }) => Object.values(service ?? {}))
    .map((method) => [method.path.replace('/ssom.alert.v1.', ''), method as grpc.MethodDefinition<object, object>]),
);

/** The status of a call; a stream that answers is OK. */
function statusOf(
  client: grpc.Client,
  name: string,
  request: object,
  as: As,
): Promise<{ code: StatusName; reason: string }> {
  const { path, requestSerialize, responseDeserialize, responseStream } = METHODS.get(name)!;
  return new Promise((resolve) => {
    const failed = (error: grpc.ServiceError) =>
      resolve({ code: grpc.status[error.code] as StatusName, reason: statusDetails(error).reason });
    const metadata = metadataOf(as);
    if (responseStream) {
      const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata);
      call.on('error', failed);
      call.on('data', () => {
        resolve({ code: 'OK', reason: '' });
        call.cancel();
      });
      return;
    }
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (error) => {
      if (error === null) resolve({ code: 'OK', reason: '' });
      else failed(error);
    });
  });
}

test('every method is in the table', () => {
  assert.deepEqual([...METHODS.keys()].sort(), Object.keys(RULES).sort());
});

test('I6: who may call what', async (t) => {
  const store = await createTestDatabase(t);
  const service = await startStandalone(t, { env: { DATABASE_URL: store.url } });
  const api = service.api();
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1', 'op2'] } }));
  const alertId = alert!.alertId;
  await untilTrue(async () => (await api.call('GetUnreadCount', {}, { user: 'op2' })).unreadCount === 1, {
    what: 'the alert is delivered',
  });

  for (const [name, { request, self, other, service: byService, nobody }] of Object.entries(RULES)) {
    await t.test(name, async () => {
      const status = async (as: As, userId = '') => statusOf(api.client, name, request(userId, alertId), as);
      const code = async (as: As, userId = '') => (await status(as, userId)).code;
      assert.deepEqual(await status({}), { code: 'UNAUTHENTICATED', reason: 'NO_IDENTITY' }, 'no identity');
      assert.equal(await code({ user: 'op1', caller: 'svc' }), 'INVALID_ARGUMENT', 'both identities');
      assert.equal(await code({ user: '' }), 'INVALID_ARGUMENT', 'an empty identity');
      assert.equal(await code({ user: 'u'.repeat(129) }), 'INVALID_ARGUMENT', 'an endless identity');
      assert.equal(await code({ user: 'op1' }), self, 'a user, about itself');
      assert.equal(await code({ user: 'op1' }, 'op1'), self, 'a user, naming itself');
      assert.equal(await code({ user: 'chan1' }, 'op1'), other, "another's data");
      assert.equal(await code({ caller: 'svc' }, 'op1'), byService, 'a service');
      assert.equal(await code({ caller: 'svc' }), nobody, 'a service that names nobody');
      // Not even whether a user exists is told to another one.
      if (other === 'PERMISSION_DENIED') assert.equal(await code({ user: 'chan1' }, 'ghost'), 'PERMISSION_DENIED');
      if (self === 'OK' && nobody === 'INVALID_ARGUMENT') {
        assert.equal(await code({ user: 'ghost' }), 'NOT_FOUND', 'a user whom nobody knows');
        assert.equal(await code({ user: 'core3' }), 'PERMISSION_DENIED', 'an inactive user');
      }
    });
  }

  await t.test('what was refused has changed nothing', async () => {
    const { entries } = await api.call('ListInbox', {}, { user: 'op2' });
    assert.equal(entries.find((entry) => entry.alert!.alertId === alertId)!.isRead, false);
    assert.deepEqual(await store.sql("SELECT alert_id FROM alerts WHERE caller = 'op1' OR caller = 'chan1'"), []);
  });

  await t.test("a deleted alert is not the user's any more", async () => {
    await api.call('DeleteFromInbox', { alertIds: [alertId] }, { user: 'op2' });
    const { code } = await statusOf(api.client, 'AlertService/GetAlert', { alertId }, { user: 'op2' });
    assert.equal(code, 'NOT_FOUND');
  });

  await t.test('progress is for readers of all alerts only', async () => {
    assert.equal((await api.call('GetAlert', { alertId }, { user: 'op1' })).progress, null);
    assert.equal((await api.call('GetAlert', { alertId })).progress!.recipients, 2);
  });
});
