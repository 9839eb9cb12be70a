import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeviceWaits } from '../../../services/push/device-waits.js';
import type { FcmFailure } from '../../../services/push/fcm.js';
import { refuseDevices, relieveDevices, removeHopelessDevices } from '../../../services/store/device-refusals.js';
import { planPushes } from '../../../services/store/push-plans.js';
import { type ClaimedPush, claimPushes } from '../../../services/store/pushes.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { claiming } from '../../support/push.js';

const LEVEL = { INFO: 1, ERROR: 3, CRITICAL: 4 };
const DAY = 86_400_000;
const OPTIONS = { graceMs: 0, ttlMs: [DAY, DAY, DAY, DAY] };

/**
 * A user with one device, and `alerts` of a level in the inbox that nothing is planned for.
 * @returns the device's id
 */
async function userWith({ sql }: TestDatabase, user: number, alerts: number, level: number): Promise<number> {
  const userId = `u${user}`;
  await sql(`INSERT INTO push_cursors VALUES ($1, 0)`, [userId]);
  await sql(
    `INSERT INTO devices (device_id, user_id, token, token_hash, platform, app_version, locale, registered_at, refreshed_at)
     VALUES ($2, $1::text, $1::text, sha256(convert_to($1::text, 'UTF8')), 1, '', '', now(), now())`,
    [userId, user],
  );
  await changes({ sql } as TestDatabase, user, alerts, level);
  return user;
}

/** More alerts in the inbox of a user. */
async function changes({ sql }: TestDatabase, user: number, alerts: number, level: number): Promise<void> {
  const userId = `u${user}`;
  const [{ last }] = (await sql<{ last: number }>(
    `INSERT INTO inboxes (user_id, last_seq) VALUES ($1, $2)
     ON CONFLICT (user_id) DO UPDATE SET last_seq = inboxes.last_seq + excluded.last_seq RETURNING last_seq AS last`,
    [userId, alerts],
  )) as [{ last: number }];
  const first = user * 100_000 + last - alerts;
  await sql(
    `INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                         occurred_at, created_at, directory_version, recipients_named, departments)
     SELECT $1::bigint + n, 't', '', '', '', 'OTHER', 'a', $3::int, 't', '', '{}', now(), now(), 1, true, '{}'
     FROM generate_series(1, $2::int) n`,
    [first, alerts, level],
  );
  await sql(
    `INSERT INTO alert_statuses (alert_id, user_id, seq, created_seq, change, is_read, created_at)
     SELECT $1::bigint + n, $3, $4::bigint + n, $4::bigint + n, 1, false, now() FROM generate_series(1, $2::int) n`,
    [first, alerts, userId, last - alerts],
  );
}

const usersOf = (claims: readonly ClaimedPush[]) => claims.map(({ userId }) => userId);

// The databases are waited for.
describe('the turns of pushes', { concurrency: 2 }, () => {
  it('one user with very many changes is planned a page at a time, and holds up nobody', async (t) => {
    const store = await createTestDatabase(t);
    await userWith(store, 1, 1500, LEVEL.INFO);
    await userWith(store, 2, 1, LEVEL.CRITICAL);
    const { planned, unfinished } = await planPushes(store.database, ['u1', 'u2'], OPTIONS);
    assert.deepEqual([planned, unfinished], [201, ['u1']]);
    const of2 = await store.sql(`SELECT state FROM push_deliveries WHERE user_id = 'u2'`);
    assert.deepEqual(of2, [{ state: 'waiting' }]);
  });

  it('at most 1,000 wait for a device, but for CRITICAL ones; the others are skipped, and say so', async (t) => {
    const store = await createTestDatabase(t);
    await userWith(store, 1, 1200, LEVEL.INFO);
    await changes(store, 1, 1, LEVEL.CRITICAL);
    let crowded = 0;
    for (let users: readonly string[] = ['u1']; users.length > 0;) {
      const page = await planPushes(store.database, users, OPTIONS);
      crowded += page.crowded;
      users = page.unfinished;
    }
    assert.equal(crowded, 200);
    assert.deepEqual(
      await store.sql('SELECT level, state, error, count(*) FROM push_deliveries GROUP BY 1, 2, 3 ORDER BY 4'),
      [
        { level: 4, state: 'waiting', error: null, count: 1 },
        { level: 1, state: 'skipped', error: '1000 pushes wait for this device', count: 200 },
        { level: 1, state: 'waiting', error: null, count: 1000 },
      ],
    );
  });

  it('the most urgent is claimed first, then each user in turn; whoever has enough in hand is passed over', async (t) => {
    const store = await createTestDatabase(t);
    const { database, sql } = store;
    await userWith(store, 1, 50, LEVEL.ERROR);
    await planPushes(database, ['u1'], OPTIONS);
    await userWith(store, 2, 2, LEVEL.ERROR);
    await userWith(store, 3, 1, LEVEL.CRITICAL);
    await userWith(store, 4, 1, LEVEL.INFO);
    await planPushes(database, ['u2', 'u3', 'u4'], OPTIONS);
    const first = await claimPushes(database, claiming(6));
    assert.deepEqual(usersOf(first).sort(), ['u1', 'u1', 'u1', 'u2', 'u2', 'u3']);
    const second = await claimPushes(database, { ...claiming(5), busyUsers: ['u1'] });
    assert.deepEqual(usersOf(second), ['u4']);
    // Of one device only ten at a time.
    assert.equal((await claimPushes(database, claiming(40))).length, 10);
    assert.equal((await claimPushes(database, { ...claiming(40), busyDevices: [1] })).length, 0);
    const left = await sql(`SELECT count(*) FROM push_deliveries WHERE state = 'waiting'`);
    assert.deepEqual(left, [{ count: 37 }]);
  });

  it('a device that is refused waits with all that waits for it and what is planned meanwhile; others do not', async (t) => {
    const store = await createTestDatabase(t);
    const { database } = store;
    const deviceId = await userWith(store, 1, 20, LEVEL.ERROR);
    await userWith(store, 2, 20, LEVEL.ERROR);
    await planPushes(database, ['u1', 'u2'], OPTIONS);
    await refuseDevices(database, [{ deviceId, waitMs: 60_000, refusals: 3, inRow: 2, ownInRow: 1, ownFault: true }]);
    await changes(store, 1, 5, LEVEL.CRITICAL);
    await planPushes(database, ['u1'], OPTIONS);
    assert.deepEqual(new Set(usersOf(await claimPushes(database, claiming(100)))), new Set(['u2']));
    await store.sql(`UPDATE push_deliveries SET due_at = due_at - interval '1 minute'`);
    const [claim] = await claimPushes(database, claiming(1));
    assert.deepEqual([claim!.userId, claim!.alert!.level], ['u1', 'CRITICAL']);
    const { refusals, inRow, ownInRow, waitsMs } = claim!.device!;
    assert.deepEqual([refusals, inRow, ownInRow], [3, 2, 1]);
    assert.ok(waitsMs > 50_000);
  });

  it('a device that was over its quota for too long goes, if it was refused ten times in a row', async (t) => {
    const store = await createTestDatabase(t);
    const { database, sql } = store;
    const deviceId = await userWith(store, 1, 0, LEVEL.ERROR);
    const refuse = (ownInRow: number) => {
      const counts = { refusals: 20, inRow: 20, ownInRow };
      return refuseDevices(database, [{ deviceId, waitMs: 1000, ...counts, ownFault: null }]);
    };
    // While nobody is served it is not the device's fault.
    await refuse(0);
    assert.deepEqual(await removeHopelessDevices(database, [deviceId], 0), []);
    for (const ownInRow of [1, 9]) await refuse(ownInRow);
    await sql(`UPDATE devices SET refused_since = refused_since - interval '7 hours'`);
    assert.deepEqual(await removeHopelessDevices(database, [deviceId], 6 * 3_600_000), []);
    await refuse(10);
    assert.deepEqual(await removeHopelessDevices(database, [deviceId], 8 * 3_600_000), []);
    assert.deepEqual(await removeHopelessDevices(database, [deviceId], 6 * 3_600_000), [
      { deviceId, userId: 'u1', refusals: 10 },
    ]);
  });

  it('a success, and what a device is refused for otherwise, begin the time anew after which it goes', async (t) => {
    const store = await createTestDatabase(t);
    const { database, sql } = store;
    const deviceId = await userWith(store, 1, 0, LEVEL.ERROR);
    const waits = new DeviceWaits();
    const now = (() => {
      let hour = 0;
      return () => (hour += 3_600_000);
    })();
    const refuse = async (failure: FcmFailure) => {
      waits.served(deviceId + 1, 'ANDROID');
      const message = { sentAt: now(), taken: waits.taken };
      waits.served(deviceId + 1, 'ANDROID');
      const refused = { failure, platform: 'ANDROID', retryAfterMs: undefined, alertId: 1 } as const;
      await refuseDevices(database, [{ deviceId, ...waits.refused(deviceId, now(), message, refused)! }]);
      await sql(`UPDATE devices SET refused_since = refused_since - interval '1 hour'`);
    };
    const removed = () => removeHopelessDevices(database, [deviceId], 6 * 3_600_000);
    for (let count = 0; count < 12; count += 1) await refuse('rejected');
    const refusals = waits.served(deviceId, 'ANDROID')!;
    await relieveDevices(database, [{ deviceId, refusals }]);
    for (let count = 0; count < 9; count += 1) await refuse('throttled');
    assert.deepEqual(await removed(), [], 'nine in a row');
    await refuse('credentials');
    for (let count = 0; count < 9; count += 1) await refuse('throttled');
    assert.deepEqual(await removed(), [], 'nine since its platform was refused');
    // As an older version stores a success.
    await sql('UPDATE devices SET refused_since = NULL');
    await refuse('throttled');
    assert.deepEqual(await removed(), [], 'one since a success');
    for (let count = 0; count < 6; count += 1) await refuse('throttled');
    assert.equal((await removed()).length, 1);
  });

  it('what a wrong clock has dated further ahead than anything waits is due now', async (t) => {
    const store = await createTestDatabase(t);
    const { database, sql } = store;
    await userWith(store, 1, 3, LEVEL.ERROR);
    await planPushes(database, ['u1'], OPTIONS);
    await sql(`UPDATE push_deliveries SET due_at = now() + interval '1 hour' WHERE alert_id = 100001`);
    await sql(`UPDATE push_deliveries SET due_at = now() + interval '4 minutes' WHERE alert_id = 100002`);
    const claims = await claimPushes(database, claiming(10));
    assert.deepEqual(claims.map(({ alertId }) => alertId).sort(), [100_001, 100_003]);
    assert.deepEqual(await claimPushes(database, claiming(10)), []);
    // A device's wait likewise.
    await sql(`UPDATE devices SET waits_until = now() + interval '1 hour'`);
    await changes(store, 1, 1, LEVEL.ERROR);
    await planPushes(database, ['u1'], OPTIONS);
    assert.deepEqual(
      (await claimPushes(database, claiming(10))).map(({ alertId }) => alertId),
      [100_004],
    );
  });
});
