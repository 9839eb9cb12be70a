import { type Queryable, WITHOUT_WAITING_FOR_THE_DISK } from '../lib/postgres.js';
import { type DeadLetterRecord, NO_PARTITION, possibleText } from './dead-letters.js';
import { storedHeaders } from './kept-dead-letters.js';

/**
 * Removes published alerts from the outbox. Ids that are not there any more are ignored. It does not wait for the disk:
 * a row that a crash of PostgreSQL brings back is published again, which has no effect.
 */
export async function removePublished(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({
    name: 'remove-published',
    text: `DELETE FROM outbox WHERE alert_id = ANY($1::bigint[]) AND ${WITHOUT_WAITING_FOR_THE_DISK}`,
    values: [alertIds],
  });
}

/**
 * Alerts that have waited longer than `afterMs` by the database's clock, oldest first, without locking them. One that
 * is dated ahead was created while that clock was wrong: how long it has waited is not known.
 */
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
      WHERE (created_at <= now() - $1::float8 * interval '1 millisecond' OR created_at > now())
        AND alert_id <> ALL($3::bigint[])
      ORDER BY alert_id LIMIT $2`,
    values: [afterMs, limit, except],
  });
  return rows.map(({ alert_id }) => alert_id);
}

export interface OutboxState {
  readonly depth: number;
  /** The one with the smallest id. */
  readonly oldestId: number | undefined;
  /** How long it has waited by the database's clock. */
  readonly ageSeconds: number;
}

/** How many alerts wait (counted up to `max`), and for how many seconds the oldest has waited. */
export async function outboxState(database: Queryable, max: number): Promise<OutboxState> {
  const { rows } = await database.query<{ depth: number; oldest: number | null; age: string | null }>({
    // Bounded, since it is asked every second: a long outage fills the outbox with millions.
    text: `
      SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT $1) o) AS depth, oldest.alert_id AS oldest, oldest.age
      FROM (SELECT 1) one LEFT JOIN LATERAL (
        SELECT alert_id, GREATEST(0, extract(epoch FROM now() - created_at)) AS age FROM outbox ORDER BY alert_id LIMIT 1
      ) oldest ON true`,
    values: [max],
  });
  const { depth, oldest, age } = rows[0]!;
  return { depth, oldestId: oldest ?? undefined, ageSeconds: Number(age ?? 0) };
}

/**
 * Takes an alert that can never be published out of the outbox and puts it among the dead letters, in one statement.
 * Its record need not be kept: the alert is here, and goes into the outbox again when it is sent back.
 */
export async function deadLetterAlert(
  database: Queryable,
  letter: { topic: string; alertId: number; reason: string; headers: DeadLetterRecord['headers'] },
): Promise<void> {
  await database.query({
    text: `
      WITH taken AS (DELETE FROM outbox WHERE alert_id = $2)
      INSERT INTO dead_letters (topic, partition, "offset", alert_id, reason, place, record_key, record_headers)
      VALUES ($1, ${NO_PARTITION}, $2, $2, $3, 'outbox', convert_to($2::bigint::text, 'UTF8'), $4::jsonb)
      ON CONFLICT (topic, partition, "offset") DO UPDATE
      SET reason = excluded.reason, place = 'outbox', purged = false, record_headers = excluded.record_headers`,
    values: [letter.topic, letter.alertId, possibleText(letter.reason), storedHeaders({ value: null, ...letter })],
  });
}
