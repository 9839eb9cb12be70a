import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { DEVICES_MAX, pruneDevices, removeDeadDevices } from '../../../services/store/devices.js';
import { failureOf } from '../../support/api.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { newToken } from '../../support/push.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

const ANDROID = 'DEVICE_PLATFORM_ANDROID' as const;
const IOS = 'DEVICE_PLATFORM_IOS' as const;
const OP1 = { user: 'op1' };
const OP2 = { user: 'op2' };

async function start(t: TestContext) {
  const cluster = await startTestCluster(t);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await loadDirectory(api);
  const tokensOf = async (as: { user: string }) =>
    (await api.call('ListDevices', {}, as)).devices.map(({ tokenEnding }) => tokenEnding);
  return { cluster, api, address: role.address, tokensOf };
}

test('a device is registered once, renewed, and shows no more than the end of its token', async (t) => {
  const { api } = await start(t);
  const token = newToken();
  const first = (
    await api.call('RegisterDevice', { platform: ANDROID, token, appVersion: '1.0', locale: 'ko-KR' }, OP1)
  ).device!;
  const again = (await api.call('RegisterDevice', { platform: IOS, token, appVersion: '1.1' }, OP1)).device!;
  assert.deepEqual(again, { ...first, platform: IOS, appVersion: '1.1', locale: '', refreshedAt: again.refreshedAt });
  const { devices } = await api.call('ListDevices', {}, OP1);
  assert.deepEqual(devices, [again]);
  assert.equal(first.tokenEnding, token.slice(-6));
  assert.ok(!JSON.stringify(devices).includes(token));
});

test('a token that another user registers leaves the first; nobody touches the devices of another', async (t) => {
  const { api, tokensOf } = await start(t);
  const token = newToken();
  const { device } = await api.call('RegisterDevice', { platform: ANDROID, token }, OP1);
  const moved = await api.call('RegisterDevice', { platform: ANDROID, token }, OP2);
  assert.notEqual(moved.device!.deviceId, device!.deviceId);
  assert.deepEqual(await tokensOf(OP1), []);
  for (const request of [{ deviceId: moved.device!.deviceId }, { token }, { deviceId: 999_999 }]) {
    const failure = await failureOf(api.call('UnregisterDevice', request, OP1));
    assert.deepEqual([failure.code, failure.reason], ['NOT_FOUND', 'DEVICE_NOT_FOUND']);
    assert.ok(!failure.message.includes(token));
  }
  const forOther = await failureOf(api.call('ListDevices', { userId: 'op2' }, OP1));
  assert.equal(forOther.code, 'PERMISSION_DENIED');
  assert.deepEqual(await tokensOf(OP2), [token.slice(-6)]);
  await api.call('UnregisterDevice', { token }, OP2);
  assert.deepEqual(await tokensOf(OP2), []);
});

test('tokens that FCM cannot have given are refused, without being repeated', async (t) => {
  const { api } = await start(t);
  for (const token of [
    '',
    'a',
    'a b',
    'x'.repeat(19),
    'x'.repeat(4097),
    'y'.repeat(5120),
    'secret\u0007',
    '토큰',
    'tail ',
  ]) {
    const failure = await failureOf(api.call('RegisterDevice', { platform: ANDROID, token }, OP1));
    assert.deepEqual([failure.code, failure.fields], ['INVALID_ARGUMENT', ['token']]);
    if (token.length > 2) assert.ok(!JSON.stringify(failure.details).includes(token), token);
  }
  const failure = await failureOf(
    api.call('RegisterDevice', { appVersion: 'v'.repeat(65), locale: 'l'.repeat(36) }, OP1),
  );
  assert.deepEqual(failure.fields, ['app_version', 'locale', 'platform', 'token']);
  await api.call('RegisterDevice', { platform: ANDROID, token: 'x'.repeat(4096) }, OP1);
});

test('devices that nobody renews are pruned; a dead one stays if it was renewed meanwhile', async (t) => {
  const { cluster, api, tokensOf } = await start(t);
  const { database, sql } = cluster.store;
  const [stale, young] = [newToken(), newToken()];
  for (const token of [stale, young]) await api.call('RegisterDevice', { platform: ANDROID, token }, OP1);
  await sql(`UPDATE devices SET refreshed_at = now() - interval '271 days' WHERE token = $1`, [stale]);
  assert.equal(await pruneDevices(database, 270, 10), 1);
  // As if the clock were a year ahead: none was renewed much later than the others.
  await sql(`UPDATE devices SET refreshed_at = refreshed_at - interval '1 year'`);
  assert.equal(await pruneDevices(database, 270, 10), 0);
  assert.deepEqual(await tokensOf(OP1), [young.slice(-6)]);

  const [{ device_id: deviceId, refreshed_at: refreshedAt }] = (await sql<{ device_id: number; refreshed_at: number }>(
    'SELECT device_id, refreshed_at FROM devices',
  )) as [{ device_id: number; refreshed_at: number }];
  assert.equal(await removeDeadDevices(database, [{ deviceId, refreshedAt: refreshedAt - 1000 }]), 0);
  // Renewed after a clock had stepped back: the later time is the older one.
  assert.equal(await removeDeadDevices(database, [{ deviceId, refreshedAt: refreshedAt + 3_600_000 }]), 0);
  assert.equal(await removeDeadDevices(database, [{ deviceId, refreshedAt }]), 1);
});

test('the devices of a user who is made inactive go, and no new ones come', async (t) => {
  const { cluster, api } = await start(t);
  await api.call('RegisterDevice', { platform: ANDROID, token: newToken() }, OP1);
  await api.call('RegisterDevice', { platform: ANDROID, token: newToken() }, OP2);
  await api.call('UpsertUsers', { users: [user('op1', 'OPERATION', { active: false, githubLogin: 'Op-One' })] });
  assert.deepEqual(await cluster.store.sql('SELECT user_id FROM devices'), [{ user_id: 'op2' }]);
  const failure = await failureOf(api.call('RegisterDevice', { platform: ANDROID, token: newToken() }, OP1));
  assert.deepEqual([failure.code, failure.reason], ['PERMISSION_DENIED', 'USER_INACTIVE']);
});

test(`beyond ${DEVICES_MAX} devices the one renewed longest ago goes`, async (t) => {
  const { cluster, api, tokensOf } = await start(t);
  await cluster.store.sql(
    `INSERT INTO devices SELECT nextval('device_ids'), 'op1', 't' || n, sha256(('t' || n)::bytea), 1, '', '', now(),
            now() - n * interval '1 minute' FROM generate_series(1, $1) n`,
    [DEVICES_MAX],
  );
  const token = newToken();
  await api.call('RegisterDevice', { platform: ANDROID, token }, OP1);
  const endings = await tokensOf(OP1);
  assert.equal(endings.length, DEVICES_MAX);
  assert.equal(endings[0], token.slice(-6));
  assert.ok(!endings.includes(`t${DEVICES_MAX}`));
  assert.ok(endings.includes(`t${DEVICES_MAX - 1}`));
});

test('the command line registers, lists and removes devices', async (t) => {
  const { address } = await start(t);
  const token = newToken();
  const run = async (...args: string[]) => {
    const context = fakeContext();
    const code = await main(['devices', ...args, '--user', 'op1', '--address', address], context);
    return { code, out: context.out(), err: context.err() };
  };
  const added = await run(
    'register',
    '--platform',
    'ios',
    '--token',
    token,
    '--app-version',
    '2.1',
    '--locale',
    'ko-KR',
    '--json',
  );
  assert.equal(added.code, 0, added.err);
  const device = JSON.parse(added.out) as { deviceId: number; platform: string };
  assert.equal(device.platform, IOS);
  const listed = await run('list');
  assert.match(
    listed.out,
    new RegExp(`^ +${device.deviceId}  IOS      …${token.slice(-6)}  \\d{4}-[-0-9: ]+  2\\.1  ko-KR\\n$`),
  );
  assert.equal(listed.err, '1 device\n');
  assert.equal((await run('unregister')).code, 2);
  assert.equal((await run('register', '--platform', 'palm', '--token', token)).code, 2);
  assert.deepEqual(await run('unregister', String(device.deviceId)), { code: 0, out: '', err: 'removed\n' });
  const gone = await run('unregister', '--token', token);
  assert.equal(gone.code, 1);
  assert.match(gone.err, /has no such device/);
});
