import { wait } from '../../../services/lib/retry.js';
import type { RoleProcess } from '../../support/role-process.js';
import type { Bench, Scenario } from '../frame/bench.js';
import type { Figures } from '../frame/figures.js';
import type { ChurnCommands } from './churn-client.js';
import { databaseOf, deployGateway, userIds } from './deployment.js';
import type { Holding } from './inspect.js';
import { HELD } from './leftovers.js';
import { longInbox } from './long-inbox.js';

const NAME = 'leak';
const STREAMS = 100_000;
/** Before the first look: code is compiled, and what is loaded or connected once stays. */
const WARM_UP = 10_000;
/** Connections at a time, of ten streams each; those that wait for their age take longest. */
const CONCURRENCY = { dropped: 32, 'ended for their age': 200 } as const;
const USERS = 1000;
const FAR = 'far';
const PATIENCE_MS = 60_000;
/** Bytes of heap that a stream may seem to leave: what V8 still compiles or keeps between two looks is 1 to 2 MB. */
const LIMIT_BYTES = 50;
/** Streams that are opened and dropped in every way, and what is left of them. */
export const leak: Scenario = {
  name: NAME,
  async run(bench, figures) {
    const streams = Math.min(STREAMS, bench.options.users * 5);
    await dropStreams(bench, figures, streams, 'dropped', {});
    await dropStreams(bench, figures, Math.ceil(streams / 2), 'ended for their age', { STREAM_MAX_AGE_MS: '1000' });
  },
};

async function dropStreams(
  bench: Bench,
  figures: Figures,
  streams: number,
  how: keyof typeof CONCURRENCY,
  variables: Record<string, string>,
): Promise<void> {
  const users = userIds(USERS);
  const deployment = await deployGateway(bench, NAME, [...users, FAR], { variables });
  await bench.runSql(databaseOf(deployment), ...longInbox(FAR, 5000));
  const gateway = deployment.role('stream-gateway');
  const clients = bench.worker<ChurnCommands>('streams/churn-client');
  const aging = how === 'ended for their age';
  const options = { address: gateway.grpc, users, far: FAR, concurrency: CONCURRENCY[how], aging };
  await clients.call('churn', { ...options, streams: Math.min(WARM_UP, streams), seed: 1 });
  let before = await atRest(bench, gateway);
  const what = `${streams.toLocaleString('en-US')} streams ${how}`;
  await bench.rounds(what, async (round) => {
    const counts = await clients.call('churn', { ...options, streams, seed: 1 + round });
    const after = await atRest(bench, gateway);
    const connections = await gateway.metric('db_client_connection_count');
    report(figures, what, streams, before, after);
    figures.add(NAME, `${what}: connections to PostgreSQL`, '', connections, { kind: 'bound', at: 'most', value: 8 });
    if (round === 1)
      figures.note(
        `${NAME}: ${Object.entries(counts)
          .map(([way, count]) => `${count} ${way}`)
          .join(', ')}`,
      );
    const line = `live memory ${mb(before.live)} MB before, ${mb(after.live)} MB afterwards`;
    before = after;
    return line;
  });
  await bench.finish(deployment, figures);
}

const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

function report(figures: Figures, what: string, streams: number, before: Holding, after: Holding): void {
  figures.add(NAME, `${what}: live memory before`, 'MB', before.live / 2 ** 20);
  figures.add(NAME, `${what}: live memory afterwards`, 'MB', after.live / 2 ** 20);
  figures.add(NAME, `${what}: left of a stream`, 'bytes', (after.live - before.live) / streams, {
    kind: 'bound',
    at: 'most',
    value: LIMIT_BYTES,
  });
  figures.add(NAME, `${what}: resident afterwards`, 'MB', after.rss / 2 ** 20);
  for (const type of ['Timeout', 'TCPSocketWrap']) {
    const more = (after.resources[type] ?? 0) - (before.resources[type] ?? 0);
    figures.add(NAME, `${what}: ${type} more than before`, '', more, { kind: 'bound', at: 'most', value: 20 });
  }
}

/** Waits until no stream holds anything. @throws if that does not come */
async function atRest(bench: Bench, gateway: RoleProcess): Promise<Holding> {
  const until = Date.now() + PATIENCE_MS;
  for (const name of HELD) {
    while ((await gateway.metric(name)) > 0) {
      if (Date.now() > until) throw new Error(`${name} is ${await gateway.metric(name)} with no stream open`);
      await wait(100);
    }
  }
  return gateway.ask<Holding>('holding');
}
