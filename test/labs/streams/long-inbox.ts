/** A statement, with its values, that puts so many alerts into the empty inbox of a user. */
export function longInbox(userId: string, alerts: number): [text: string, values: unknown[]] {
  return [
    `WITH made AS (
       INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                           occurred_at, created_at, directory_version, recipients_named, departments)
       SELECT nextval('alert_ids'), 'test', '', '', '', 'GRAFANA', 'app', 3, 'alert ' || n, repeat('x', 500), '{}', now(), now(),
              1, true, '{}'
       FROM generate_series(1, $2::int) n
       RETURNING alert_id
     ), delivered AS (
       INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
       SELECT $1, alert_id, n, n, 1, false, now() FROM (SELECT alert_id, row_number() OVER (ORDER BY alert_id) AS n FROM made) r
     )
     INSERT INTO inboxes (user_id, last_seq, unread_count) VALUES ($1, $2::int, $2::int)
     ON CONFLICT (user_id) DO UPDATE SET last_seq = excluded.last_seq, unread_count = excluded.unread_count`,
    [userId, alerts],
  ];
}
