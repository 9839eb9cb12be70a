import type { AuditDetails } from '../domain/audit.js';
import { DLQ_HEADER } from '../lib/kafka/dead-letters.js';
import type { Database, Queryable } from '../lib/postgres.js';
import type { Account } from './audit.js';
import { OPEN } from './progress.js';

/** Where a dead letter came from. */
export interface DeadLetterPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Where a dead letter came from, and whom it was about if that could be read. */
export interface DeadLetter extends DeadLetterPlace {
  readonly alertId: number | undefined;
  readonly userId: string | undefined;
  readonly reason: string;
}

/** A record as its dead-letter topic is to have it. */
export interface DeadLetterRecord {
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: readonly Readonly<Record<string, Buffer | string>>[] | undefined;
}

/** Characters of a user id, twice what the directory takes. */
const USER_ID_MAX = 256;
const REASON_MAX = 2000;

/** Dead letters of one statement. */
const PAGE = 10_000;

/** In a dead letter that is no record: of an alert that could not be published, or of a push. */
export const NO_PARTITION = -1;

/** What is no id of ours stays out of the table: it may be beyond a bigint, or too long for an index. */
function possibleAlertId(alertId: number | undefined): number | null {
  return alertId !== undefined && Number.isSafeInteger(alertId) && alertId > 0 ? alertId : null;
}

function possibleUserId(userId: string | undefined): string | null {
  return userId === undefined || userId.length > USER_ID_MAX || userId.includes('\0') ? null : userId;
}

/** PostgreSQL's text has no U+0000, and a reason may quote what was refused for it. */
export function possibleText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').slice(0, REASON_MAX);
}

/** SQL: the dead letter that is there and the one that comes are about the same alert and user. */
const SAME_RECORD = '((d.alert_id = excluded.alert_id AND d.user_id IS NOT DISTINCT FROM excluded.user_id) IS TRUE)';

/** SQL: an offset that no topic has, the time in microseconds behind 2^52. It is a safe integer until the year 2112. */
const UNUSED_OFFSET = '(4503599627370496 + floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint)';

/**
 * Remembers a record that was given up. Doing it again has no effect, but a recreated topic counts from 0 again: what
 * was said of an earlier record at this place is dropped, and bytes that only PostgreSQL has are kept.
 */
export async function rememberDeadLetter(
  database: Database,
  letter: DeadLetter,
  record: Pick<DeadLetterRecord, 'key' | 'value'>,
): Promise<void> {
  if (await rememberUnlessWaiting(database, letter)) return;
  // It waits with its bytes: it is the same record, and stays, or another one.
  await moveWaiting(database, letter, record);
  await rememberUnlessWaiting(database, letter);
}

/** @returns false if a dead letter of that place waits for its topic */
async function rememberUnlessWaiting(database: Database, letter: DeadLetter): Promise<boolean> {
  const { rowCount } = await database.query({
    name: 'remember-dead-letter',
    // Of a record about nobody it is not known whether it is the same.
    text: `INSERT INTO dead_letters AS d (topic, partition, "offset", alert_id, user_id, reason) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (topic, partition, "offset") DO UPDATE
           SET alert_id = excluded.alert_id, user_id = excluded.user_id, reason = excluded.reason, place = 'topic',
               record_key = NULL, record_value = NULL, record_headers = NULL, waits_for = NULL, due_at = NULL,
               purged = d.purged AND ${SAME_RECORD}, created_at = CASE WHEN ${SAME_RECORD} THEN d.created_at ELSE now() END
           WHERE d.place <> 'waiting'`,
    values: [
      letter.topic,
      letter.partition,
      letter.offset,
      possibleAlertId(letter.alertId),
      possibleUserId(letter.userId),
      possibleText(letter.reason),
    ],
  });
  return rowCount === 1;
}

/**
 * Makes room at a place where a dead letter waits, if that is of another record: it goes on waiting under an offset
 * that is unused, which its headers name too. A push is no record, so what waits at its place is the same push.
 */
async function moveWaiting(
  database: Database,
  place: DeadLetterPlace,
  { key, value }: Pick<DeadLetterRecord, 'key' | 'value'>,
): Promise<void> {
  await database.query({
    text: `
      WITH free AS MATERIALIZED (SELECT ${UNUSED_OFFSET} AS "offset")
      UPDATE dead_letters d
      SET "offset" = free."offset", record_headers = jsonb_set(d.record_headers, '{headers}', COALESCE((
        SELECT jsonb_agg(
          CASE WHEN h ->> 0 = $6 THEN jsonb_build_array(h -> 0, encode(free."offset"::text::bytea, 'base64')) ELSE h END ORDER BY n
        )
        FROM jsonb_array_elements(d.record_headers -> 'headers') WITH ORDINALITY AS e(h, n)
      ), '[]'))
      FROM free
      WHERE topic = $1 AND partition = $2 AND d."offset" = $3 AND place = 'waiting' AND partition <> ${NO_PARTITION}
        AND (record_key IS DISTINCT FROM $4::bytea OR record_value IS DISTINCT FROM $5::bytea)`,
    values: [
      place.topic,
      place.partition,
      place.offset,
      storedKey(key),
      value ?? Buffer.alloc(0),
      Buffer.from(DLQ_HEADER.offset).toString('base64'),
    ],
  });
}

/** A key as it is stored. */
export function storedKey(key: DeadLetterRecord['key']): Buffer | null {
  return key === null ? null : Buffer.from(key);
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
export interface HoldingDeadLetter {
  /** topic-partition@offset */
  readonly name: string;
  /** Empty: the record was about the alert as a whole. */
  readonly userId: string;
  readonly reason: string;
  readonly purged: boolean;
  /** Why its topic does not have it; empty: it does, or is not to. */
  readonly waitsFor: string;
}

/**
 * The dead letters that an alert is held up by, those about all of it first; a recipient who has it is not waiting.
 * @returns also how many there are, and how many of them were not given up for good
 */
export async function deadLettersOf(
  database: Queryable,
  alertId: number,
  limit: number,
): Promise<{ count: number; pending: number; letters: HoldingDeadLetter[] }> {
  const { rows } = await database.query<{
    name: string;
    user_id: string | null;
    reason: string;
    purged: boolean;
    waits_for: string | null;
    count: number;
    pending: number;
  }>({
    // Compared to 0, so that it stays a look-up by key for each dead letter.
    text: `
      SELECT topic || '-' || partition || '@' || "offset" AS name, user_id, reason, purged, waits_for, count(*) OVER () AS count,
             count(*) FILTER (WHERE NOT purged) OVER () AS pending
      FROM dead_letters d
      WHERE alert_id = $1
        AND (SELECT count(*) FROM alert_statuses s WHERE s.user_id = d.user_id AND s.alert_id = d.alert_id) = 0
      ORDER BY user_id NULLS FIRST, d.created_at LIMIT $2`,
    values: [alertId, limit],
  });
  return {
    count: rows[0]?.count ?? 0,
    pending: rows[0]?.pending ?? 0,
    letters: rows.map(({ name, user_id, reason, purged, waits_for }) => ({
      name,
      userId: user_id ?? '',
      reason,
      purged,
      waitsFor: waits_for ?? '',
    })),
  };
}

/** SQL: the alerts of a list are looked at again as soon as can be, whether they were thought complete or not. */
const lookAgain = (alertIds: string) => `
  UPDATE alert_progress SET completed_at = NULL, reconcile_at = now(), reconcile_attempts = 0
  WHERE alert_id IN (${alertIds}) AND ${OPEN}`;

/** Forgets all that were in topics, as the broker that had them is gone: what they held up is looked at again. */
export async function loseAllDeadLetters(database: Database): Promise<void> {
  await database.query({
    text: `
      WITH lost AS (DELETE FROM dead_letters WHERE place = 'topic' AND NOT purged RETURNING alert_id)
      ${lookAgain('SELECT alert_id FROM lost WHERE alert_id IS NOT NULL')}`,
  });
}

/**
 * A page of the dead letters that are said to be in a topic, behind `after`. Not those of the last 5 minutes: a role
 * that is being replaced remembers them before it publishes them.
 */
export async function deadLettersInTopic(
  database: Queryable,
  topic: string,
  after: Pick<DeadLetterPlace, 'partition' | 'offset'>,
  limit: number,
): Promise<DeadLetterPlace[]> {
  const { rows } = await database.query<{ topic: string; partition: number; offset: number }>({
    text: `
      SELECT topic, partition, "offset" FROM dead_letters
      WHERE topic = $1 AND (partition, "offset") > ($2, $3) AND place = 'topic' AND (NOT purged OR alert_id IS NULL)
        AND (created_at < now() - interval '5 minutes' OR created_at > now())
      ORDER BY partition, "offset" LIMIT $4`,
    values: [topic, after.partition, after.offset, limit],
  });
  return rows;
}

/** Forgets dead letters that their topic does not have any more: what they held up is looked at again. */
export async function loseDeadLetters(database: Database, letters: readonly DeadLetterPlace[]): Promise<void> {
  for (let from = 0; from < letters.length; from += PAGE) {
    await database.query({
      text: `
        WITH lost AS (
          DELETE FROM dead_letters USING unnest($1::text[], $2::int[], $3::bigint[]) AS d(t, p, o)
          WHERE topic = d.t AND partition = d.p AND "offset" = d.o AND place = 'topic' RETURNING alert_id, purged
        )
        ${lookAgain('SELECT alert_id FROM lost WHERE alert_id IS NOT NULL AND NOT purged')}`,
      values: places(letters.slice(from, from + PAGE)),
    });
  }
}

/** A dead letter whose user lacks an alert that is called complete. */
export interface DoubtfulDeadLetter {
  readonly alertId: number;
  readonly userId: string;
}

/**
 * A page of the dead letters, behind `after`: those whose users lack an alert that is called complete although they
 * wait, as versions say that do not know of this, and run beside this one during a deploy.
 * @returns also the last of the page; undefined: there are no more
 */
export async function doubtfulDeadLetters(
  database: Queryable,
  after: DeadLetterPlace,
): Promise<{ last: DeadLetterPlace | undefined; letters: DoubtfulDeadLetter[] }> {
  const { rows } = await database.query<{
    topic: string;
    partition: number;
    offset: number;
    alert_id: number;
    user_id: string;
    doubtful: boolean | null;
  }>({
    text: `
      SELECT topic, partition, "offset", d.alert_id, user_id, p.completed_at IS NOT NULL AND p.${OPEN}
             AND (SELECT count(*) FROM alert_statuses s WHERE s.user_id = d.user_id AND s.alert_id = d.alert_id) = 0 AS doubtful
      FROM (
        SELECT topic, partition, "offset", alert_id, user_id FROM dead_letters
        WHERE (topic, partition, "offset") > ($1, $2, $3) AND NOT purged ORDER BY topic, partition, "offset" LIMIT ${PAGE}
      ) d LEFT JOIN alert_progress p ON p.alert_id = d.alert_id AND d.user_id IS NOT NULL
      ORDER BY topic, partition, "offset"`,
    values: [after.topic, after.partition, after.offset],
  });
  return {
    last: rows.at(-1),
    letters: rows
      .filter(({ doubtful }) => doubtful === true)
      .map(({ alert_id, user_id }) => ({ alertId: alert_id, userId: user_id })),
  };
}

/** Takes it back that these alerts are complete. */
export async function reopenAlerts(database: Queryable, alertIds: readonly number[]): Promise<void> {
  await database.query({ text: lookAgain('SELECT unnest($1::bigint[])'), values: [alertIds] });
}

/** Gives records up for good. */
export async function purgeDeadLetters(
  database: Database,
  letters: readonly DeadLetterPlace[],
  account: Account,
): Promise<void> {
  await accounting(
    database,
    letters,
    account,
    `
      WITH given_up AS (
        UPDATE dead_letters SET purged = true FROM unnest($1::text[], $2::int[], $3::bigint[]) AS d(t, p, o)
        WHERE topic = d.t AND partition = d.p AND "offset" = d.o RETURNING alert_id
      )
      ${lookAgain('SELECT alert_id FROM given_up WHERE alert_id IS NOT NULL')}`,
  );
}

/** Forgets records that were sent back to their topics, and puts the alerts among them into the outbox again. */
export async function forgetDeadLetters(
  database: Database,
  letters: readonly DeadLetterPlace[],
  account: Account,
): Promise<void> {
  await accounting(
    database,
    letters,
    account,
    `
      WITH forgotten AS (
        DELETE FROM dead_letters USING unnest($1::text[], $2::int[], $3::bigint[]) AS d(t, p, o)
        WHERE topic = d.t AND partition = d.p AND "offset" = d.o RETURNING alert_id, place
      ), queued AS (
        INSERT INTO outbox (alert_id, created_at)
        SELECT alert_id, a.created_at FROM forgotten f JOIN alerts a USING (alert_id) WHERE f.place = 'outbox'
        ON CONFLICT DO NOTHING
      )
      ${lookAgain('SELECT alert_id FROM forgotten WHERE alert_id IS NOT NULL')}`,
  );
}

/** Runs a statement about dead letters, and accounts for it. */
async function accounting(
  database: Database,
  letters: readonly DeadLetterPlace[],
  account: Account,
  statement: string,
): Promise<void> {
  await database.transaction(async (connection) => {
    await connection.query(statement, places(letters));
    await account(connection, namesOf(letters));
  });
}

/** Which dead letters, for an account of what was done with them: the offsets by topic and partition. */
export function namesOf(letters: readonly DeadLetterPlace[]): AuditDetails {
  const offsets: Record<string, number[]> = {};
  for (const { topic, partition, offset } of letters) (offsets[`${topic}-${partition}`] ??= []).push(offset);
  return { letters: letters.length, offsets };
}

export function places(letters: readonly DeadLetterPlace[]) {
  return [
    letters.map(({ topic }) => topic),
    letters.map(({ partition }) => partition),
    letters.map(({ offset }) => offset),
  ];
}
