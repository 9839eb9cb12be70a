import assert from 'node:assert/strict';
import test from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { collectStream, listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

async function run(databaseUrl: string, ...args: string[]) {
  const context = fakeContext({ environment: { DATABASE_URL: databaseUrl } });
  const code = await main(args, context);
  return { code, out: context.out(), err: context.err() };
}

test('reconcile on demand brings back what is missing in an inbox, and nothing that was deleted', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  await loadDirectory(api);
  const ids: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1', 'op2'] } }));
    ids.push(alert!.alertId);
  }
  const complete = async () =>
    (await cluster.store.sql('SELECT 1 FROM alert_progress WHERE completed_at IS NULL')).length === 0;
  await untilTrue(complete, { what: 'all alerts complete' });
  await api.call('DeleteFromInbox', { alertIds: [ids[0]!] }, { user: 'op1' });
  // A row that is gone without anybody having deleted it: as after a restored table.
  await cluster.store.sql(`DELETE FROM alert_statuses WHERE user_id = 'op2' AND alert_id = ${ids[1]!}`);

  const dry = await run(cluster.store.url, 'reconcile', '--dry-run');
  assert.deepEqual(
    [dry.code, dry.out.trim()],
    [0, '3 alerts would be looked at; 0 of them are not known to be complete'],
  );
  assert.equal((await run(cluster.store.url, 'reconcile', '--since', '2030-01-01Z')).out.split(' ')[0], '0');
  assert.match((await run(cluster.store.url, 'reconcile', '--since', '1h')).out, /^3 alerts will be looked at/);
  await untilTrue(async () => (await listWholeInbox(api, 'op2')).rows.length === 3, {
    what: 'the lost row is back',
  });
  await untilTrue(complete, { what: 'all alerts complete again' });
  assert.deepEqual(
    (await listWholeInbox(api, 'op1')).rows.map(({ alertId }) => alertId),
    [ids[2], ids[1]],
  );
});

test('a renewed epoch makes every resume token expire', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  const stream = await collectStream(t, gateway, { user: 'op1' }, {}).untilLive();
  const { resumeToken } = stream.responses.at(-1)!;
  assert.match((await run(cluster.store.url, 'epoch', 'renew')).out, /^the epoch is \d+; with --yes/);
  const again = await collectStream(t, gateway, { user: 'op1' }, { resumeToken }).untilLive();
  assert.equal(again.error, undefined);
  assert.match((await run(cluster.store.url, 'epoch', 'renew', '--yes')).out, /^the epoch was \d+ and is \d+ now/);
  const expired = collectStream(t, gateway, { user: 'op1' }, { resumeToken });
  const refusal = await expired.untilRefused();
  assert.equal(refusal.code, 'OUT_OF_RANGE');
  assert.equal(refusal.reason, 'RESUME_TOKEN_EXPIRED');
});

test('both need a database that is named', async () => {
  for (const args of [['reconcile'], ['epoch', 'renew']]) {
    const { code, err } = await run('', ...args);
    assert.equal(code, 1);
    assert.match(err, /without DATABASE_URL/);
  }
});
