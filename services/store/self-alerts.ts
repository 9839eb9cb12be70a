import type { Queryable } from '../lib/postgres.js';

export interface SelfAlertState {
  /**
   * How long it is yet, in ms, until `periodMs` have passed since the last of these requests was stored; 0: they have.
   */
  readonly limitedForMs: number;
  /** Whether one of these alerts is somebody else's. */
  readonly others: boolean;
}

/** What is to be known before we raise an alert about ourselves. */
export async function selfAlertState(
  database: Queryable,
  {
    caller,
    requestIds,
    periodMs,
    alertIds,
  }: { caller: string; requestIds: string[]; periodMs: number; alertIds: number[] },
): Promise<SelfAlertState> {
  const { rows } = await database.query<{ limited_for_ms: number; others: boolean }>({
    name: 'self-alert-state',
    // `<> ''` is the condition of the index, which a plan for all values would not find otherwise. One that is dated
    // ahead, since a clock was wrong, limits nothing.
    text: `
      SELECT (
        SELECT GREATEST(0, COALESCE($3::float8 - 1000 * extract(epoch FROM now() - max(created_at)), 0))
        FROM alerts WHERE caller = $1 AND request_id = ANY($2::text[]) AND request_id <> '' AND created_at <= now()
      )::float8 AS limited_for_ms, EXISTS (
        SELECT 1 FROM alerts WHERE alert_id = ANY($4::bigint[]) AND caller <> $1
      ) AS others`,
    values: [caller, requestIds, periodMs, alertIds],
  });
  const { limited_for_ms: limitedForMs, others } = rows[0]!;
  return { limitedForMs, others };
}
