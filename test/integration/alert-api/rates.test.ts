import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { createClient } from '../../../services/client/client.js';
import { alertRequest } from '../../support/alerts.js';
import { type CallError, failureOf } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { storeDirectory } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import { collectStream } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

const ONE = { caller: 'one' };
const TWO = { caller: 'two' };

async function start(t: TestContext, env: Readonly<Record<string, string>>) {
  const cluster = await startTestCluster(t, { CALLER_BURST_S: '1', ...env });
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const refused = async (bound: string) => {
    const page = await (await fetch(`http://${role.http}/metrics`)).text();
    return Number(new RegExp(`ssom_grpc_refused_total\\{[^}]*bound="${bound}"[^}]*\\} (\\d+)`).exec(page)?.[1]);
  };
  return { address: role.address, api: cluster.api(role), refused };
}

/** What a call was refused with, and by which limit. */
function failed(error: unknown): string {
  const { code, details } = error as CallError;
  assert.ok(details.retryAfterMs! > 0, 'it says when to come again');
  return `${code} ${details.reason} ${details.metadata['limit']}`;
}

const limitOf = async (call: Promise<unknown>) => failed(await failureOf(call));

const over = (limit: string) => `RESOURCE_EXHAUSTED RATE_LIMITED ${limit}_per_s`;

test('requests, alerts and recipients a second are bounded for each caller, and refusals are counted', async (t) => {
  // Bursts of 30 s, which no slow machine makes up for.
  const { api, refused } = await start(t, {
    CALLER_BURST_S: '30',
    CALLER_REQUESTS_PER_S: '1',
    USER_REQUESTS_PER_S: '1',
    CALLER_ALERTS_PER_S: '2',
    CALLER_RECIPIENTS_PER_S: '4',
  });
  const batch = (count: number) => ({ requests: Array.from({ length: count }, () => alertRequest()) });
  // A replay is a request like any other, and an alert.
  const request = alertRequest({ requestId: 'once' });
  assert.equal((await api.call('CreateAlert', request, ONE)).replayed, false);
  assert.equal((await api.call('CreateAlert', request, ONE)).replayed, true);
  await api.call('BatchCreateAlerts', batch(58), ONE);
  assert.equal(await limitOf(api.call('BatchCreateAlerts', batch(500), ONE)), over('alerts'));
  assert.equal(await limitOf(api.call('BatchCreateAlerts', batch(40), ONE)), over('alerts'));
  await api.call('BatchCreateAlerts', batch(60), TWO);
  const names = Array.from({ length: 99 }, (_, index) => `nobody-${index}`);
  const many = alertRequest({ recipients: { userIds: ['op1', ...names] } });
  await api.call('CreateAlert', many, { caller: 'three' });
  assert.equal(await limitOf(api.call('CreateAlert', many, { caller: 'three' })), over('recipients'));
  for (const call of [
    () => api.call('ListUsers', {}, { caller: 'four' }),
    () => api.call('GetUnreadCount', {}, { user: 'op1' }),
  ]) {
    const outcomes = await Promise.all(Array.from({ length: 45 }, () => call().then(() => 'OK', failed)));
    assert.deepEqual(new Set(outcomes), new Set(['OK', over('requests')]));
    const answered = outcomes.filter((outcome) => outcome === 'OK').length;
    assert.ok(answered >= 30 && answered < 45, `${answered} were answered`);
  }
  assert.equal(await refused('alerts_per_s'), 2);
  assert.equal(await refused('recipients_per_s'), 1);
  assert.ok((await refused('requests_per_s')) > 2);
});

test('our client and the command line slow down to the rate, and lose nothing', async (t) => {
  const { address, refused } = await start(t, { CALLER_ALERTS_PER_S: '200' });
  const folder = await mkdtemp(join(tmpdir(), 'ssom-rates-'));
  defer(t, () => rm(folder, { recursive: true }));
  const file = join(folder, 'alerts.jsonl');
  const line = (index: number) => JSON.stringify({ kind: 'OTHER', level: 'INFO', appName: 'a', title: `t ${index}` });
  await writeFile(file, Array.from({ length: 600 }, (_, index) => line(index)).join('\n'));
  const context = fakeContext();
  const client = createClient({ address, identity: { caller: 'batches' } });
  defer(t, () => client.close());
  // Two batches each, of which the second has to wait for what the first took.
  const [code, created] = await Promise.all([
    main(['alerts', 'create', '--file', file, '--address', address], context),
    Promise.all(Array.from({ length: 600 }, () => client.createAlert(alertRequest(), { batch: true }))),
  ]);
  assert.equal(code, 0, context.err());
  assert.equal(created.filter(({ replayed }) => !replayed).length, 600);
  assert.ok((await refused('alerts_per_s')) >= 2, 'both were told to wait');
});

test('a service that acts for users holds as many streams as it may, and users have their own', async (t) => {
  const cluster = await startTestCluster(t, { STREAMS_PER_CALLER_MAX: '2' });
  await storeDirectory(cluster.store.database);
  const gateway = await cluster.start('stream-gateway');
  const api = cluster.api(gateway);
  const open = (userId: string, caller: string) => collectStream(t, api, { caller }, { userId });
  const [first, second] = [open('op1', 'web'), open('op2', 'web')];
  await Promise.all([first.untilLive(), second.untilLive()]);
  const third = open('op1', 'web');
  await untilTrue(() => third.hasEnded, { what: 'the third is refused' });
  assert.deepEqual([third.error!.code, third.error!.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS_OF_CALLER']);
  assert.equal(await metricOf(gateway.http, 'ssom_stream_refused_total'), 1);
  await Promise.all([open('op1', 'mobile').untilLive(), collectStream(t, api, { user: 'op1' }).untilLive()]);
  await first.cancel();
  const later = await untilTrue(
    async () => {
      const stream = open('op1', 'web');
      await untilTrue(() => stream.hasEnded || stream.isLive, { what: 'it is answered' });
      return stream.isLive ? stream : undefined;
    },
    { what: 'there is room again' },
  );
  assert.ok(later.isLive);
});
