import type { Database, Queryable } from '../lib/postgres.js';

/*
 * The horizon is `days` before now, by PostgreSQL's clock. Alerts behind it are closed first: from then on nothing delivers
 * them. Entries of closed alerts leave the inboxes when their last change lies behind the horizon too, oldest number first, so
 * that what is left of an inbox is all that came after `pruned_seq`. A closed alert that no inbox has goes in the next run.
 */

/** Alerts that one statement looks at. */
const CLOSE_PAGE = 10_000;

/**
 * Begins a run, unless there was one in the last 50 minutes, whichever instance did it.
 * @returns up to which alert all were closed before it; nothing delivers those any more, and nothing is about to
 */
export async function beginRetention(database: Queryable): Promise<number | undefined> {
  const { rows } = await database.query<{ closed_to: number }>({
    text: `
      UPDATE service_state SET retention_at = now() WHERE retention_at < now() - interval '50 minutes'
      RETURNING closed_to`,
  });
  return rows[0]?.closed_to;
}

/** Closes a page of the alerts behind the horizon. @returns whether there may be more */
export async function closeAlerts(database: Queryable, days: number): Promise<boolean> {
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
  return rows[0]?.closed === CLOSE_PAGE;
}

/** A page of users in user_id order, with those whose oldest entry lies behind the horizon. */
export async function inboxPage(
  database: Queryable,
  days: number,
  after: string,
  limit: number,
): Promise<{ users: string[]; expired: string[] }> {
  const { rows } = await database.query<{ user_id: string; expired: boolean | null }>({
    text: `
      SELECT i.user_id, oldest.changed_at < now() - $1 * interval '1 day' AS expired
      FROM inboxes i
      LEFT JOIN LATERAL (
        SELECT s.changed_at FROM alert_statuses s WHERE s.user_id = i.user_id ORDER BY s.seq LIMIT 1
      ) oldest ON true
      WHERE i.user_id > $2 ORDER BY i.user_id LIMIT $3`,
    values: [days, after, limit],
  });
  return {
    users: rows.map(({ user_id }) => user_id),
    expired: rows.filter(({ expired }) => expired === true).map(({ user_id }) => user_id),
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
        SELECT seq, bool_and(changed_at < now() - $2 * interval '1 day' AND alert_id <= closed_to) OVER (ORDER BY seq) AS old
        FROM (
          SELECT seq, changed_at, alert_id FROM alert_statuses WHERE user_id = $1 ORDER BY seq LIMIT $3
        ) s, service_state
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

/** The alerts up to `closedTo` that these users still have in their inboxes. */
export async function closedAlertsOf(
  database: Queryable,
  userIds: readonly string[],
  closedTo: number,
): Promise<number[]> {
  const { rows } = await database.query<{ alert_id: number }>({
    text: 'SELECT DISTINCT alert_id FROM alert_statuses WHERE user_id = ANY($1::text[]) AND alert_id <= $2',
    values: [userIds, closedTo],
  });
  return rows.map(({ alert_id }) => alert_id);
}

/** A page of the alerts up to `closedTo` that are out of the outbox, by id. */
export async function closedAlerts(
  database: Queryable,
  closedTo: number,
  after: number,
  limit: number,
): Promise<number[]> {
  const { rows } = await database.query<{ alert_id: number }>({
    text: `
      SELECT a.alert_id FROM alerts a
      WHERE a.alert_id > $2 AND a.alert_id <= $1 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id = a.alert_id)
      ORDER BY a.alert_id LIMIT $3`,
    values: [closedTo, after, limit],
  });
  return rows.map(({ alert_id }) => alert_id);
}

/** Removes what is known of the pushes of alerts, at most `limit` rows. @returns how many */
export async function removePushes(database: Queryable, alertIds: readonly number[], limit: number): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      DELETE FROM push_deliveries WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM push_deliveries WHERE alert_id = ANY($1::bigint[]) LIMIT $2
      ))`,
    values: [alertIds, limit],
  });
  return rowCount ?? 0;
}

/** Removes alerts with all that is kept of them, once their pushes are gone. */
export async function removeAlerts(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({
    text: `
      WITH recipients AS (DELETE FROM alert_recipients WHERE alert_id = ANY($1::bigint[])),
           progress AS (DELETE FROM alert_progress WHERE alert_id = ANY($1::bigint[]))
      DELETE FROM alerts WHERE alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
}
