import type { Queryable } from '../lib/postgres.js';

/** In whose inboxes an alert is. Times are milliseconds since 1970. */
export interface Arrivals {
  /** In how many inboxes it is, deleted entries included. */
  readonly delivered: number;
  readonly read: number;
  readonly firstDeliveredAt: number | null;
  readonly lastDeliveredAt: number | null;
  readonly lastReadAt: number | null;
  /** Some of those whose inboxes do not have it. */
  readonly missing: readonly string[];
}

/**
 * Recipients of one statement: 100,000 in one would be a second of PostgreSQL, and an array that grows to megabytes.
 */
const PAGE = 20_000;

// `OFFSET 0`: each recipient's row is looked up by its key, rather than all inboxes being read to be joined.
const ARRIVALS = `
  SELECT count(s.created_at) AS delivered, count(*) FILTER (WHERE s.is_read) AS read, min(s.created_at) AS first_delivered_at,
         max(s.created_at) AS last_delivered_at, max(s.read_at) AS last_read_at,
         COALESCE((array_agg(u.user_id) FILTER (WHERE s.created_at IS NULL))[1:$3], '{}') AS missing
  FROM unnest($2::text[]) AS u(user_id)
  LEFT JOIN LATERAL (
    SELECT s.created_at, s.is_read, s.read_at FROM alert_statuses s WHERE s.user_id = u.user_id AND s.alert_id = $1 OFFSET 0
  ) s ON true`;

/** Which of its recipients an alert has come to. @param missingMax names at most so many of the others */
export async function arrivalsOf(
  database: Queryable,
  alertId: number,
  userIds: readonly string[],
  missingMax: number,
): Promise<Arrivals> {
  const pages: Arrivals[] = [];
  for (let from = 0; from < userIds.length; from += PAGE) {
    const { rows } = await database.query<{
      delivered: number;
      read: number;
      first_delivered_at: number | null;
      last_delivered_at: number | null;
      last_read_at: number | null;
      missing: string[];
    }>({ text: ARRIVALS, values: [alertId, userIds.slice(from, from + PAGE), missingMax] });
    const row = rows[0]!;
    pages.push({
      delivered: row.delivered,
      read: row.read,
      firstDeliveredAt: row.first_delivered_at,
      lastDeliveredAt: row.last_delivered_at,
      lastReadAt: row.last_read_at,
      missing: row.missing,
    });
  }
  return {
    delivered: pages.reduce((sum, { delivered }) => sum + delivered, 0),
    read: pages.reduce((sum, { read }) => sum + read, 0),
    firstDeliveredAt: least(pages.map((page) => page.firstDeliveredAt)),
    lastDeliveredAt: greatest(pages.map((page) => page.lastDeliveredAt)),
    lastReadAt: greatest(pages.map((page) => page.lastReadAt)),
    missing: pages.flatMap(({ missing }) => missing).slice(0, missingMax),
  };
}

const UNPLANNED = `
  SELECT count(*) AS users
  FROM unnest($2::text[]) AS u(user_id)
  CROSS JOIN LATERAL (SELECT c.seq FROM push_cursors c WHERE c.user_id = u.user_id OFFSET 0) c
  CROSS JOIN LATERAL (
    SELECT 1 FROM alert_statuses s
    WHERE s.user_id = u.user_id AND s.alert_id = $1 AND s.created_seq > c.seq AND NOT s.is_read AND s.deleted_at IS NULL OFFSET 0
  ) s
  CROSS JOIN LATERAL (SELECT 1 FROM devices d WHERE d.user_id = u.user_id LIMIT 1) d`;

/** How many of these users have the alert in the inbox, unread, and a device, and are still to be planned for. */
export async function countUnplanned(
  database: Queryable,
  alertId: number,
  userIds: readonly string[],
): Promise<number> {
  let total = 0;
  for (let from = 0; from < userIds.length; from += PAGE) {
    const { rows } = await database.query<{ users: number }>({
      text: UNPLANNED,
      values: [alertId, userIds.slice(from, from + PAGE)],
    });
    total += rows[0]!.users;
  }
  return total;
}

export function least(times: readonly (number | null)[]): number | null {
  return times.reduce((a, b) => (a === null || (b !== null && b < a) ? b : a), null);
}

export function greatest(times: readonly (number | null)[]): number | null {
  return times.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
}
