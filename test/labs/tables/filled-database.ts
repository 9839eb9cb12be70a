import type pg from 'pg';

const USERS = 1000;
/** Recipients of each alert. */
const RECIPIENTS = 10;
/** One statement makes so many entries: progress is seen, and no transaction is too large. */
const SLICE = 1_000_000;

/** The names of users that are in the directory, each with an inbox. */
export const USER_IDS = Array.from({ length: USERS }, (_, index) => `user-${index + 1}`);

/**
 * Fills empty tables as years of use do: a thousand inboxes with so many entries of a tenth as many alerts, two in
 * three read.
 * @param entries a multiple of 1,000
 */
export async function fill(database: pg.Pool, entries: number, say: (line: string) => void): Promise<void> {
  await database.query(
    `INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
     SELECT user_id, user_id, 'PAYROLL', '', true, 1 FROM unnest($1::text[]) user_id`,
    [USER_IDS],
  );
  const alerts = entries / RECIPIENTS;
  for (let from = 1; from <= alerts; from += SLICE / RECIPIENTS) {
    const to = Math.min(alerts, from + SLICE / RECIPIENTS - 1);
    await database.query(
      `INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                           occurred_at, created_at, directory_version, recipients_named, departments)
       SELECT n, 'filler', 'request-' || n, sha256(n::text::bytea), '', 'GRAFANA', 'ssok-transfer', 1 + n % 4, 'alert ' || n,
              repeat('이체 지연 ', 10), '{"branch": "main"}', at, at, 1, true, '{}'
       FROM generate_series($1::bigint, $2) n, LATERAL (SELECT now() - ($3 - n) * interval '1 second' AS at) times`,
      [from, to, alerts],
    );
    await database.query(
      `INSERT INTO alert_progress (alert_id, created_at, published_at, fanned_out_at, recipients, completed_at, reconcile_at)
       SELECT alert_id, created_at, created_at, created_at, ${RECIPIENTS}, created_at, created_at FROM alerts
       WHERE alert_id BETWEEN $1 AND $2`,
      [from, to],
    );
    // Ten users in turn have each alert, so that every hundredth alert is in the same inbox.
    await database.query(
      `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at, read_at)
       SELECT 'user-' || ((n - 1) * ${RECIPIENTS} + k) % ${USERS} + 1, n, (n - 1) / ${USERS / RECIPIENTS} + 1,
              (n - 1) / ${USERS / RECIPIENTS} + 1, CASE WHEN n % 3 = 0 THEN 1 ELSE 2 END, n % 3 <> 0, now(),
              CASE WHEN n % 3 <> 0 THEN now() END
       FROM generate_series($1::bigint, $2) n, generate_series(0, ${RECIPIENTS - 1}) k`,
      [from, to],
    );
    say(`${(to * RECIPIENTS).toLocaleString('en')} of ${entries.toLocaleString('en')} entries`);
  }
  await database.query(`
    INSERT INTO inboxes (user_id, last_seq, unread_count)
    SELECT user_id, max(seq), count(*) FILTER (WHERE NOT is_read) FROM alert_statuses GROUP BY user_id`);
  await database.query(`SELECT setval('alert_ids', $1)`, [alerts]);
  await database.query('VACUUM ANALYZE');
}
