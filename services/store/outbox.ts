import { WITHOUT_WAITING_FOR_THE_DISK, type Queryable } from '../lib/postgres.js';

/**
 * Removes published alerts from the outbox. Ids that are not there any more are ignored. It does not wait for the disk: a row
 * that a crash of PostgreSQL brings back is published again, which has no effect.
 */
export async function removePublished(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({
    name: 'remove-published',
    text: `DELETE FROM outbox WHERE alert_id = ANY($1::bigint[]) AND ${WITHOUT_WAITING_FOR_THE_DISK}`,
    values: [alertIds],
  });
}

/** Alerts that have waited longer than `afterMs` by the database's clock, oldest first, without locking them. */
export async function unpublished(
  database: Queryable,
  afterMs: number,
  limit: number,
  except: readonly number[],
): Promise<number[]> {
  // Always from the smallest id on, never "behind the last one": ids become visible out of their order.
  const { rows } = await database.query<{ alert_id: number }>({
    text: `
      SELECT alert_id FROM outbox
      WHERE created_at <= now() - $1::float8 * interval '1 millisecond' AND alert_id <> ALL($3::bigint[])
      ORDER BY alert_id LIMIT $2`,
    values: [afterMs, limit, except],
  });
  return rows.map(({ alert_id }) => alert_id);
}

/** How many alerts wait (counted up to `max`), and for how many seconds the oldest has waited. */
export async function outboxState(database: Queryable, max: number): Promise<{ depth: number; ageSeconds: number }> {
  const { rows } = await database.query<{ depth: number; age: string | null }>({
    // Bounded, since it is asked every second: a long outage fills the outbox with millions.
    text: `
      SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT $1) o) AS depth,
             (SELECT extract(epoch FROM now() - created_at) FROM outbox ORDER BY alert_id LIMIT 1) AS age`,
    values: [max],
  });
  return { depth: rows[0]?.depth ?? 0, ageSeconds: Number(rows[0]?.age ?? 0) };
}
