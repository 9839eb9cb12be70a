import { levelRank } from '../domain/alert.js';
import type { Database, Queryable } from '../lib/postgres.js';
import { LEASE_MAX } from './presence.js';
import { horizonMs } from './pushes.js';

/*
 * Planning: what is to be pushed follows from the inbox alone. Behind a user's cursor lies what was planned for
 * already.
 */

export interface PlanOptions {
  /** How long a push waits while its user holds a stream, in milliseconds, if it is less urgent than an ERROR. */
  readonly graceMs: number;
  /** How old an alert of each level may become before it is not pushed any more, in milliseconds, INFO first. */
  readonly ttlMs: readonly number[];
}

/*
 * What one statement plans is bounded, whatever has piled up: users, changes of each, and rows of each, which are
 * changes times devices.
 */
const USERS = 250;
const CHANGES = 200;
const ROWS = 2000;

/** Pushes that may wait for one device. Of more below CRITICAL it is told nothing: the app lists the inbox anyway. */
const WAITING_MAX = 1000;

// `OFFSET 0` keeps a table from being read from end to end by a plan that was made while it was small.
const PLAN = `
  WITH cursors AS (
    SELECT c.user_id, c.seq, i.last_seq,
           GREATEST(1, LEAST(${CHANGES}, ${ROWS} / (SELECT count(*) + 1 FROM devices d WHERE d.user_id = c.user_id))) AS page,
           EXISTS (
             SELECT 1 FROM stream_presence p JOIN gateway_leases l USING (gateway)
             WHERE p.user_id = c.user_id AND l.expires_at > now() AND l.expires_at < now() + ${LEASE_MAX}
           ) AS streaming
    FROM push_cursors c JOIN inboxes i USING (user_id) WHERE c.user_id = ANY($1::text[]) AND i.last_seq > c.seq
  ), changed AS (
    SELECT c.user_id, c.seq AS cursor, c.streaming, c.page, s.alert_id, s.seq, s.created_seq,
           s.created_at, s.is_read OR s.deleted_at IS NOT NULL AS gone
    FROM cursors c CROSS JOIN LATERAL (
      SELECT * FROM alert_statuses s WHERE s.user_id = c.user_id AND s.seq > c.seq ORDER BY s.seq LIMIT c.page
    ) s
  ), targets AS (
    SELECT d.device_id, d.user_id,
           -- A wait that is longer than any was dated by a wrong clock.
           CASE WHEN d.waits_until < now() + $4 * interval '1 ms' THEN d.waits_until END AS waits_until,
           (SELECT count(*) FROM (
              SELECT 1 FROM push_deliveries w WHERE w.device_id = d.device_id AND w.state = 'waiting' LIMIT ${WAITING_MAX}
            ) w) >= ${WAITING_MAX} AS crowded
    FROM cursors c JOIN devices d USING (user_id)
  ), planned AS (
    INSERT INTO push_deliveries (device_id, alert_id, user_id, level, state, error, due_at, planned_for, created_at, expires_at)
    SELECT d.device_id, c.alert_id, c.user_id, a.level,
           CASE WHEN s.skipped THEN 'skipped' ELSE 'waiting' END,
           CASE WHEN s.skipped THEN '${WAITING_MAX} pushes wait for this device' END,
           CASE WHEN NOT s.skipped THEN GREATEST(now() + g.grace, d.waits_until) END,
           c.created_at + g.grace, now(), a.created_at + ($3::float8[])[a.level] * interval '1 ms'
    FROM changed c
    JOIN targets d USING (user_id)
    CROSS JOIN LATERAL (SELECT a.level, a.created_at FROM alerts a WHERE a.alert_id = c.alert_id OFFSET 0) a
    CROSS JOIN LATERAL (
      SELECT CASE WHEN c.streaming AND a.level < ${levelRank('ERROR')} THEN $2 ELSE 0 END * interval '1 ms' AS grace
    ) g
    CROSS JOIN LATERAL (SELECT d.crowded AND a.level < ${levelRank('CRITICAL')} AS skipped) s
    WHERE NOT c.gone AND c.created_seq > c.cursor AND a.created_at + ($3::float8[])[a.level] * interval '1 ms' > now()
    ON CONFLICT DO NOTHING
    RETURNING state
  ), dismissed AS (
    UPDATE push_deliveries p SET
      dismiss = true,
      level = CASE p.state WHEN 'sent' THEN 0 ELSE p.level END,
      state = CASE p.state WHEN 'waiting' THEN 'skipped' ELSE p.state END,
      error = CASE p.state WHEN 'waiting' THEN 'read or deleted before it was due' ELSE p.error END,
      due_at = CASE p.state WHEN 'sent' THEN now() WHEN 'sending' THEN p.due_at END
    FROM changed c JOIN devices d USING (user_id)
    WHERE c.gone AND p.device_id = d.device_id AND p.alert_id = c.alert_id AND NOT p.dismiss
      AND p.state IN ('waiting', 'sending', 'sent')
    RETURNING 1
  ), pages AS (
    SELECT user_id, max(seq) AS last, count(*) = max(page) AS is_full FROM changed GROUP BY user_id
  ), moved AS (
    -- Numbers behind which nothing is left were superseded by later ones.
    UPDATE push_cursors c SET seq = CASE WHEN p.is_full THEN p.last ELSE n.last_seq END
    FROM cursors n LEFT JOIN pages p USING (user_id) WHERE c.user_id = n.user_id
  )
  SELECT (SELECT count(*) FROM planned WHERE state = 'waiting') AS planned,
         (SELECT count(*) FROM planned WHERE state = 'skipped') AS crowded, (SELECT count(*) FROM dismissed) AS dismissed,
         (SELECT COALESCE(array_agg(user_id), '{}') FROM pages WHERE is_full) AS unfinished`;

export interface Planned {
  readonly planned: number;
  readonly dismissed: number;
  /** Left out, as too many wait for their devices. */
  readonly crowded: number;
  /** Users of whom more is to be planned: whoever calls lets others have their turn first. */
  readonly unfinished: readonly string[];
}

/**
 * Plans the pushes of what has changed in these users' inboxes since the last time, and the dismissals of what was read
 * or deleted: a page of each user. Users without devices cost a look-up. Again it has no effect.
 */
export async function planPushes(
  database: Database,
  userIds: readonly string[],
  options: PlanOptions,
): Promise<Planned> {
  const total = { planned: 0, dismissed: 0, crowded: 0, unfinished: [] as string[] };
  for (let from = 0; from < userIds.length; from += USERS) {
    const page = await planPage(database, userIds.slice(from, from + USERS), options);
    total.planned += page.planned;
    total.dismissed += page.dismissed;
    total.crowded += page.crowded;
    total.unfinished.push(...page.unfinished);
  }
  return total;
}

async function planPage(
  database: Database,
  users: readonly string[],
  { graceMs, ttlMs }: PlanOptions,
): Promise<Planned> {
  return database.transaction(async (connection) => {
    // The lock comes first, in a statement of its own: the next one's snapshot then sees what the last holder planned.
    const { rows: owners } = await connection.query<{ user_id: string }>(
      `SELECT user_id FROM push_cursors c
       WHERE user_id = ANY($1::text[]) AND EXISTS (SELECT 1 FROM devices d WHERE d.user_id = c.user_id)
       ORDER BY user_id FOR UPDATE`,
      [users],
    );
    if (owners.length === 0) return { planned: 0, dismissed: 0, crowded: 0, unfinished: [] };
    const { rows } = await connection.query<{
      planned: number;
      dismissed: number;
      crowded: number;
      unfinished: string[];
    }>(PLAN, [owners.map(({ user_id }) => user_id), graceMs, ttlMs, horizonMs(graceMs)]);
    return rows[0]!;
  });
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
