import type { Queryable } from '../lib/postgres.js';
import { greatest, least } from './arrivals.js';
import type { PushState } from './pushes.js';

/** Has failed pushes of these alerts to this user tried again. @returns how many */
export async function retryFailedPushes(
  database: Queryable,
  userId: string,
  alertIds: readonly number[],
): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      UPDATE push_deliveries SET state = 'waiting', due_at = now(), attempts = 0, strikes = 0
      WHERE alert_id = ANY($2::bigint[]) AND user_id = $1 AND state = 'failed' AND NOT dismiss`,
    values: [userId, alertIds],
  });
  return rowCount ?? 0;
}

/** How many deliveries are due (counted up to 100,000), and for how long the oldest has been, in milliseconds. */
export async function pushBacklog(database: Queryable): Promise<{ due: number; oldestMs: number }> {
  const { rows } = await database.query<{ due: number; oldest: number }>({
    text: `
      SELECT count(*) AS due, COALESCE(EXTRACT(epoch FROM now() - min(due_at)) * 1000, 0)::float8 AS oldest
      FROM (SELECT due_at FROM push_deliveries WHERE due_at <= now() ORDER BY due_at LIMIT 100000) d`,
  });
  return { due: rows[0]!.due, oldestMs: rows[0]!.oldest };
}

export interface PushRecord {
  readonly userId: string;
  readonly deviceId: number;
  readonly state: PushState;
  readonly attempts: number;
  readonly sentAt: number | null;
  /** When something is to be done; null: nothing. While somebody is at it, when its claim ends. */
  readonly dueAt: number | null;
  readonly messageName: string;
  readonly error: string;
}

export interface Pushes {
  readonly counts: ReadonlyMap<PushState, number>;
  readonly firstSentAt: number | null;
  readonly lastSentAt: number | null;
  readonly records: readonly PushRecord[];
}

/**
 * What became of the pushes of one alert: how many are in each state, when FCM accepted them, and some of them, those
 * that went wrong first.
 */
export async function pushesOf(database: Queryable, alertId: number, limit: number): Promise<Pushes> {
  const [counts, records] = await Promise.all([
    database.query<{ state: PushState; count: number; first_sent_at: number | null; last_sent_at: number | null }>({
      text: `SELECT state, count(*) AS count, min(sent_at) AS first_sent_at, max(sent_at) AS last_sent_at
             FROM push_deliveries WHERE alert_id = $1 GROUP BY state`,
      values: [alertId],
    }),
    database.query<{
      user_id: string;
      device_id: number;
      state: PushState;
      attempts: number;
      sent_at: number | null;
      due_at: number | null;
      message_name: string | null;
      error: string | null;
    }>({
      text: `
        SELECT user_id, device_id, state, attempts, sent_at, due_at, message_name, error FROM push_deliveries WHERE alert_id = $1
        ORDER BY array_position(ARRAY['failed', 'sending', 'expired', 'waiting', 'skipped', 'sent', 'dismissed'], state), user_id,
                 device_id
        LIMIT $2`,
      values: [alertId, limit],
    }),
  ]);
  return {
    counts: new Map(counts.rows.map(({ state, count }) => [state, count])),
    firstSentAt: least(counts.rows.map((row) => row.first_sent_at)),
    lastSentAt: greatest(counts.rows.map((row) => row.last_sent_at)),
    records: records.rows.map((row) => ({
      userId: row.user_id,
      deviceId: row.device_id,
      state: row.state,
      attempts: row.attempts,
      sentAt: row.sent_at,
      dueAt: row.due_at,
      messageName: row.message_name ?? '',
      error: row.error ?? '',
    })),
  };
}
