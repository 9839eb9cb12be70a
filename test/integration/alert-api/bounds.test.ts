import assert from 'node:assert/strict';
import test from 'node:test';
import { CreateBatcher } from '../../../services/alert-api/create-batcher.js';
import { AlertError } from '../../../services/domain/errors.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { newAlert } from '../../support/alerts.js';
import { user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { createTestDatabase } from '../../support/postgres.js';
import { collectStream } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

test('requests that wait are bounded by their size as well as by their number', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const batcher = new CreateBatcher({
    database,
    tracing: Tracing.off(),
    slowMs: 5000,
    queueMax: 10_000,
    batchMax: 500,
    isFull: () => false,
    onStored: () => undefined,
  });
  const message = 'x'.repeat(16_384);
  const results = await Promise.allSettled(Array.from({ length: 3000 }, () => batcher.create(newAlert({ message }))));
  const refused = results.filter((result) => result.status === 'rejected');
  // 32 million characters are 1,953 of these, and one caller has no more than is left.
  assert.equal(refused.length, 3000 - 976);
  for (const { reason } of refused) {
    assert.ok(reason instanceof AlertError, String(reason));
    assert.deepEqual([reason.code, reason.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_REQUESTS']);
    assert.ok(reason.retryAfterMs! > 0);
  }
  assert.equal(batcher.room.characters, 0);
  assert.deepEqual(await sql('SELECT count(*) AS n FROM alerts'), [{ n: 976 }]);
});

test('a gateway takes STREAMS_MAX streams; one more is told to come back, and does when another has gone', async (t) => {
  const cluster = await startTestCluster(t, { STREAMS_MAX: '2' });
  await upsertUsers(cluster.store.database, [user('op1', 'OPERATION')], NO_ACCOUNT);
  const api = cluster.api(await cluster.start('stream-gateway'));
  const open = () => collectStream(t, api, { user: 'op1' });
  const first = await open().untilLive();
  await open().untilLive();
  const refusal = await open().untilRefused();
  assert.deepEqual([refusal.code, refusal.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS']);
  assert.ok(refusal.details.retryAfterMs! > 0);
  await first.cancel();
  await untilTrue(
    async () => {
      const stream = open();
      await untilTrue(() => stream.isLive || stream.hasEnded, { what: 'an answer' });
      return stream.isLive;
    },
    { what: 'there is room again' },
  );
});
