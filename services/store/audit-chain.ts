import { createHash } from 'node:crypto';
import { type AuditDetails, SYSTEM } from '../domain/audit.js';
import type { Connection, Database, Queryable, Row } from '../lib/postgres.js';
import { writeEntries } from './audit.js';

/*
 * The account's entries are sealed in the order of their numbers, as other audit trails are (AWS CloudTrail's digest
 * files; RFC 6962 has trees): a seal is the byte VERSION and the SHA-256 of that byte, of the seal before it and of the
 * entry, which is the JSON array of its columns in the order of FIELDS, each as PostgreSQL's text in UTF-8. The first
 * seal follows 33 bytes of 0.
 *
 * A chain shows what was changed within it. Who owns the tables can remove its end, or make all of it anew: that shows
 * against a head that was kept elsewhere.
 */

const VERSION = Buffer.from([1]);
const GENESIS = Buffer.alloc(33);
const FIELDS = `
  entry_id::text, (at AT TIME ZONE 'UTC')::text, database_user, actor_kind, actor, credential, peer, action, object, outcome,
  reason, details::text, request_id, trace_id`;

/** Entries that one statement reads, or one transaction seals or removes. */
const PAGE = 2000;

/** The seal of an entry. */
export interface Head {
  readonly entryId: number;
  readonly hash: Buffer;
}

/** As people keep it: `1042:01ab…`. */
export function headText({ entryId, hash }: Head): string {
  return `${entryId}:${hash.toString('hex')}`;
}

/** @returns undefined if the text is no head */
export function readHead(text: string): Head | undefined {
  const [, entryId, hash] = /^(\d{1,15}):([0-9a-f]{66})$/.exec(text) ?? [];
  return hash === undefined ? undefined : { entryId: Number(entryId), hash: Buffer.from(hash, 'hex') };
}

/** The entry in the form that is hashed. */
type Fields = readonly (string | null)[];

function seal(previous: Buffer, fields: Fields): Buffer {
  const hash = createHash('sha256').update(VERSION).update(previous).update(JSON.stringify(fields));
  return Buffer.concat([VERSION, hash.digest()]);
}

interface Chain {
  /** The last entry that was removed because of its age. */
  readonly begins: Head;
  readonly head: Head;
}

async function readChain(connection: Queryable, lock: '' | 'FOR UPDATE'): Promise<Chain> {
  const { rows } = await connection.query<{
    begins_after: number;
    begins_hash: Buffer;
    head_id: number;
    head_hash: Buffer;
  }>({ text: `SELECT begins_after, begins_hash, head_id, head_hash FROM audit_chain ${lock}` });
  const [row] = rows;
  if (row === undefined) throw new Error('audit_chain is empty: the database was not migrated, or somebody removed it');
  return {
    begins: { entryId: row.begins_after, hash: row.begins_hash },
    head: { entryId: row.head_id, hash: row.head_hash },
  };
}

interface Logged {
  readonly entryId: number;
  readonly fields: Fields;
}

/** Entries behind one up to another, at most a page. */
async function readPage(connection: Queryable, after: number, upTo: number): Promise<Logged[]> {
  const { rows } = await connection.query<{ entry_id: number; fields: Fields }>({
    text: `SELECT entry_id, ARRAY[${FIELDS}] AS fields FROM audit_log
           WHERE entry_id > $1 AND entry_id <= $2 ORDER BY entry_id LIMIT ${PAGE}`,
    values: [after, upTo],
  });
  return rows.map(({ entry_id, fields }) => ({ entryId: entry_id, fields }));
}

async function lastNumber(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ last: number }>({
    text: 'SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM audit_entry_ids',
  });
  return rows[0]!.last;
}

/** All numbers up to `upTo` are settled when every transaction below `transaction` has ended. */
export interface Settling {
  readonly upTo: number;
  readonly transaction: string;
}

/** Notes up to which number entries may be under way. @returns undefined if that is `after` still */
export async function beginSettling(database: Queryable, after: number): Promise<Settling | undefined> {
  const upTo = await lastNumber(database);
  // A failover may have set it back.
  if (upTo === after) return undefined;
  // A transaction of its own, and later: whoever has taken one of these numbers has a smaller transaction number.
  const { rows } = await database.query<{ transaction: string }>({
    text: 'SELECT pg_current_xact_id()::text AS transaction',
  });
  return { upTo, transaction: rows[0]!.transaction };
}

export async function isSettled(database: Queryable, { transaction }: Settling): Promise<boolean> {
  const { rows } = await database.query<{ settled: boolean }>({
    text: 'SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8 AS settled',
    values: [transaction],
  });
  return rows[0]!.settled;
}

/** Seals a page of the entries up to a number that is settled. @returns where the chain ends then */
export async function sealEntries(database: Database, upTo: number): Promise<{ head: Head; isDone: boolean }> {
  return database.transaction(async (connection) => {
    const { head } = await readChain(connection, 'FOR UPDATE');
    const entries = await readPage(connection, head.entryId, upTo);
    let last = head;
    const seals = entries.map(({ entryId, fields }) => {
      const previousId = last.entryId;
      last = { entryId, hash: seal(last.hash, fields) };
      return { ...last, previousId };
    });
    if (seals.length > 0) {
      await connection.query(
        'INSERT INTO audit_seals (entry_id, previous_id, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])',
        [seals.map(({ entryId }) => entryId), seals.map(({ previousId }) => previousId), seals.map(({ hash }) => hash)],
      );
      await connection.query('UPDATE audit_chain SET head_id = $1, head_hash = $2', [last.entryId, last.hash]);
    }
    return { head: last, isDone: entries.length < PAGE };
  });
}

/** Where the chain ends, and for how many seconds the first entry behind it has waited; 0: there is none. */
export async function chainState(database: Queryable): Promise<{ headId: number; unsealedS: number }> {
  const { rows } = await database.query<{ head_id: number; waited: number | null }>({
    text: `
      SELECT head_id, GREATEST(0, EXTRACT(epoch FROM now() - (
        SELECT at FROM audit_log WHERE entry_id > head_id ORDER BY entry_id LIMIT 1
      )))::float8 AS waited
      FROM audit_chain`,
  });
  return { headId: rows[0]?.head_id ?? 0, unsealedS: rows[0]?.waited ?? 0 };
}

/**
 * Removes what is older than so many days from the beginning of the chain, a page, which is itself an entry. One more
 * day is waited for, so that it happens once a day. A clock that is ahead removes nothing that is younger than that
 * before the last entry.
 * @returns how many were removed
 */
export async function removeOldEntries(database: Database, days: number): Promise<number> {
  return database.transaction(async (connection) => {
    await readChain(connection, 'FOR UPDATE');
    const { rows } = await connection.query<{ entry_id: number; hash: Buffer; removed: number }>({
      text: `
        WITH horizon AS (
          SELECT LEAST(now(), (SELECT at FROM audit_log ORDER BY entry_id DESC LIMIT 1)) - $1 * interval '1 day' AS at
        ), oldest AS (
          SELECT l.entry_id, l.at, s.hash FROM audit_log l JOIN audit_seals s USING (entry_id) ORDER BY l.entry_id LIMIT ${PAGE}
        ), kept AS (
          SELECT COALESCE(min(o.entry_id), ${Number.MAX_SAFE_INTEGER}) AS first FROM oldest o, horizon h WHERE o.at >= h.at
        ), old AS (
          SELECT o.entry_id, o.hash, count(*) OVER () AS removed, min(o.at) OVER () AS since
          FROM oldest o, kept k, audit_chain c WHERE o.entry_id < k.first AND o.entry_id < c.head_id
        )
        SELECT o.entry_id, o.hash, o.removed FROM old o, horizon h
        WHERE o.since < h.at - interval '1 day' ORDER BY o.entry_id DESC LIMIT 1`,
      values: [days],
    });
    const [last] = rows;
    if (last === undefined) return 0;
    const begins = { entryId: last.entry_id, hash: last.hash };
    await connection.query('UPDATE audit_chain SET begins_after = $1, begins_hash = $2', [begins.entryId, begins.hash]);
    await connection.query('DELETE FROM audit_log WHERE entry_id <= $1', [begins.entryId]);
    await connection.query('DELETE FROM audit_seals WHERE entry_id <= $1', [begins.entryId]);
    const details = { removed: last.removed, begins: headText(begins), days };
    await writeEntries(connection, [
      { actor: SYSTEM, action: 'audit.removed', object: '', outcome: 'done', reason: '', details },
    ]);
    return last.removed;
  });
}

export const BREAK_KINDS = ['changed', 'removed', 'inserted', 'reordered', 'ends'] as const;
export type BreakKind = (typeof BREAK_KINDS)[number];

/** Something that is not as it was sealed. */
export interface ChainBreak {
  /** Text, as it may be beyond what a number holds. */
  readonly entryId: string;
  readonly kind: BreakKind;
  readonly what: string;
}

export interface ChainReport extends Chain {
  /** Entries that are in the chain, and that are too new to be. */
  readonly sealed: number;
  readonly unsealed: number;
  /** The first of them, by the numbers of entries; `broken` counts all. */
  readonly breaks: readonly ChainBreak[];
  readonly broken: number;
}

/** Breaks that are told one by one. */
const BREAKS_MAX = 100;

/**
 * Compares every entry with its seal, in one snapshot and in pages.
 * @param kept a head that was kept elsewhere, which must be in the chain
 */
export async function verifyChain(database: Database, kept?: Head): Promise<ChainReport> {
  return database.transaction(async (connection) => {
    await connection.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    return verifyIn(connection, kept);
  });
}

/** The same, in a transaction that is there. */
export async function verifyIn(connection: Connection, kept?: Head): Promise<ChainReport> {
  const chain = await readChain(connection, '');
  const upTo = await lastNumber(connection);
  const check = new ChainCheck(chain, kept);
  for (let after: number | undefined = chain.begins.entryId; after !== undefined;) {
    const entries = await readPage(connection, after, upTo);
    const seals = await readSeals(connection, after, upTo);
    // What lies behind the end of a page that is full is not known yet.
    const known = Math.min(endOf(entries), endOf(seals));
    check.add(entries, seals, known);
    after = known === Infinity ? undefined : known;
  }
  return check.end(await strays(connection, chain.begins.entryId, upTo));
}

interface Seal extends Head {
  readonly previousId: number;
}

async function readSeals(connection: Queryable, after: number, upTo: number): Promise<Seal[]> {
  const { rows } = await connection.query<{ entry_id: number; previous_id: number; hash: Buffer }>({
    text: `SELECT entry_id, previous_id, hash FROM audit_seals
           WHERE entry_id > $1 AND entry_id <= $2 ORDER BY entry_id LIMIT ${PAGE}`,
    values: [after, upTo],
  });
  return rows.map(({ entry_id, previous_id, hash }) => ({ entryId: entry_id, previousId: previous_id, hash }));
}

const endOf = (page: readonly { entryId: number }[]) => (page.length < PAGE ? Infinity : page.at(-1)!.entryId);

interface StrayRow extends Row {
  readonly entry_id: string;
  readonly strays: number;
}

/** Rows with numbers before the chain begins, or that were not given yet. */
async function strays(connection: Queryable, begins: number, upTo: number): Promise<StrayRow[]> {
  const { rows } = await connection.query<StrayRow>({
    text: `
      SELECT entry_id::text, count(*) OVER () AS strays FROM (
        SELECT entry_id FROM audit_log WHERE entry_id <= $1 OR entry_id > $2
        UNION SELECT entry_id FROM audit_seals WHERE entry_id <= $1 OR entry_id > $2
      ) outside ORDER BY outside.entry_id LIMIT ${BREAKS_MAX}`,
    values: [begins, upTo],
  });
  return rows;
}

/** An entry whose seal is another's. */
interface Changed {
  readonly at: number;
  readonly before: Buffer;
  readonly own: Buffer;
  readonly fields: Fields;
}

/** Goes along the chain, and notes what is not as it was sealed. */
class ChainCheck {
  /** The last seal. */
  #link: Head;
  #sealed = 0;
  #unsealed = 0;
  #broken = 0;
  #breaks: ChainBreak[] = [];
  readonly #changed: Changed[] = [];
  /** Whether a removal tells of where the chain begins. */
  #isBeginTold: boolean;
  #hasKept: boolean;

  constructor(
    private readonly chain: Chain,
    private readonly kept: Head | undefined,
  ) {
    this.#link = chain.begins;
    this.#isBeginTold = isSame(chain.begins, { entryId: 0, hash: GENESIS });
    this.#hasKept = kept === undefined || isSame(kept, chain.begins);
  }

  /** @param known both lists are whole up to this number */
  add(entries: readonly Logged[], seals: readonly Seal[], known: number): void {
    const bySeal = new Map(seals.map((each) => [each.entryId, each]));
    const byEntry = new Map(entries.map((each) => [each.entryId, each]));
    const numbers = new Set([...bySeal.keys(), ...byEntry.keys()]);
    for (const entryId of [...numbers].filter((each) => each <= known).sort((a, b) => a - b)) {
      const entry = byEntry.get(entryId);
      const own = bySeal.get(entryId);
      if (entry !== undefined) this.#noteRemoval(entry);
      if (own === undefined) this.#withoutSeal(entryId);
      else this.#withSeal(own, entry);
    }
  }

  #withoutSeal(entryId: number): void {
    if (entryId > this.chain.head.entryId) this.#unsealed += 1;
    else this.#note(entryId, 'inserted', 'it has no seal, and later ones have');
  }

  #withSeal(own: Seal, entry: Logged | undefined): void {
    this.#sealed += 1;
    const before = this.#link;
    this.#link = own;
    if (this.kept !== undefined && isSame(this.kept, own)) this.#hasKept = true;
    if (entry === undefined) return this.#note(own.entryId, 'removed', 'its seal is there, and it is not');
    const isTrue = seal(before.hash, entry.fields).equals(own.hash);
    if (own.previousId === before.entryId) {
      if (!isTrue) this.#noteChange(entry, before.hash, own.hash);
    } else if (isTrue) this.#note(own.entryId, 'changed', 'its seal names another entry as the one before it');
    else this.#noteGap(own.previousId);
  }

  #noteGap(entryId: number): void {
    const found = this.#breaks.findIndex((each) => each.entryId === String(entryId) && each.kind === 'inserted');
    if (found === -1) return this.#note(entryId, 'removed', 'the next one was sealed behind it');
    this.#breaks[found] = { entryId: String(entryId), kind: 'removed', what: 'its seal was removed' };
  }

  #noteChange({ entryId, fields }: Logged, before: Buffer, own: Buffer): void {
    if (this.#breaks.length < BREAKS_MAX) this.#changed.push({ at: this.#breaks.length, before, own, fields });
    this.#note(entryId, 'changed', 'it is not what was sealed');
  }

  /** Any of them may tell it: whoever may only insert can add others, and makes no false alarm by that. */
  #noteRemoval({ fields }: Logged): void {
    const [action, details] = [fields[7], fields[11]];
    if (action !== 'audit.removed' || details === null || details === undefined) return;
    const { begins } = Object(JSON.parse(details)) as AuditDetails;
    if (begins === headText(this.chain.begins)) this.#isBeginTold = true;
  }

  #note(entryId: number | string, kind: BreakKind, what: string): void {
    this.#broken += 1;
    if (this.#breaks.length < BREAKS_MAX) this.#breaks.push({ entryId: String(entryId), kind, what });
  }

  /** @param outside rows that no chain can have */
  end(outside: readonly StrayRow[]): ChainReport {
    this.#nameReordered();
    const { begins, head } = this.chain;
    if (!isSame(this.#link, head))
      this.#note(head.entryId, 'ends', `the chain must end here, and ends at entry ${this.#link.entryId}`);
    if (!this.#isBeginTold)
      this.#note(
        begins.entryId,
        'ends',
        'the chain begins behind it, and no entry says that what was before was removed',
      );
    for (const { entry_id: entryId } of outside)
      this.#note(entryId, 'inserted', 'its number is before the chain begins, or was never given');
    this.#broken += Math.max(0, (outside[0]?.strays ?? 0) - outside.length);
    if (!this.#hasKept) this.#note(this.kept!.entryId, 'ends', this.#whyNotKept(this.kept!));
    const { breaks, broken } = { breaks: this.#breaks, broken: this.#broken };
    return { ...this.chain, sealed: this.#sealed, unsealed: this.#unsealed, breaks, broken };
  }

  #whyNotKept({ entryId }: Head): string {
    const { begins, head } = this.chain;
    if (entryId < begins.entryId)
      return `the head that was kept is older than the chain, which begins behind entry ${begins.entryId}: keep a newer one`;
    if (entryId > head.entryId)
      return `the head that was kept is missing: the chain ends before it, at ${head.entryId}`;
    return 'its seal is not the head that was kept: the chain was made anew';
  }

  /** Entries that have each other's contents. */
  #nameReordered(): void {
    for (const { at, before, own, fields } of this.#changed) {
      const other = this.#changed.find((each) => seal(before, [fields[0]!, ...each.fields.slice(1)]).equals(own));
      if (other === undefined) continue;
      const { entryId } = this.#breaks[at]!;
      this.#breaks[at] = { entryId, kind: 'reordered', what: `entry ${other.fields[0]} has what was sealed here` };
    }
  }
}

function isSame(one: Head, other: Head): boolean {
  return one.entryId === other.entryId && one.hash.equals(other.hash);
}
