import { type Database, type Queryable, WITHOUT_WAITING_FOR_THE_DISK } from '../lib/postgres.js';
import type { Account } from './audit.js';

/** SQL condition: retention has not closed the alert. */
export const OPEN = 'alert_id > (SELECT closed_to FROM service_state)';

/** SQL: what the next check is put off by, in seconds: 10 after the first one, doubling, at most an hour. */
const PUT_OFF_S = (checks: string) => `LEAST(10 * power(2, LEAST(${checks}, 10)), 3600)`;

/** SQL condition: the next check is due, or so far away that it was put off while the clock was wrong. */
const DUE = `(p.reconcile_at <= now()
  OR p.reconcile_at > now() + (CASE p.reconcile_attempts WHEN 0 THEN 0 ELSE ${PUT_OFF_S('p.reconcile_attempts - 1')} END)
                              * interval '1 second')`;

export interface Progress {
  readonly publishedAt: number | null;
  readonly fannedOutAt: number | null;
  readonly completedAt: number | null;
  /** When reconciliation looks at it next; null: it is complete or closed. */
  readonly nextCheckAt: number | null;
  /** How often that has found it incomplete. */
  readonly checks: number;
  /** Retention has closed it. */
  readonly closed: boolean;
  readonly traceparent: string | null;
}

/**
 * Notes that Kafka acknowledged these alerts just now. Of what it takes at once fan-out notes when its record was
 * written, which costs no statement; a record that waited for Kafka was written long before Kafka had it.
 */
export async function markPublishedLate(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({
    name: 'mark-published-late',
    text: `
      UPDATE alert_progress p SET published_at = LEAST(now(), p.fanned_out_at)
      WHERE p.alert_id = ANY($1::bigint[]) AND ${WITHOUT_WAITING_FOR_THE_DISK}`,
    values: [alertIds],
  });
}

/**
 * Notes when these alerts were published, unless it is known, and that the last recipient's event was. It does not wait
 * for the disk: what a crash of PostgreSQL loses is filled in by reconciliation.
 */
export async function markFannedOut(
  database: Queryable,
  alerts: readonly { alertId: number; recipients: number; publishedAt: number }[],
): Promise<void> {
  await database.query({
    name: 'mark-fanned-out',
    text: `
      UPDATE alert_progress p
      SET fanned_out_at = now(), recipients = f.recipients,
          published_at = COALESCE(p.published_at, to_timestamp(f.published_at / 1000))
      FROM unnest($1::bigint[], $2::int[], $3::float8[]) f(alert_id, recipients, published_at)
      WHERE p.alert_id = f.alert_id AND p.fanned_out_at IS NULL AND ${WITHOUT_WAITING_FOR_THE_DISK}`,
    values: [
      alerts.map(({ alertId }) => alertId),
      alerts.map(({ recipients }) => recipients),
      alerts.map(({ publishedAt }) => publishedAt),
    ],
  });
}

/** Until an alert is fanned out, that it is out of the outbox is all that is known of its publication. */
export async function findProgress(database: Queryable, alertId: number): Promise<Progress | undefined> {
  const { rows } = await database.query<{
    published_at: number | null;
    fanned_out_at: number | null;
    completed_at: number | null;
    reconcile_at: number;
    reconcile_attempts: number;
    open: boolean;
    traceparent: string | null;
  }>({
    name: 'find-progress',
    text: `
      SELECT COALESCE(p.published_at, CASE WHEN o.alert_id IS NULL AND NOT EXISTS (
               SELECT 1 FROM dead_letters d WHERE d.alert_id = p.alert_id AND d.place = 'outbox'
             ) THEN p.created_at END) AS published_at, p.fanned_out_at,
             p.completed_at, CASE WHEN ${DUE} THEN LEAST(p.reconcile_at, now()) ELSE p.reconcile_at END AS reconcile_at,
             p.reconcile_attempts, p.${OPEN} AS open, a.traceparent
      FROM alert_progress p JOIN alerts a USING (alert_id) LEFT JOIN outbox o USING (alert_id) WHERE p.alert_id = $1`,
    values: [alertId],
  });
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    publishedAt: row.published_at,
    fannedOutAt: row.fanned_out_at,
    completedAt: row.completed_at,
    nextCheckAt: row.open && row.completed_at === null ? row.reconcile_at : null,
    checks: row.reconcile_attempts,
    closed: !row.open,
    traceparent: row.traceparent,
  };
}

/**
 * Alerts that are older than `graceMs` or dated ahead, out of the outbox, not known to be complete and not closed by
 * retention, whose next check is due; the oldest first.
 */
export async function incompleteAlerts(database: Queryable, graceMs: number, limit: number): Promise<number[]> {
  const { rows } = await database.query<{ alert_id: number }>({
    text: `
      SELECT p.alert_id FROM alert_progress p
      WHERE p.completed_at IS NULL AND p.${OPEN} AND ${DUE}
        AND (p.created_at <= now() - $1::float8 * interval '1 millisecond' OR p.created_at > now())
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id = p.alert_id)
      ORDER BY p.alert_id LIMIT $2`,
    values: [graceMs, limit],
  });
  return rows.map(({ alert_id }) => alert_id);
}

/**
 * Notes that these alerts are in the inbox of every recipient, so that whether they can be published matters no more.
 */
export async function markComplete(
  database: Queryable,
  alerts: readonly { alertId: number; recipients: number }[],
): Promise<void> {
  await database.query({
    text: `
      WITH settled AS (DELETE FROM dead_letters WHERE alert_id = ANY($1::bigint[]) AND place = 'outbox')
      UPDATE alert_progress p
      SET completed_at = now(), recipients = c.recipients, published_at = COALESCE(p.published_at, now()),
          fanned_out_at = COALESCE(p.fanned_out_at, now())
      FROM unnest($1::bigint[], $2::int[]) c(alert_id, recipients) WHERE p.alert_id = c.alert_id`,
    values: [alerts.map(({ alertId }) => alertId), alerts.map(({ recipients }) => recipients)],
  });
}

/** Puts the next check off. */
export async function deferReconcile(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({
    text: `
      UPDATE alert_progress
      SET reconcile_attempts = reconcile_attempts + 1,
          reconcile_at = now() + ${PUT_OFF_S('reconcile_attempts')} * interval '1 second'
      WHERE alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
}

/**
 * Open alerts that were created since then (milliseconds since 1970), and how many of them are not known to be
 * complete.
 */
export async function countAlerts(database: Queryable, since: number): Promise<{ alerts: number; incomplete: number }> {
  const { rows } = await database.query<{ alerts: number; incomplete: number }>({
    text: `SELECT count(*) AS alerts, count(*) FILTER (WHERE completed_at IS NULL) AS incomplete
           FROM alert_progress WHERE created_at >= to_timestamp($1::float8 / 1000) AND ${OPEN}`,
    values: [since],
  });
  return rows[0]!;
}

/**
 * Has reconciliation look at all open alerts since then again, complete or not, as soon as it can.
 * @returns how many there are
 */
export async function requestReconcile(database: Database, since: number, account: Account): Promise<number> {
  return database.transaction(async (connection) => {
    const { rowCount } = await connection.query(
      `UPDATE alert_progress SET completed_at = NULL, reconcile_at = now(), reconcile_attempts = 0
       WHERE created_at >= to_timestamp($1::float8 / 1000) AND ${OPEN}`,
      [since],
    );
    const alerts = rowCount ?? 0;
    await account(connection, { alerts, since: new Date(since).toISOString() });
    return alerts;
  });
}
