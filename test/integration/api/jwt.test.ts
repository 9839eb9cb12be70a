import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { main } from '../../../services/cli/cli.js';
import { type AlertClient, createClient } from '../../../services/client/client.js';
import type { TokenSource } from '../../../services/client/identity.js';
import type { StreamEvent } from '../../../services/client/stream.js';
import { statusDetails } from '../../../services/lib/grpc/status.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { startJwtCluster } from '../../support/jwt-cluster.js';
import { signingKey, token } from '../../support/tokens.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

async function start(t: TestContext) {
  const { cluster, key } = await startJwtCluster(t);
  const alertApi = await cluster.start('alert-api');
  const as = (source: TokenSource, streamAddress = alertApi.address): AlertClient => {
    const client = createClient({ address: alertApi.address, streamAddress, identity: { token: source } });
    defer(t, () => client.close());
    return client;
  };
  const service = (scope: string) => () => token(key, 'payments', scope, { claims: { client_id: 'payments' } });
  const user = (name: string) => () => token(key, name, 'inbox');
  return { cluster, key, as, service, user };
}

test('with AUTH_MODE=jwt everybody is whom a token says, and may do what it says', async (t) => {
  const { as, service, user, key } = await start(t);
  const { alert } = await as(service('alerts:create')).createAlert(alertRequest({ recipients: { userIds: ['op1'] } }));
  assert.ok(alert!.alertId > 0);
  assert.equal((await as(user('op1')).getUnreadCount({})).unreadCount, 0, 'nobody delivers it here');
  const missing = { code: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING' };
  await assert.rejects(as(user('op1')).createAlert(alertRequest()), missing);
  await assert.rejects(as(user('op2')).listInbox({ userId: 'op1' }), missing);
  await assert.rejects(as(service('alerts:create')).listUsers({}), missing);
  await as(service('directory:admin')).listUsers({});
  const refused = { code: 'UNAUTHENTICATED' };
  const forged = token(await signingKey('k1'), 'op1', 'inbox');
  await assert.rejects(as(await forged).listInbox({}), { ...refused, reason: 'TOKEN_SIGNATURE' });
  const expired = token(key, 'op1', 'inbox', { expiresInS: -60 });
  await assert.rejects(as(await expired).listInbox({}), { ...refused, reason: 'TOKEN_EXPIRED' });
});

test('a token that is larger than any is refused, others are served, and who sent it afterwards', async (t) => {
  const { cluster, as, user } = await start(t);
  const tooLong = {
    code: 'INVALID_ARGUMENT',
    reason: 'IDENTITY_INVALID',
    message: /17000 characters, of at most 16384/,
  };
  assert.throws(() => as('x'.repeat(17_000)), tooLong);
  const role = await cluster.start('alert-api');
  const [one, other] = [cluster.api(role).client, cluster.api(role).client];
  const { path, requestSerialize, responseDeserialize } = api.InboxService.service.ListInbox;
  const answer = (client: grpc.Client, text: string) => {
    const metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${text}`);
    return new Promise<string>((resolve) =>
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, metadata, (error) =>
        resolve(error === null ? 'OK' : `${grpc.status[error.code]} ${statusDetails(error).reason}`),
      ),
    );
  };
  const right = await user('op1')();
  assert.equal(await answer(one, 'x'.repeat(17_000)), 'UNAUTHENTICATED TOKEN_MALFORMED');
  // More than a header may hold is read by nobody, and ends the connection that it came on.
  const answers = [answer(one, 'x'.repeat(1_000_000)), answer(other, right)];
  assert.deepEqual(await Promise.all(answers), ['INTERNAL ', 'OK']);
  assert.equal(await answer(one, right), 'OK');
});

test('metadata that AUTH_MODE=dev believes says nothing, and the way that tokens come is told', async (t) => {
  const { cluster } = await start(t);
  const { address } = await cluster.start('alert-api');
  const client = createClient({ address, identity: { userId: 'op1' } });
  defer(t, () => client.close());
  const refused = { code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING', message: /authorization: Bearer <token>/ };
  await assert.rejects(client.listInbox({}), refused);
});

test('a stream ends when its token does, and the client goes on with a fresh one and loses nothing', async (t) => {
  const { cluster, as, service, key } = await start(t);
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateway = await cluster.start('stream-gateway');
  let given = 0;
  const shortLived = () => {
    given += 1;
    // It is believed for 30 s longer.
    return token(key, 'op1', 'inbox', { expiresInS: -24 });
  };
  const ends: string[] = [];
  const seen: string[] = [];
  let isConnected = false;
  const onEvent = (event: StreamEvent) => {
    if (event.type === 'lost' && isConnected) ends.push(event.error.reason);
    isConnected = event.type === 'connected' || (isConnected && event.type !== 'lost');
  };
  const client = as(shortLived, gateway.address);
  const following = (async () => {
    for await (const { changes } of client.streamAlerts({ start: 'beginning', onEvent }))
      seen.push(...changes.flatMap(({ alert }) => (alert === null ? [] : [alert.title])));
  })();
  following.catch(() => undefined);
  const writer = as(service('alerts:create'));
  const titles: string[] = [];
  const create = async () => {
    const { alert } = await writer.createAlert(alertRequest({ recipients: { userIds: ['op1'] } }));
    titles.push(alert!.title);
    return ends.length >= 2;
  };
  await untilTrue(create, { what: 'two ends', intervalMs: 200, timeoutMs: 60_000 });
  await untilTrue(() => seen.length >= titles.length, { what: 'all are shown' });
  assert.deepEqual(seen, titles, 'each once, in order');
  assert.deepEqual(new Set(ends), new Set(['TOKEN_EXPIRED']));
  await untilTrue(() => given >= 3, { what: 'a fresh token is asked for each time' });
});

test('the command line calls with a token of its environment, or of a file', async (t) => {
  const { cluster, user, service } = await start(t);
  const { address } = await cluster.start('alert-api');
  const folder = await mkdtemp(join(tmpdir(), 'ssom-token-'));
  defer(t, () => rm(folder, { recursive: true }));
  const file = join(folder, 'token');
  await writeFile(file, `${await user('op1')()}\n`);
  const run = async (args: string[], environment: Record<string, string> = {}) => {
    const context = fakeContext({ environment: { SSOM_ADDRESS: address, ...environment } });
    return { code: await main(args, context), said: context.out() + context.err() };
  };
  const list = ['inbox', 'list', '--user', 'op1'];
  assert.deepEqual(await run([...list, '--token-file', file]), {
    code: 0,
    said: '0 shown; 0 unread in the whole inbox\n',
  });
  assert.equal((await run(list, { SSOM_TOKEN_FILE: file })).code, 0);
  const create = [
    'alerts',
    'create',
    '--kind',
    'OTHER',
    '--level',
    'INFO',
    '--app',
    'a',
    '--title',
    't',
    '--to-user',
    'op1',
  ];
  assert.equal((await run(create, { SSOM_TOKEN: await service('alerts:create')() })).code, 0);
  const without = await run(list);
  assert.equal(without.code, 1);
  assert.match(without.said, /authorization: Bearer/);
  const missing = await run([...list, '--token-file', join(folder, 'none')]);
  assert.equal(missing.code, 2);
  assert.match(missing.said, /the token cannot be read from '.*none' \(ENOENT\)/);
});
