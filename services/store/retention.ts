import type { Database, Queryable } from '../lib/postgres.js';

/*
 * The horizon is `days` before now, by PostgreSQL's clock. Alerts behind it are closed first: from then on nothing
 * delivers them. Entries of closed alerts leave the inboxes when their last change lies behind the horizon too, oldest
 * number first, so that what is left of an inbox is all that came after `pruned_seq`. A closed alert that no inbox has
 * goes in the next run.
 *
 * Numbers tell what came first, times how long ago. A clock that was wrong for a while leaves some rows dated ahead, or
 * back: the cut lies where most before it are old and most behind it are not, so that a few hold up nothing and close
 * nothing. However many are dated back behind them, no more young ones lie before it than a clock that was ahead for a
 * moment dates.
 */

/** SQL: what a row adds to the case for a cut behind it. One from the future says nothing. */
const weight = (time: string, days: string) => `
  CASE WHEN ${time} < now() - ${days} * interval '1 day' THEN 1 WHEN ${time} > now() THEN 0 ELSE -1 END`;

/** SQL: whether so few rows up to this one are young that there may be a cut behind it: 10, or one in a hundred. */
const fewYoung = (time: string, days: string, number: string) => `
  count(*) FILTER (WHERE ${time} BETWEEN now() - ${days} * interval '1 day' AND now()) OVER (ORDER BY ${number})
    <= GREATEST(10, row_number() OVER (ORDER BY ${number}) / 100)`;

/** Alerts that one statement looks at. */
const CLOSE_PAGE = 10_000;

/**
 * Begins a run, unless there was one in the last 50 minutes, whichever instance did it.
 * @returns up to which alert all were closed before it; nothing delivers those any more, and nothing is about to
 */
export async function beginRetention(database: Queryable): Promise<number | undefined> {
  const { rows } = await database.query<{ closed_to: number }>({
    text: `
      UPDATE service_state SET retention_at = now()
      WHERE retention_at < now() - interval '50 minutes' OR retention_at > now()
      RETURNING closed_to`,
  });
  return rows[0]?.closed_to;
}

/** Closes a page of the alerts behind the horizon. @returns whether there may be more */
export async function closeAlerts(database: Queryable, days: number): Promise<boolean> {
  const { rows } = await database.query<{ looked_at: number }>({
    text: `
      WITH page AS (
        SELECT alert_id, sum(${weight('created_at', '$1')}) OVER (ORDER BY alert_id) AS weight,
               ${fewYoung('created_at', '$1', 'alert_id')} AS few_young
        FROM (
          SELECT alert_id, created_at FROM alerts WHERE alert_id > (SELECT closed_to FROM service_state)
          ORDER BY alert_id LIMIT ${CLOSE_PAGE}
        ) oldest
      ), cut AS (SELECT alert_id FROM page WHERE weight > 0 AND few_young ORDER BY weight DESC, alert_id LIMIT 1)
      UPDATE service_state SET closed_to = cut.alert_id FROM cut
      RETURNING (SELECT count(*) FROM page) AS looked_at`,
    values: [days],
  });
  return rows[0]?.looked_at === CLOSE_PAGE;
}

/** A page of users in user_id order, with those whose oldest entry is of a closed alert. */
export async function inboxPage(
  database: Queryable,
  after: string,
  limit: number,
): Promise<{ users: string[]; expired: string[] }> {
  const { rows } = await database.query<{ user_id: string; expired: boolean | null }>({
    text: `
      SELECT i.user_id, oldest.alert_id <= (SELECT closed_to FROM service_state) AS expired
      FROM inboxes i
      LEFT JOIN LATERAL (
        SELECT s.alert_id FROM alert_statuses s WHERE s.user_id = i.user_id ORDER BY s.seq LIMIT 1
      ) oldest ON true
      WHERE i.user_id > $1 ORDER BY i.user_id LIMIT $2`,
    values: [after, limit],
  });
  return {
    users: rows.map(({ user_id }) => user_id),
    expired: rows.filter(({ expired }) => expired === true).map(({ user_id }) => user_id),
  };
}

/**
 * Removes the entries of one inbox that lie behind the horizon, up to where most do not, or to the first of an alert
 * that is open.
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
        SELECT seq, bool_and(alert_id <= closed_to) OVER (ORDER BY seq) AS closed,
               sum(${weight('changed_at', '$2')}) OVER (ORDER BY seq) AS weight,
               ${fewYoung('changed_at', '$2', 'seq')} AS few_young
        FROM (
          SELECT seq, changed_at, alert_id FROM alert_statuses WHERE user_id = $1 ORDER BY seq LIMIT $3
        ) s, service_state
      ), cut AS (SELECT seq FROM oldest WHERE closed AND weight > 0 AND few_young ORDER BY weight DESC, seq LIMIT 1
      ), removed AS (
        DELETE FROM alert_statuses WHERE user_id = $1 AND seq <= (SELECT seq FROM cut)
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
 * Of the alerts from `after` up to `closedTo`, those that these users still have in their inboxes: of each the first
 * `limit`.
 */
export async function closedAlertsOf(
  database: Queryable,
  userIds: readonly string[],
  closedTo: number,
  after: number,
  limit: number,
): Promise<Map<string, number[]>> {
  const { rows } = await database.query<{ user_id: string; alert_id: number }>({
    text: `
      SELECT u.user_id, held.alert_id FROM unnest($1::text[]) AS u(user_id)
      CROSS JOIN LATERAL (
        SELECT alert_id FROM alert_statuses s
        WHERE s.user_id = u.user_id AND s.alert_id > $3 AND s.alert_id <= $2 ORDER BY s.alert_id LIMIT $4
      ) held`,
    values: [userIds, closedTo, after, limit],
  });
  const byUser = new Map<string, number[]>();
  for (const { user_id, alert_id } of rows) {
    const alerts = byUser.get(user_id);
    if (alerts === undefined) byUser.set(user_id, [alert_id]);
    else alerts.push(alert_id);
  }
  return byUser;
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

/** What an alert may have hundreds of thousands of. */
export type AlertRows = 'push_deliveries' | 'alert_recipients' | 'dead_letters';

/** Removes rows about alerts, at most `limit` of them. @returns how many */
export async function removeRows(
  database: Queryable,
  table: AlertRows,
  alertIds: readonly number[],
  limit: number,
): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      DELETE FROM ${table} WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM ${table} WHERE alert_id = ANY($1::bigint[]) LIMIT $2
      ))`,
    values: [alertIds, limit],
  });
  return rowCount ?? 0;
}

/** Removes alerts with their progress, once what else is kept of them is gone. */
export async function removeAlerts(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({
    text: `
      WITH progress AS (DELETE FROM alert_progress WHERE alert_id = ANY($1::bigint[]))
      DELETE FROM alerts WHERE alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
}
