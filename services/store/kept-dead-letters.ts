import type { Queryable } from '../lib/postgres.js';
import { type DeadLetterPlace, type DeadLetterRecord, places, possibleText, storedKey } from './dead-letters.js';
import { OPEN } from './progress.js';

/*
 * Dead letters whose topics do not take them: PostgreSQL keeps their bytes until they do.
 */

/** How many dead letters wait here for their topics, and how many bytes they have together. */
export const WAITING_LETTERS_MAX = 10_000;
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Keeps the bytes of a dead letter that is remembered, until its topic takes them.
 * @returns false if so many are kept already that this one has no room
 */
export async function keepDeadLetter(
  database: Queryable,
  place: DeadLetterPlace,
  record: DeadLetterRecord,
  waitsFor: string,
): Promise<boolean> {
  const { rowCount } = await database.query({
    name: 'keep-dead-letter',
    text: `
      UPDATE dead_letters d
      SET place = 'waiting', record_key = $4, record_value = $5, record_headers = $6::jsonb, waits_for = $7, attempts = 0,
          due_at = now()
      FROM (
        SELECT count(*) AS letters, COALESCE(sum(octet_length(record_value) + octet_length(record_headers::text)), 0) AS bytes
        FROM dead_letters WHERE place = 'waiting'
      ) kept
      WHERE d.topic = $1 AND d.partition = $2 AND d."offset" = $3
        AND (d.place = 'waiting'
          OR kept.letters < ${WAITING_LETTERS_MAX} AND kept.bytes + octet_length($5::bytea) <= ${WAITING_BYTES_MAX})`,
    values: [
      place.topic,
      place.partition,
      place.offset,
      storedKey(record.key),
      record.value ?? Buffer.alloc(0),
      storedHeaders(record),
      possibleText(waitsFor),
    ],
  });
  return rowCount === 1;
}

/** Headers as they are stored, and whether there is a value: in base64, as a header's bytes need be no text. */
export function storedHeaders({ value, headers = [] }: Pick<DeadLetterRecord, 'value' | 'headers'>): string {
  const list = headers.flatMap((header) =>
    Object.entries(header).map(([name, bytes]) => [
      Buffer.from(name).toString('base64'),
      Buffer.from(bytes).toString('base64'),
    ]),
  );
  return JSON.stringify({ isNull: value === null, headers: list });
}

/** A dead letter whose record is in no topic. */
export interface KeptDeadLetter extends DeadLetterPlace {
  readonly place: 'waiting' | 'outbox';
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Readonly<Record<string, Buffer>>[];
  readonly attempts: number;
  readonly purged: boolean;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

interface KeptRow extends Record<string, unknown> {
  topic: string;
  partition: number;
  offset: number;
  place: 'waiting' | 'outbox';
  record_key: Buffer | null;
  record_value: Buffer | null;
  record_headers: { isNull: boolean; headers: [string, string][] };
  attempts: number;
  purged: boolean;
  created_at: number;
}

const KEPT_COLUMNS =
  'topic, partition, "offset", place, record_key, record_value, record_headers, attempts, purged, created_at';

function toKeptDeadLetter(row: KeptRow): KeptDeadLetter {
  const { isNull, headers } = row.record_headers;
  return {
    topic: row.topic,
    partition: row.partition,
    offset: row.offset,
    place: row.place,
    key: row.record_key,
    value: isNull ? null : row.record_value,
    headers: headers.map(([name, value]) => ({
      [Buffer.from(name, 'base64').toString()]: Buffer.from(value, 'base64'),
    })),
    attempts: row.attempts,
    purged: row.purged,
    createdAt: row.created_at,
  };
}

/** What the next attempt waits for in seconds: 5 after the first, doubling, at most 5 minutes. */
const PUT_OFF_S = '(5 * power(2, LEAST(attempts, 6)))';

/** Dead letters whose topics are to be asked for them at present, in the order in which they were given up. */
export async function dueDeadLetters(database: Queryable, limit: number): Promise<KeptDeadLetter[]> {
  const { rows } = await database.query<KeptRow>({
    // One that is put off further than any is was put off by a clock that was wrong.
    text: `
      SELECT ${KEPT_COLUMNS} FROM dead_letters
      WHERE place = 'waiting' AND (due_at <= now() OR due_at > now() + interval '301 seconds')
      ORDER BY created_at, "offset" LIMIT $1`,
    values: [limit],
  });
  return rows.map(toKeptDeadLetter);
}

/** The dead letters of these topics that are in no topic, those given up first before others. */
export async function* keptDeadLetters(database: Queryable, topic: string): AsyncGenerator<KeptDeadLetter> {
  let last = { partition: -2, offset: -1 };
  for (let full = true; full;) {
    const { rows } = await database.query<KeptRow>({
      text: `
        SELECT ${KEPT_COLUMNS} FROM dead_letters
        WHERE place <> 'topic' AND topic = $1 AND (partition, "offset") > ($2, $3) ORDER BY partition, "offset" LIMIT 100`,
      values: [topic, last.partition, last.offset],
    });
    yield* rows.map(toKeptDeadLetter);
    full = rows.length === 100;
    last = rows.at(-1) ?? last;
  }
}

/** Their topics have these dead letters now. */
export async function releaseDeadLetters(database: Queryable, letters: readonly DeadLetterPlace[]): Promise<void> {
  await database.query({
    text: `
      UPDATE dead_letters
      SET place = 'topic', record_key = NULL, record_value = NULL, record_headers = NULL, waits_for = NULL, due_at = NULL
      FROM unnest($1::text[], $2::int[], $3::bigint[]) AS d(t, p, o)
      WHERE topic = d.t AND partition = d.p AND "offset" = d.o AND place = 'waiting'`,
    values: places(letters),
  });
}

/** Their topics do not take these dead letters yet. */
export async function deferDeadLetters(
  database: Queryable,
  letters: readonly (DeadLetterPlace & { waitsFor: string })[],
): Promise<void> {
  await database.query({
    text: `
      UPDATE dead_letters
      SET waits_for = d.why, due_at = now() + LEAST(${PUT_OFF_S}, 300) * interval '1 second', attempts = attempts + 1
      FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[]) AS d(t, p, o, why)
      WHERE topic = d.t AND partition = d.p AND "offset" = d.o AND place = 'waiting'`,
    values: [...places(letters), letters.map(({ waitsFor }) => possibleText(waitsFor))],
  });
}

export interface DeadLettersState {
  /** Alerts that are not complete since dead letters hold them up; counted up to 10,000. */
  readonly alerts: number;
  /** Dead letters that wait here for their topics, and their bytes. */
  readonly waiting: number;
  readonly bytes: number;
  /** Of one topic that does not take them. */
  readonly waitsFor: { readonly topic: string; readonly reason: string } | undefined;
}

export async function deadLettersState(database: Queryable): Promise<DeadLettersState> {
  const { rows } = await database.query<{
    alerts: number;
    waiting: number;
    bytes: number;
    topic: string | null;
    waits_for: string | null;
  }>({
    text: `
      SELECT
        (SELECT count(*) FROM (
          SELECT 1 FROM dead_letters d JOIN alert_progress p USING (alert_id)
          WHERE NOT d.purged AND p.completed_at IS NULL AND p.${OPEN} GROUP BY d.alert_id LIMIT 10000
        ) held) AS alerts,
        count(*) AS waiting, COALESCE(sum(octet_length(record_value)), 0) AS bytes,
        min(topic) AS topic, (array_agg(waits_for ORDER BY topic))[1] AS waits_for
      FROM dead_letters WHERE place = 'waiting'`,
  });
  const { alerts, waiting, bytes, topic, waits_for } = rows[0]!;
  const waitsFor = topic === null ? undefined : { topic, reason: waits_for ?? '' };
  return { alerts, waiting, bytes, waitsFor };
}
