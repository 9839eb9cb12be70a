import assert from 'node:assert/strict';
import test from 'node:test';
import { insertAlerts } from '../../services/store/alerts.js';
import { selfAlertState } from '../../services/store/self-alerts.js';
import { newAlert } from '../support/alerts.js';
import { assertLooksUp, explaining, type Explained } from '../support/plans.js';
import { createTestDatabase } from '../support/postgres.js';

const PERIOD_MS = 600_000;
const OURS = 'ssom-alert';

test('an alert of the period before that is younger than a period counts, one that is older does not', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const state = (requestIds: string[]) =>
    selfAlertState(database, { caller: OURS, requestIds, periodMs: PERIOD_MS, alertIds: [] });
  await insertAlerts(database, [
    newAlert({ requestId: 'cause 1' }, OURS),
    newAlert({ requestId: 'cause 3' }, 'others'),
  ]);
  assert.equal((await state(['cause 2', 'cause 1'])).recent, true);
  assert.equal((await state(['cause 3', 'cause 2'])).recent, false);
  await sql(`UPDATE alerts SET created_at = created_at - interval '11 minutes'`);
  assert.equal((await state(['cause 2', 'cause 1'])).recent, false);
});

test('alerts are ours alone, or not', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  await insertAlerts(database, [newAlert({}, OURS), newAlert({}, 'others')]);
  const rows = await sql<{ alert_id: number; caller: string }>('SELECT alert_id, caller FROM alerts');
  const idOf = (caller: string) => rows.find((row) => row.caller === caller)!.alert_id;
  const others = async (alertIds: number[]) =>
    (await selfAlertState(database, { caller: OURS, requestIds: [], periodMs: PERIOD_MS, alertIds })).others;
  assert.equal(await others([idOf(OURS)]), false);
  assert.equal(await others([idOf(OURS), idOf('others')]), true);
  assert.equal(await others([]), false);
});

test('it is looked up, however many alerts there are', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  await sql(
    `INSERT INTO alerts SELECT n, 'c', 'r' || n, '', '', 'OTHER', 'a', 1, '', '', '{}', now(), now(), 1, false, '{}' FROM generate_series(1, 10000) n`,
  );
  await sql('ANALYZE alerts');
  const plans: Explained[] = [];
  const asked = { caller: OURS, requestIds: ['cause 2', 'cause 1'], periodMs: PERIOD_MS, alertIds: [1] };
  await selfAlertState(explaining(database, plans), asked);
  assert.equal(plans.length, 1);
  assertLooksUp(plans);
});
