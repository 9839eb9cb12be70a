import type { Queryable } from '../lib/postgres.js';
import { PUSH_WAIT_MAX_MS } from './pushes.js';

/*
 * Devices that FCM refuses. Such a device waits, and what is planned for it waits with it; others are served meanwhile.
 */

export interface DeviceRefusal {
  readonly deviceId: number;
  readonly waitMs: number;
  /** How often it has been refused, as of now; each message that FCM takes counts one off. */
  readonly refusals: number;
  /**
   * How often since FCM took a message for it, and how often of these by its own fault: others of its platform were
   * served.
   */
  readonly inRow: number;
  readonly ownInRow: number;
  /** Whether this one was by its own fault; null: not known. */
  readonly ownFault: boolean | null;
}

/**
 * So many refusals in a row, and nothing is expected of a device any more: its pushes make no dead letters, and it may
 * go.
 */
export const HOPELESS = 10;

/** What is moved to the end of a device's wait by one statement; what is left comes with its next refusal. */
const PARKED = 5000;

/**
 * Has devices wait, and their pushes that were not tried yet with them. `refused_since` is when the first of its
 * refusals in a row by its own fault was stored.
 */
export async function refuseDevices(database: Queryable, refusals: readonly DeviceRefusal[]): Promise<void> {
  await database.query({
    name: 'refuse-devices',
    text: `
      WITH refused AS (
        UPDATE devices d SET
          refusals = r.refusals,
          refusals_in_row = r.in_row,
          own_refusals_in_row = r.own_in_row,
          refused_since = CASE WHEN r.own_in_row > 0 THEN LEAST(CASE WHEN r.own_in_row > 1 THEN d.refused_since END, now()) END,
          waits_until = now() + r.wait * interval '1 ms'
        FROM unnest($1::bigint[], $2::float8[], $3::int[], $4::int[], $5::int[]) AS r(device_id, wait, refusals, in_row, own_in_row)
        WHERE d.device_id = r.device_id
        RETURNING d.device_id, d.waits_until
      )
      UPDATE push_deliveries p SET due_at = r.waits_until
      FROM refused r CROSS JOIN LATERAL (
        SELECT ctid FROM push_deliveries w
        WHERE w.device_id = r.device_id AND w.state = 'waiting' AND w.due_at < r.waits_until
        LIMIT ${PARKED} FOR UPDATE SKIP LOCKED
      ) w
      WHERE p.ctid = w.ctid`,
    values: [
      refusals.map(({ deviceId }) => deviceId),
      refusals.map(({ waitMs }) => Math.min(waitMs, PUSH_WAIT_MAX_MS)),
      refusals.map((refusal) => refusal.refusals),
      refusals.map(({ inRow }) => inRow),
      refusals.map(({ ownInRow }) => ownInRow),
    ],
  });
}

/** Devices that were refused and have been served: @param served with what is left of their refusals */
export async function relieveDevices(
  database: Queryable,
  served: readonly { deviceId: number; refusals: number }[],
): Promise<void> {
  await database.query({
    name: 'relieve-devices',
    text: `
      UPDATE devices d SET
        refusals = s.refusals, refusals_in_row = 0, own_refusals_in_row = 0, refused_since = NULL, waits_until = NULL
      FROM unnest($1::bigint[], $2::int[]) AS s(device_id, refusals) WHERE d.device_id = s.device_id`,
    values: [served.map(({ deviceId }) => deviceId), served.map(({ refusals }) => refusals)],
  });
}

/**
 * Removes those of these devices that have been refused in a row by their own fault for longer than `afterMs`, and
 * HOPELESS times at least, whatever a clock says; what waits for them ends.
 */
export async function removeHopelessDevices(
  database: Queryable,
  deviceIds: readonly number[],
  afterMs: number,
): Promise<{ deviceId: number; userId: string; refusals: number }[]> {
  const { rows } = await database.query<{ device_id: number; user_id: string; refusals: number }>({
    name: 'remove-hopeless-devices',
    text: `
      WITH gone AS (
        DELETE FROM devices
        WHERE device_id = ANY($1::bigint[]) AND own_refusals_in_row >= ${HOPELESS} AND refused_since < now() - $2 * interval '1 ms'
        RETURNING device_id, user_id, own_refusals_in_row AS refusals
      ), ended AS (
        UPDATE push_deliveries p SET due_at = now()
        FROM gone g CROSS JOIN LATERAL (
          SELECT ctid FROM push_deliveries w WHERE w.device_id = g.device_id AND w.state = 'waiting' FOR UPDATE SKIP LOCKED
        ) w
        WHERE p.ctid = w.ctid
      )
      SELECT * FROM gone`,
    values: [deviceIds, afterMs],
  });
  return rows.map(({ device_id, user_id, refusals }) => ({ deviceId: device_id, userId: user_id, refusals }));
}
