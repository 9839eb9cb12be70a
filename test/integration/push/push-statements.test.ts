import assert from 'node:assert/strict';
import test from 'node:test';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { refuseDevices, relieveDevices, removeHopelessDevices } from '../../../services/store/device-refusals.js';
import { pruneDevices, registerDevice } from '../../../services/store/devices.js';
import { planPushes } from '../../../services/store/push-plans.js';
import { pushesOf } from '../../../services/store/push-records.js';
import { claimDismissals, claimPushes, finishPushes, firstShown } from '../../../services/store/pushes.js';
import { removeRows } from '../../../services/store/retention.js';
import { assertLooksUp, type Explained, explaining } from '../../support/plans.js';
import { createTestDatabase } from '../../support/postgres.js';
import { claiming } from '../../support/push.js';

test('every statement of push looks rows up by an index, with the one plan that is made for all values', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  await sql(`INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
             SELECT 'u' || n, '', 'OPERATION', '', true, 1 FROM generate_series(1, 5000) n`);
  await sql(`INSERT INTO inboxes (user_id, last_seq) SELECT 'u' || n, 40 FROM generate_series(1, 5000) n`);
  await sql(`INSERT INTO push_cursors SELECT 'u' || n, 0 FROM generate_series(1, 5000) n`);
  await sql(`INSERT INTO devices SELECT n, 'u' || n, 't' || n, sha256(('t' || n)::bytea), 1, '', '', now(), now()
             FROM generate_series(1, 5000) n`);
  await sql(`SELECT setval('device_ids', 5000)`);
  await sql(`INSERT INTO push_deliveries (device_id, alert_id, user_id, state, created_at, expires_at, due_at)
             SELECT n % 5000 + 1, n, 'u' || n % 5000 + 1, 'sent', now(), now(), CASE WHEN n <= 20 THEN now() END
             FROM generate_series(1, 100000) n`);
  await sql('ANALYZE');
  const plans: Explained[] = [];
  const watched = explaining(database, plans);

  await planPushes(watched, ['u1', 'u2'], { graceMs: 0, ttlMs: [1000, 1000, 1000, 1000] });
  const claims = await claimPushes(watched, claiming(20));
  assert.equal(claims.length, 20);
  await finishPushes(
    watched,
    claims.map((claim) => ({ claim, state: 'sent' })),
  );
  await claimDismissals(watched, [1, 2], claiming(20));
  await firstShown(watched, [1, 2]);
  const refusal = { deviceId: 1, waitMs: 1000, refusals: 10, inRow: 10, ownInRow: 10, ownFault: true };
  await refuseDevices(watched, [refusal]);
  await relieveDevices(watched, [{ deviceId: 2, refusals: 0 }]);
  assert.deepEqual(await removeHopelessDevices(watched, [1, 2], 60_000), []);
  await pushesOf(watched, 17, 100);
  assert.equal(await removeRows(watched, 'push_deliveries', [50, 51, 52], 2), 2);
  assert.equal(await removeRows(watched, 'push_deliveries', [50, 51, 52], 2), 1);
  await pruneDevices(watched, 1, 100);
  await registerDevice(
    watched,
    { userId: 'u1', token: 'new', platform: 'ANDROID', appVersion: '', locale: '' },
    NO_ACCOUNT,
    NO_ACCOUNT,
  );

  assertLooksUp(plans);
  assert.ok(plans.length >= 10);
});
