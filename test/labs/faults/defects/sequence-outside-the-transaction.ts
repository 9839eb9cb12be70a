import { setTimeout as sleep } from 'node:timers/promises';
import { Database, type Row } from '../../../../services/lib/postgres.js';
import { runWired } from './wired.js';

// Numbers are handed out in one transaction, and the rows that bear them are written in another one a little later.

const { query } = Database.prototype;
Database.prototype.query = async function <R extends Row>(
  this: Database,
  statement: { name?: string; text: string; values?: unknown[] },
) {
  if (statement.name !== 'deliver-new') return query.call(this, statement) as ReturnType<typeof query<R>>;
  const [users, rows, alerts] = statement.values as [string[], number[], string[]];
  const numbered = await query.call(this, {
    text: `UPDATE inboxes i SET last_seq = i.last_seq + u.rows, unread_count = i.unread_count + u.rows
           FROM unnest($1::text[], $2::int[]) AS u(user_id, rows) WHERE i.user_id = u.user_id
           RETURNING i.user_id, i.last_seq, i.unread_count`,
    values: [users, rows],
  });
  await sleep(Math.random() * 300);
  await query.call(this, {
    text: `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
           SELECT l.user_id, r.alert_id, l.last_seq - l.rows + r.k, l.last_seq - l.rows + r.k, 1, false, now()
           FROM unnest($1::text[], $2::bigint[], $3::int[], $4::text[]) AS l(user_id, last_seq, rows, alerts)
           CROSS JOIN LATERAL unnest(l.alerts::bigint[]) WITH ORDINALITY AS r(alert_id, k)`,
    values: [
      numbered.rows.map((row) => row['user_id']),
      numbered.rows.map((row) => row['last_seq']),
      numbered.rows.map((row) => rows[users.indexOf(row['user_id'] as string)]),
      numbered.rows.map((row) => alerts[users.indexOf(row['user_id'] as string)]),
    ],
  });
  return numbered as Awaited<ReturnType<typeof query<R>>>;
};
await runWired();
