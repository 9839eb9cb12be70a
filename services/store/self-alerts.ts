import type { Queryable } from '../lib/postgres.js';

export interface SelfAlertState {
  /** Whether one of these requests was stored in the last `periodMs`. */
  readonly recent: boolean;
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
  const { rows } = await database.query<{ recent: boolean; others: boolean }>({
    name: 'self-alert-state',
    // `<> ''` is the condition of the index, which a plan for all values would not find otherwise.
    text: `
      SELECT EXISTS (
        SELECT 1 FROM alerts WHERE caller = $1 AND request_id = ANY($2::text[]) AND request_id <> ''
          AND created_at > now() - $3::float8 * interval '1 millisecond'
      ) AS recent, EXISTS (
        SELECT 1 FROM alerts WHERE alert_id = ANY($4::bigint[]) AND caller <> $1
      ) AS others`,
    values: [caller, requestIds, periodMs, alertIds],
  });
  return rows[0]!;
}
