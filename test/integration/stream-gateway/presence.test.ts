import assert from 'node:assert/strict';
import test from 'node:test';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { streamingUsers } from '../../../services/store/presence.js';
import { user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { collectStream } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

const AS_OP1 = { user: 'op1' };

test('who holds a stream is known while it is held, at any gateway, and after PostgreSQL forgot', async (t) => {
  const cluster = await startTestCluster(t);
  const { database } = cluster.store;
  const first = await cluster.start('stream-gateway');
  const second = await cluster.start('stream-gateway');
  await upsertUsers(database, [user('op1', 'OPERATION'), user('op2', 'OPERATION')], NO_ACCOUNT);
  const present = async () => [...(await streamingUsers(database, ['op1', 'op2']))];
  const until = (users: string[], what: string) =>
    untilTrue(async () => (await present()).join() === users.join(), { what });

  assert.deepEqual(await present(), []);
  const one = collectStream(t, cluster.api(first), AS_OP1);
  collectStream(t, cluster.api(second), AS_OP1);
  await until(['op1'], 'op1 is present');
  await one.cancel();
  await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM stream_presence')).length === 1, {
    what: 'one of two gateways has let go',
  });
  assert.deepEqual(await present(), ['op1']);

  // What a crash of PostgreSQL does to tables that are not logged.
  await cluster.store.sql('TRUNCATE stream_presence, gateway_leases');
  await until(['op1'], 'op1 is known again');

  await second.stop();
  assert.deepEqual(await present(), []);
  assert.deepEqual(await cluster.store.sql('SELECT 1 FROM stream_presence'), []);
});

test('a gateway that died is forgotten when its lease ends', async (t) => {
  const cluster = await startTestCluster(t);
  const { database } = cluster.store;
  await cluster.start('stream-gateway');
  await upsertUsers(database, [user('op1', 'OPERATION')], NO_ACCOUNT);
  await cluster.store.sql(`
    WITH dead AS (INSERT INTO gateway_leases VALUES (gen_random_uuid(), now() + interval '1 second') RETURNING gateway)
    INSERT INTO stream_presence SELECT 'op1', gateway FROM dead`);
  assert.deepEqual([...(await streamingUsers(database, ['op1']))], ['op1']);
  await untilTrue(async () => (await streamingUsers(database, ['op1'])).size === 0, { what: 'the lease has ended' });
});
