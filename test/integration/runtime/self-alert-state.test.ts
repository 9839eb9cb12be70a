import assert from 'node:assert/strict';
import test from 'node:test';
import { insertAlerts } from '../../../services/store/alerts.js';
import { selfAlertState } from '../../../services/store/self-alerts.js';
import { newAlert } from '../../support/alerts.js';
import { assertLooksUp, type Explained, explaining } from '../../support/plans.js';
import { createTestDatabase } from '../../support/postgres.js';

const PERIOD_MS = 600_000;
const OURS = 'ssom-alert';

test('an alert of the period before counts for as long as a period has not passed since it, not longer', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const limitedForMs = async (requestIds: string[]) =>
    (await selfAlertState(database, { caller: OURS, requestIds, periodMs: PERIOD_MS, alertIds: [] })).limitedForMs;
  await insertAlerts(database, [
    newAlert({ requestId: 'cause 1' }, OURS),
    newAlert({ requestId: 'cause 3' }, 'others'),
  ]);
  const whole = await limitedForMs(['cause 2', 'cause 1']);
  assert.ok(whole > 0 && whole <= PERIOD_MS, String(whole));
  assert.equal(await limitedForMs(['cause 3', 'cause 2']), 0);
  await sql(`UPDATE alerts SET created_at = created_at - interval '9 minutes'`);
  const rest = await limitedForMs(['cause 2', 'cause 1']);
  assert.ok(rest <= whole - 540_000, `${rest} of ${whole}`);
  await sql(`UPDATE alerts SET created_at = created_at - interval '2 minutes'`);
  assert.equal(await limitedForMs(['cause 2', 'cause 1']), 0);
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
