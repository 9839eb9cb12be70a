import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { churn } from '../../labs/streams/churn.js';
import { activeResources, HELD } from '../../labs/streams/leftovers.js';
import { longInbox } from '../../labs/streams/long-inbox.js';
import { user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { Random } from '../../support/random.js';
import { untilTrue } from '../../support/until-true.js';

const SEED = 20_261_123;
/** Before the first look: what is loaded or connected once stays. */
const WARM_UP = 200;
/** Sockets and timers come and go by a few: the pool's connections, the loops that wait for their next turn. */
const FEW = 20;
const TIMEOUT_MS = 30_000;

interface Streams {
  readonly count: number;
  readonly maxAgeMs?: number;
}

/** Opens streams, ends them, and looks for what they have left: by counts, since megabytes depend on the collector. */
async function leavesNothing(t: TestContext, { count, maxAgeMs }: Streams): Promise<void> {
  const cluster = await startTestCluster(t);
  const config = maxAgeMs === undefined ? {} : { streamMaxAgeMs: maxAgeMs };
  const gateway = await cluster.start('stream-gateway', { config });
  const { database, metrics } = { database: gateway.runtime.database, metrics: await metricsOf(gateway.runtime) };
  const far = 'far';
  const users = Array.from({ length: 50 }, (_, index) => `user-${index}`);
  await upsertUsers(
    cluster.store.database,
    [...users, far].map((userId) => user(userId, 'X')),
    NO_ACCOUNT,
  );
  await cluster.store.sql(...longInbox(far, 3000));
  const options = { address: gateway.address, users, far, concurrency: 16, aging: maxAgeMs !== undefined };
  const nothingHeld = () =>
    untilTrue(async () => (await metrics(HELD)).every((value) => value === 0), {
      what: 'no stream is held',
      timeoutMs: TIMEOUT_MS,
    });

  await churn({ ...options, streams: WARM_UP }, new Random(SEED - 1));
  await nothingHeld();
  const before = activeResources();
  const counts = await churn({ ...options, streams: count }, new Random(SEED));
  assert.equal(
    Object.values(counts).reduce((sum, streams) => sum + streams, 0),
    count,
  );
  await nothingHeld();
  const returned = () => Object.entries(activeResources()).every(([type, n]) => n <= (before[type] ?? 0) + FEW);
  await untilTrue(returned, {
    what: () => `resources return from ${JSON.stringify(activeResources())} to ${JSON.stringify(before)}`,
    timeoutMs: TIMEOUT_MS,
  });
  await untilTrue(() => database.stats.idle === database.stats.total, { what: 'all connections are in the pool' });
  assert.ok(database.stats.total <= cluster.config.databasePoolMax);
  await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM stream_presence')).length === 0, {
    what: 'nobody is present',
  });
}

/** Reads numbers of /metrics by their names. */
async function metricsOf(runtime: { serveHttp(listen: string): Promise<{ address: string }> }) {
  const { address } = await runtime.serveHttp('127.0.0.1:0');
  return async (names: readonly string[]): Promise<number[]> => {
    const text = await (await fetch(`http://${address}/metrics`)).text();
    return names.map((name) => Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'm').exec(text)?.[1]));
  };
}

test('streams that clients drop in any way leave nothing behind', (t) => leavesNothing(t, { count: 3000 }));

test('streams that the gateway ends for their age leave nothing behind', (t) =>
  leavesNothing(t, { count: 300, maxAgeMs: 1000 }));
