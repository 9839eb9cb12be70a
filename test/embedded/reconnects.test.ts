import assert from 'node:assert/strict';
import test from 'node:test';
import { runReconnects } from '../labs/reconnects/reconnect-run.js';
import { startTestCluster } from '../support/in-process.js';
import { metricOf } from '../support/metrics.js';

/** The small part of `npm run reconnects`: the same choices each time. */
const SEED = 20_260;
const RECONNECTS = 200;

test('I4: through 200 lost connections every stream is its inbox, with nothing missing and nothing twice', async (t) => {
  const cluster = await startTestCluster(t, { STREAM_PAGE_SIZE: '20', STREAM_BUFFER_MAX: '10' });
  const api = await cluster.start('alert-api');
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateways = [await cluster.start('stream-gateway'), await cluster.start('stream-gateway')];
  const result = await runReconnects({
    place: {
      api: api.address,
      gateways: gateways.map(({ address }) => address),
      sql: cluster.store.sql,
      openStreams: async () => {
        const counts = await Promise.all(gateways.map((gateway) => metricOf(gateway.http, 'ssom_stream_open')));
        return counts.reduce((sum, count) => sum + count, 0);
      },
    },
    seed: SEED,
    reconnects: RECONNECTS,
    people: 6,
    timeoutMs: 120_000,
    say: (line) => t.diagnostic(line),
  });
  t.diagnostic(JSON.stringify({ ...result, losses: Object.fromEntries(result.losses) }));
  assert.deepEqual(result.problems, []);
  assert.ok(
    result.reconnects >= RECONNECTS && result.alerts > 20 && result.changes > 20,
    'there was hardly any traffic',
  );
});
