import type { Database, Queryable } from '../lib/postgres.js';

/** Where a dead letter came from, and whom it was about if that could be read. */
export interface DeadLetter {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly alertId: number | undefined;
  readonly userId: string | undefined;
  readonly reason: string;
}

/** Characters of a user id, twice what the directory takes. */
const USER_ID_MAX = 256;

/** What is no id of ours stays out of the table: it may be beyond a bigint, or too long for an index. */
function possibleAlertId(alertId: number | undefined): number | null {
  return alertId !== undefined && Number.isSafeInteger(alertId) && alertId > 0 ? alertId : null;
}

function possibleUserId(userId: string | undefined): string | null {
  return userId === undefined || userId.length > USER_ID_MAX || userId.includes('\0') ? null : userId;
}

/** Remembers a record that was given up. Doing it again has no effect. */
export async function rememberDeadLetter(database: Database, letter: DeadLetter): Promise<void> {
  await database.query({
    name: 'remember-dead-letter',
    text: `INSERT INTO dead_letters (topic, partition, "offset", alert_id, user_id, reason) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (topic, partition, "offset") DO UPDATE
           SET alert_id = excluded.alert_id, user_id = excluded.user_id, reason = excluded.reason`,
    values: [
      letter.topic,
      letter.partition,
      letter.offset,
      possibleAlertId(letter.alertId),
      possibleUserId(letter.userId),
      // PostgreSQL's text has no U+0000, and the reason may quote what was refused for it.
      letter.reason.replaceAll('\0', '\uFFFD').slice(0, 2000),
    ],
  });
}

/** Of all that were given up, those that were neither redriven nor purged, as `topic-partition@offset`. */
export async function pendingDeadLetters(database: Database, topics: readonly string[]): Promise<Set<string>> {
  const { rows } = await database.query<{ name: string }>({
    text: `SELECT topic || '-' || partition || '@' || "offset" AS name FROM dead_letters
           WHERE topic = ANY($1::text[]) AND NOT purged`,
    values: [topics],
  });
  return new Set(rows.map(({ name }) => name));
}

/** A dead letter for which an alert, or a recipient of it, waits. */
export interface HoldingLetter {
  /** topic-partition@offset */
  readonly name: string;
  /** Empty: the record was about the alert as a whole. */
  readonly userId: string;
  readonly reason: string;
  readonly purged: boolean;
}

/** The dead letters that an alert is held up by, those about all of it first; a recipient who has it is not waiting. */
export async function deadLettersOf(
  database: Queryable,
  alertId: number,
  limit: number,
): Promise<{ count: number; letters: HoldingLetter[] }> {
  const { rows } = await database.query<{
    name: string;
    user_id: string | null;
    reason: string;
    purged: boolean;
    count: number;
  }>({
    // Compared to 0, so that it stays a look-up by key for each letter.
    text: `
      SELECT topic || '-' || partition || '@' || "offset" AS name, user_id, reason, purged, count(*) OVER () AS count
      FROM dead_letters d
      WHERE alert_id = $1
        AND (SELECT count(*) FROM alert_statuses s WHERE s.user_id = d.user_id AND s.alert_id = d.alert_id) = 0
      ORDER BY user_id NULLS FIRST, d.created_at LIMIT $2`,
    values: [alertId, limit],
  });
  return {
    count: rows[0]?.count ?? 0,
    letters: rows.map(({ name, user_id, reason, purged }) => ({ name, userId: user_id ?? '', reason, purged })),
  };
}

/** Forgets all: the broker that had them is gone. @returns how many there were */
export async function forgetAllDeadLetters(database: Database): Promise<number> {
  return (await database.query({ text: 'DELETE FROM dead_letters' })).rowCount ?? 0;
}

/** Gives records up for good. */
export async function purgeDeadLetters(
  database: Database,
  letters: readonly Pick<DeadLetter, 'topic' | 'partition' | 'offset'>[],
): Promise<void> {
  await database.query({
    text: `UPDATE dead_letters SET purged = true FROM unnest($1::text[], $2::int[], $3::bigint[]) AS d(t, p, o)
           WHERE topic = d.t AND partition = d.p AND "offset" = d.o`,
    values: places(letters),
  });
}

/** Forgets records that were sent back to their topics. */
export async function forgetDeadLetters(
  database: Database,
  letters: readonly Pick<DeadLetter, 'topic' | 'partition' | 'offset'>[],
): Promise<void> {
  await database.query({
    text: `DELETE FROM dead_letters USING unnest($1::text[], $2::int[], $3::bigint[]) AS d(t, p, o)
           WHERE topic = d.t AND partition = d.p AND "offset" = d.o`,
    values: places(letters),
  });
}

function places(letters: readonly Pick<DeadLetter, 'topic' | 'partition' | 'offset'>[]) {
  return [
    letters.map(({ topic }) => topic),
    letters.map(({ partition }) => partition),
    letters.map(({ offset }) => offset),
  ];
}
