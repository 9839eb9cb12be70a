import { levelOfRank, levelRank, type AlertKind, type AlertLevel } from '../domain/alert.js';
import type { Database, Queryable, Row } from '../lib/postgres.js';
import { platformOfRank, type DevicePlatform } from './devices.js';

/*
 * A push delivery is one alert for one device: `waiting` until it is due, `sending` from its first claim, `sent` when FCM has
 * accepted it, `dismissed` when the device was told that it is read or deleted. It ends early as `skipped` (read, deleted,
 * or its device gone before it was sent), `expired` or `failed`. Who claims one has it until the claim ends; if its process
 * dies, somebody claims it again.
 */

export type PushState = 'waiting' | 'sending' | 'sent' | 'dismissed' | 'skipped' | 'expired' | 'failed';

export interface PlanOptions {
  /** How long a push waits while its user holds a stream, in milliseconds, if it is less urgent than an ERROR. */
  readonly graceMs: number;
  /** How old an alert of each level may become before it is not pushed any more, in milliseconds, INFO first. */
  readonly ttlMs: readonly number[];
}

/** Changes of one user that one statement plans for. */
const CHANGES = 1000;

const PLAN = `
  WITH cursors AS (
    SELECT c.user_id, c.seq, i.last_seq,
           EXISTS (
             SELECT 1 FROM stream_presence p JOIN gateway_leases l USING (gateway)
             WHERE p.user_id = c.user_id AND l.expires_at > now()
           ) AS streaming
    FROM push_cursors c JOIN inboxes i USING (user_id) WHERE c.user_id = ANY($1::text[]) AND i.last_seq > c.seq
  ), changed AS (
    SELECT c.user_id, c.seq AS cursor, c.streaming, s.alert_id, s.seq, s.created_seq,
           s.is_read OR s.deleted_at IS NOT NULL AS gone
    FROM cursors c CROSS JOIN LATERAL (
      SELECT * FROM alert_statuses s WHERE s.user_id = c.user_id AND s.seq > c.seq ORDER BY s.seq LIMIT ${CHANGES}
    ) s
  ), planned AS (
    INSERT INTO push_deliveries (device_id, alert_id, user_id, state, due_at, created_at, expires_at)
    SELECT d.device_id, c.alert_id, c.user_id, 'waiting',
           now() + CASE WHEN c.streaming AND a.level < ${levelRank('ERROR')} THEN $2 ELSE 0 END * interval '1 ms', now(),
           a.created_at + ($3::float8[])[a.level] * interval '1 ms'
    FROM changed c JOIN devices d USING (user_id) JOIN alerts a USING (alert_id)
    WHERE NOT c.gone AND c.created_seq > c.cursor AND a.created_at + ($3::float8[])[a.level] * interval '1 ms' > now()
    ON CONFLICT DO NOTHING
    RETURNING 1
  ), dismissed AS (
    UPDATE push_deliveries p SET
      dismiss = true,
      state = CASE p.state WHEN 'waiting' THEN 'skipped' ELSE p.state END,
      error = CASE p.state WHEN 'waiting' THEN 'read or deleted before it was due' ELSE p.error END,
      due_at = CASE p.state WHEN 'sent' THEN now() WHEN 'sending' THEN p.due_at END
    FROM changed c JOIN devices d USING (user_id)
    WHERE c.gone AND p.device_id = d.device_id AND p.alert_id = c.alert_id AND NOT p.dismiss
      AND p.state IN ('waiting', 'sending', 'sent')
    RETURNING 1
  ), pages AS (
    SELECT user_id, max(seq) AS last, count(*) AS changes FROM changed GROUP BY user_id
  ), moved AS (
    -- Numbers behind which nothing is left were superseded by later ones.
    UPDATE push_cursors c SET seq = CASE WHEN COALESCE(p.changes, 0) < ${CHANGES} THEN n.last_seq ELSE p.last END
    FROM cursors n LEFT JOIN pages p USING (user_id) WHERE c.user_id = n.user_id
  )
  SELECT (SELECT count(*) FROM planned) AS planned, (SELECT count(*) FROM dismissed) AS dismissed,
         (SELECT COALESCE(array_agg(user_id), '{}') FROM pages WHERE changes = ${CHANGES}) AS unfinished`;

/**
 * Plans the pushes of what has changed in these users' inboxes since the last time, and the dismissals of what was read or
 * deleted. Users without devices cost a look-up. Again it has no effect.
 */
export async function planPushes(
  database: Database,
  userIds: readonly string[],
  { graceMs, ttlMs }: PlanOptions,
): Promise<{ planned: number; dismissed: number }> {
  const total = { planned: 0, dismissed: 0 };
  for (let users = userIds; users.length > 0;) {
    const { planned, dismissed, unfinished } = await database.transaction(async (connection) => {
      // The lock comes first, in a statement of its own: the next one's snapshot then sees what the last holder planned.
      const { rows: owners } = await connection.query<{ user_id: string }>(
        'SELECT user_id FROM push_cursors WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR UPDATE',
        [users],
      );
      if (owners.length === 0) return { planned: 0, dismissed: 0, unfinished: [] };
      const { rows } = await connection.query<{ planned: number; dismissed: number; unfinished: string[] }>(PLAN, [
        owners.map(({ user_id }) => user_id),
        graceMs,
        ttlMs,
      ]);
      return rows[0]!;
    });
    total.planned += planned;
    total.dismissed += dismissed;
    users = unfinished;
  }
  return total;
}

/** Users with devices whose inbox is ahead of what was planned, in user_id order. */
export async function usersAhead(database: Queryable, after: string, limit: number): Promise<string[]> {
  const { rows } = await database.query<{ user_id: string }>({
    text: `
      SELECT c.user_id FROM push_cursors c JOIN inboxes i USING (user_id)
      WHERE c.user_id > $1 AND i.last_seq > c.seq AND EXISTS (SELECT 1 FROM devices d WHERE d.user_id = c.user_id)
      ORDER BY c.user_id LIMIT $2`,
    values: [after, limit],
  });
  return rows.map(({ user_id }) => user_id);
}

/** What is due, claimed, with everything that the message is made of. */
export interface ClaimedPush {
  readonly deviceId: number;
  readonly alertId: number;
  readonly userId: string;
  /** Claims so far, this one included. */
  readonly attempts: number;
  readonly dismiss: boolean;
  /** Milliseconds since 1970, by PostgreSQL's clock; `now` is when it was claimed. */
  readonly expiresAt: number;
  readonly now: number;
  /** Null: it is not there any more. */
  readonly device: { readonly token: string; readonly platform: DevicePlatform } | null;
  readonly alert: PushedAlert | null;
  /** Null: it is not in the inbox (any more). */
  readonly entry: { readonly sequence: number; readonly isRead: boolean; readonly isDeleted: boolean } | null;
  readonly unreadCount: number;
}

export interface PushedAlert {
  readonly kind: AlertKind;
  readonly level: AlertLevel;
  readonly appName: string;
  readonly title: string;
  /** As much of it as a push could ever hold. */
  readonly message: string;
  readonly createdAt: number;
  readonly traceparent: string | null;
}

interface ClaimedRow extends Row {
  device_id: number;
  alert_id: number;
  user_id: string;
  attempts: number;
  dismiss: boolean;
  expires_at: number;
  now: number;
  token: string | null;
  platform: number | null;
  kind: AlertKind | null;
  level: number;
  app_name: string;
  title: string;
  message: string;
  created_at: number;
  traceparent: string | null;
  seq: number | null;
  is_read: boolean;
  is_deleted: boolean;
  unread_count: number | null;
}

/**
 * Claims up to `limit` deliveries that are due, the ones due for longest first. Several processes never claim the same.
 * @param claimMs how long they are the caller's
 */
export async function claimPushes(database: Queryable, limit: number, claimMs: number): Promise<ClaimedPush[]> {
  const { rows } = await database.query<ClaimedRow>({
    name: 'claim-pushes',
    text: `
      WITH due AS (
        SELECT device_id, alert_id FROM push_deliveries WHERE due_at <= now() ORDER BY due_at LIMIT $1
        FOR UPDATE SKIP LOCKED
      ), claimed AS (
        UPDATE push_deliveries p SET
          due_at = now() + $2 * interval '1 ms', attempts = p.attempts + 1,
          state = CASE p.state WHEN 'waiting' THEN 'sending' ELSE p.state END
        FROM due WHERE p.device_id = due.device_id AND p.alert_id = due.alert_id
        RETURNING p.device_id, p.alert_id, p.user_id, p.attempts, p.dismiss, p.expires_at
      )
      SELECT c.*, now() AS now, d.token, d.platform, a.kind, a.level, a.app_name, a.title, left(a.message, 4096) AS message,
             a.created_at, a.traceparent, s.seq, s.is_read, s.deleted_at IS NOT NULL AS is_deleted, i.unread_count
      FROM claimed c
      LEFT JOIN devices d ON d.device_id = c.device_id AND d.user_id = c.user_id
      LEFT JOIN alerts a ON a.alert_id = c.alert_id
      LEFT JOIN alert_statuses s ON s.user_id = c.user_id AND s.alert_id = c.alert_id
      LEFT JOIN inboxes i ON i.user_id = c.user_id`,
    values: [limit, claimMs],
  });
  return rows.map(toClaimed);
}

function toClaimed(row: ClaimedRow): ClaimedPush {
  return {
    deviceId: row.device_id,
    alertId: row.alert_id,
    userId: row.user_id,
    attempts: row.attempts,
    dismiss: row.dismiss,
    expiresAt: row.expires_at,
    now: row.now,
    device: row.token === null ? null : { token: row.token, platform: platformOfRank(row.platform!) },
    alert:
      row.kind === null
        ? null
        : {
            kind: row.kind,
            level: levelOfRank(row.level),
            appName: row.app_name,
            title: row.title,
            message: row.message,
            createdAt: row.created_at,
            traceparent: row.traceparent,
          },
    entry: row.seq === null ? null : { sequence: row.seq, isRead: row.is_read, isDeleted: row.is_deleted },
    unreadCount: row.unread_count ?? 0,
  };
}

/** What became of a claim. */
export interface PushOutcome {
  readonly deviceId: number;
  readonly alertId: number;
  /** Waiting: it was not accepted and is to be tried again. Null: the same, but nobody knows whether it was accepted. */
  readonly state: PushState | null;
  /** With these two: milliseconds until the next try. */
  readonly retryInMs?: number;
  /** Whether this claim counts as an attempt; one that an outage ended does not. */
  readonly counts?: boolean;
  readonly messageName?: string;
  readonly error?: string;
}

/**
 * Stores what became of claims. A push that was accepted although its alert was read meanwhile is due again at once, to be
 * dismissed.
 */
export async function finishPushes(database: Queryable, outcomes: readonly PushOutcome[]): Promise<void> {
  await database.query({
    name: 'finish-pushes',
    text: `
      UPDATE push_deliveries p SET
        state = CASE WHEN o.state = 'waiting' AND p.dismiss THEN 'skipped' ELSE COALESCE(o.state, p.state) END,
        due_at = CASE
          WHEN o.state IS NULL OR o.state = 'waiting' AND NOT p.dismiss THEN now() + o.retry_in * interval '1 ms'
          WHEN o.state = 'sent' AND p.dismiss THEN now()
        END,
        attempts = p.attempts - CASE WHEN o.counts THEN 0 ELSE 1 END,
        sent_at = CASE WHEN o.state = 'sent' THEN now() ELSE p.sent_at END,
        message_name = COALESCE(o.message_name, p.message_name),
        error = o.error
      FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[], $5::boolean[], $6::text[], $7::text[])
        AS o(device_id, alert_id, state, retry_in, counts, message_name, error)
      WHERE p.device_id = o.device_id AND p.alert_id = o.alert_id`,
    values: [
      outcomes.map(({ deviceId }) => deviceId),
      outcomes.map(({ alertId }) => alertId),
      outcomes.map(({ state }) => state),
      outcomes.map(({ retryInMs }) => retryInMs ?? 0),
      outcomes.map(({ counts }) => counts ?? true),
      outcomes.map(({ messageName }) => messageName ?? null),
      outcomes.map(({ error }) => error ?? null),
    ],
  });
}

/**
 * For each of these devices the lowest alert that it still shows, as far as we know: sent, and neither read nor deleted. A
 * device that shows none is left out.
 */
export async function firstShown(database: Queryable, deviceIds: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await database.query<{ device_id: number; alert_id: number }>({
    text: `
      SELECT device_id, min(alert_id) AS alert_id FROM push_deliveries
      WHERE device_id = ANY($1::bigint[]) AND NOT dismiss AND state IN ('waiting', 'sending', 'sent') GROUP BY device_id`,
    values: [deviceIds],
  });
  return new Map(rows.map(({ device_id, alert_id }) => [device_id, alert_id]));
}

/** Has failed pushes of these alerts to this user tried again. @returns how many */
export async function retryFailedPushes(
  database: Queryable,
  userId: string,
  alertIds: readonly number[],
): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      UPDATE push_deliveries SET state = 'waiting', due_at = now(), attempts = 0
      WHERE alert_id = ANY($2::bigint[]) AND user_id = $1 AND state = 'failed' AND NOT dismiss`,
    values: [userId, alertIds],
  });
  return rowCount ?? 0;
}

/** How many deliveries are due, and for how long the oldest has been, in milliseconds. */
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
  readonly messageName: string;
  readonly error: string;
}

/** What became of the pushes of one alert: how many are in each state, and some of them, those that went wrong first. */
export async function pushesOf(
  database: Queryable,
  alertId: number,
  limit: number,
): Promise<{ counts: Map<PushState, number>; records: PushRecord[] }> {
  const [counts, records] = await Promise.all([
    database.query<{ state: PushState; count: number }>({
      text: 'SELECT state, count(*) AS count FROM push_deliveries WHERE alert_id = $1 GROUP BY state',
      values: [alertId],
    }),
    database.query<{
      user_id: string;
      device_id: number;
      state: PushState;
      attempts: number;
      sent_at: number | null;
      message_name: string | null;
      error: string | null;
    }>({
      text: `
        SELECT user_id, device_id, state, attempts, sent_at, message_name, error FROM push_deliveries WHERE alert_id = $1
        ORDER BY array_position(ARRAY['failed', 'sending', 'expired', 'waiting', 'skipped', 'sent', 'dismissed'], state), user_id,
                 device_id
        LIMIT $2`,
      values: [alertId, limit],
    }),
  ]);
  return {
    counts: new Map(counts.rows.map(({ state, count }) => [state, count])),
    records: records.rows.map((row) => ({
      userId: row.user_id,
      deviceId: row.device_id,
      state: row.state,
      attempts: row.attempts,
      sentAt: row.sent_at,
      messageName: row.message_name ?? '',
      error: row.error ?? '',
    })),
  };
}
