import assert from 'node:assert/strict';
import test from 'node:test';
import { wait } from '../../../services/lib/retry.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import { assertFoldEqualsInbox, collectStream, listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

const PEOPLE = Array.from({ length: 12 }, (_, index) => `u${index}`);
/** One of them, whose inbox somebody holds. */
const HELD = 'u3';
const STATEMENT_TIMEOUT_MS = 400;

test('somebody holds one inbox for many statement time-outs: the others are served at once, its user in order afterwards', async (t) => {
  const cluster = await startTestCluster(t, { DATABASE_STATEMENT_TIMEOUT_MS: String(STATEMENT_TIMEOUT_MS) });
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  const { http } = await cluster.start('delivery');
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  await loadDirectory(
    api,
    PEOPLE.map((name) => user(name, 'OPERATION')),
  );
  const create = async () => {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: PEOPLE } }));
    return alert!.alertId;
  };
  const streams = new Map(
    await Promise.all(
      PEOPLE.map(async (name) => [name, await collectStream(t, gateway, { user: name }).untilLive()] as const),
    ),
  );
  const alertIds = [await create()];
  for (const name of PEOPLE) await streams.get(name)!.untilAlerts(alertIds);

  const holder = cluster.store.connect();
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  defer(t, () => release());
  let isHeld = false;
  const holding = holder.transaction(async (connection) => {
    await connection.query('SELECT 1 FROM inboxes WHERE user_id = $1 FOR UPDATE', [HELD]);
    isHeld = true;
    await released;
  });
  await untilTrue(() => isHeld, { what: 'the lock' });
  const late: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const startedAt = performance.now();
    alertIds.push(await create());
    for (const name of PEOPLE) if (name !== HELD) await streams.get(name)!.untilAlerts(alertIds);
    late.push(performance.now() - startedAt);
    await wait(STATEMENT_TIMEOUT_MS / 2);
  }
  t.diagnostic(`others had it after ${late.map((ms) => Math.round(ms)).join(', ')} ms`);
  assert.ok(late.toSorted((a, b) => a - b)[10]! < STATEMENT_TIMEOUT_MS, 'nobody else waited for a time-out');
  assert.equal((await listWholeInbox(api, HELD)).rows.length, 1);
  assert.equal(await metricOf(http, 'ssom_triage_waiting'), 20);
  assert.ok((await metricOf(http, 'ssom_triage_age')) > 3);
  release();
  await holding;
  await streams.get(HELD)!.untilAlerts(alertIds);
  assert.deepEqual(
    streams.get(HELD)!.changes.map(({ alert }) => alert!.alertId),
    alertIds,
  );
  for (const name of PEOPLE) await assertFoldEqualsInbox(api, name, streams.get(name)!.folded);
  assert.deepEqual(await cluster.store.sql('SELECT * FROM dead_letters'), []);
  await untilTrue(
    async () => {
      const [row] = await cluster.store.sql<{ open: number }>(
        'SELECT count(*) AS open FROM alert_progress WHERE completed_at IS NULL',
      );
      return row!.open === 0;
    },
    { what: 'all alerts are complete' },
  );
});
