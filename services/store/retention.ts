import type { Database, Queryable } from '../lib/postgres.js';

/*
 * The horizon is `days` before now, by PostgreSQL's clock. Alerts behind it are closed first: from then on nothing delivers
 * them. Entries of inboxes go when their last change lies behind it, oldest number first, so that what is left of an
 * inbox is all that came after `pruned_seq`. An alert goes a day after it was closed, when no inbox has it any more.
 */

/** Alerts that one statement looks at. */
const CLOSE_PAGE = 10_000;

/** Closes the alerts behind the horizon. */
export async function closeAlerts(database: Queryable, days: number): Promise<void> {
  for (let closed = CLOSE_PAGE; closed === CLOSE_PAGE;) {
    const { rows } = await database.query<{ closed: number }>({
      text: `
        WITH page AS (
          SELECT alert_id, bool_and(created_at < now() - $1 * interval '1 day') OVER (ORDER BY alert_id) AS old
          FROM (
            SELECT alert_id, created_at FROM alerts WHERE alert_id > (SELECT closed_to FROM service_state)
            ORDER BY alert_id LIMIT ${CLOSE_PAGE}
          ) oldest
        ), closing AS (SELECT max(alert_id) AS last, count(*) AS closed FROM page WHERE old)
        UPDATE service_state SET closed_to = closing.last FROM closing WHERE closing.last IS NOT NULL
        RETURNING closing.closed`,
      values: [days],
    });
    closed = rows[0]?.closed ?? 0;
  }
}

export interface InboxPage {
  /** Users whose oldest entry lies behind the horizon. */
  readonly expired: readonly string[];
  /** The lowest alert id in these inboxes; null: they are empty. */
  readonly firstAlert: number | null;
  /** The last user of the page; undefined: there are no more. */
  readonly last: string | undefined;
}

/** A page of inboxes in user_id order. */
export async function inboxPage(database: Queryable, days: number, after: string, limit: number): Promise<InboxPage> {
  const { rows } = await database.query<{ user_id: string; expired: boolean | null; first_alert: number | null }>({
    text: `
      SELECT i.user_id, oldest.changed_at < now() - $1 * interval '1 day' AS expired, first.alert_id AS first_alert
      FROM inboxes i
      LEFT JOIN LATERAL (
        SELECT COALESCE(s.changed_at, s.created_at) AS changed_at FROM alert_statuses s
        WHERE s.user_id = i.user_id ORDER BY s.seq LIMIT 1
      ) oldest ON true
      LEFT JOIN LATERAL (
        SELECT s.alert_id FROM alert_statuses s WHERE s.user_id = i.user_id ORDER BY s.alert_id LIMIT 1
      ) first ON true
      WHERE i.user_id > $2 ORDER BY i.user_id LIMIT $3`,
    values: [days, after, limit],
  });
  const firstAlerts = rows.flatMap(({ first_alert }) => (first_alert === null ? [] : [first_alert]));
  return {
    expired: rows.filter(({ expired }) => expired === true).map(({ user_id }) => user_id),
    firstAlert: firstAlerts.length === 0 ? null : Math.min(...firstAlerts),
    last: rows.length < limit ? undefined : rows.at(-1)!.user_id,
  };
}

/**
 * Removes the entries of one inbox that lie behind the horizon, up to the first that does not.
 * @param limit at most so many
 * @returns how many were removed
 */
export async function pruneInbox(database: Database, days: number, userId: string, limit: number): Promise<number> {
  return database.transaction(async (connection) => {
    // The lock comes first, in a statement of its own: the next one's snapshot then sees every change made so far.
    await connection.query('SELECT 1 FROM inboxes WHERE user_id = $1 FOR UPDATE', [userId]);
    const { rows } = await connection.query<{ removed: number }>(
      `
      WITH oldest AS (
        SELECT seq, bool_and(changed_at < now() - $2 * interval '1 day') OVER (ORDER BY seq) AS old
        FROM (
          SELECT seq, COALESCE(changed_at, created_at) AS changed_at FROM alert_statuses
          WHERE user_id = $1 ORDER BY seq LIMIT $3
        ) s
      ), removed AS (
        DELETE FROM alert_statuses WHERE user_id = $1 AND seq <= (SELECT max(seq) FROM oldest WHERE old)
        RETURNING seq, (deleted_at IS NULL AND NOT is_read)::int AS unread
      ), total AS (SELECT max(seq) AS last, count(*) AS removed, sum(unread) AS unread FROM removed)
      UPDATE inboxes i SET pruned_seq = total.last, unread_count = i.unread_count - total.unread
      FROM total WHERE i.user_id = $1 AND total.last IS NOT NULL
      RETURNING total.removed`,
      [userId, days, limit],
    );
    return rows[0]?.removed ?? 0;
  });
}

/**
 * Removes alerts that were closed at least a day ago: until then a delivery that began before may still be under way.
 * @param before only those with lower ids; null: whatever the id
 * @param limit at most so many
 * @returns how many were removed
 */
export async function removeAlerts(
  database: Queryable,
  days: number,
  before: number | null,
  limit: number,
): Promise<number> {
  const { rows } = await database.query<{ removed: number }>({
    text: `
      WITH removed AS (
        DELETE FROM alerts WHERE alert_id IN (
          SELECT a.alert_id FROM alerts a
          WHERE a.alert_id <= (SELECT closed_to FROM service_state) AND ($2::bigint IS NULL OR a.alert_id < $2)
            AND a.created_at < now() - ($1 + 1) * interval '1 day'
            AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id = a.alert_id)
          ORDER BY a.alert_id LIMIT $3
        ) RETURNING alert_id
      ), recipients AS (
        DELETE FROM alert_recipients WHERE alert_id IN (SELECT alert_id FROM removed)
      ), progress AS (
        DELETE FROM alert_progress WHERE alert_id IN (SELECT alert_id FROM removed)
      )
      SELECT count(*) AS removed FROM removed`,
    values: [days, before, limit],
  });
  return rows[0]!.removed;
}
