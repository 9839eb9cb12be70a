import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { createClient } from '../../../services/client/client.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { defer } from '../../support/defer.js';
import { user } from '../../support/directory.js';
import { startTestCluster, type TestCluster } from '../../support/in-process.js';
import { readPage } from '../../support/metrics-page.js';
import { collectStream } from '../../support/stream.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { untilTrue } from '../../support/until-true.js';

interface Gateway {
  readonly address: string;
  readonly http: string;
}

/** Two gateways, the first of which the balancer's first connection goes to. */
async function startGateways(t: TestContext, settings: Readonly<Record<string, string>>) {
  const cluster = await startTestCluster(t, settings);
  await upsertUsers(cluster.store.database, [user('op1', 'OPERATION'), user('op2', 'OPERATION')], NO_ACCOUNT);
  return { cluster, gateways: [await cluster.start('stream-gateway'), await cluster.start('stream-gateway')] };
}

/** Follows op1's stream through a TCP balancer, until the test ends. @returns why it was lost, each time */
async function follow(t: TestContext, gateways: readonly Gateway[]): Promise<string[]> {
  const balancer = await TcpProxy.listen(gateways.map(({ address }) => Number(address.split(':')[1])));
  defer(t, () => balancer.close());
  const client = createClient({ address: balancer.address, identity: { userId: 'op1' } });
  const losses: string[] = [];
  const stream = client.streamAlerts({ onEvent: (event) => event.type === 'lost' && losses.push(event.error.reason) });
  const following = (async () => {
    for await (const { resumeToken } of stream) assert.notEqual(resumeToken, '');
  })();
  defer(t, () => {
    client.close();
    return following;
  });
  return losses;
}

async function streamsOf({ http }: Gateway): Promise<number> {
  const page = readPage(await (await fetch(`http://${http}/metrics`)).text());
  return page.get('ssom_stream_open')!.samples[0]!.value;
}

async function occupy(t: TestContext, cluster: TestCluster, gateway: Gateway): Promise<void> {
  await collectStream(t, cluster.api(gateway), { user: 'op2' }).untilLive();
}

test('a stream that is old enough goes to another gateway behind a TCP balancer', async (t) => {
  const { gateways } = await startGateways(t, { STREAM_MAX_AGE_MS: '3000' });
  const losses = await follow(t, gateways);
  const [first, second] = gateways;
  await untilTrue(async () => (await streamsOf(first!)) === 1, { what: 'the first gateway has it' });
  await untilTrue(async () => (await streamsOf(second!)) === 1, { what: 'the second one has it' });
  assert.deepEqual(losses, ['STREAM_MAX_AGE']);
});

test('a stream that a full gateway refuses finds the other one behind a TCP balancer', async (t) => {
  const { cluster, gateways } = await startGateways(t, { STREAMS_MAX: '1' });
  const [first, second] = gateways;
  await occupy(t, cluster, first!);
  const losses = await follow(t, gateways);
  await untilTrue(async () => (await streamsOf(second!)) === 1, { what: 'the second one has it' });
  assert.deepEqual(losses, ['TOO_MANY_STREAMS']);
});
