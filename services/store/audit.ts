import type { AuditAction, AuditActor, AuditDetails, AuditEntry, AuditOutcome } from '../domain/audit.js';
import type { Queryable, Row } from '../lib/postgres.js';

/** Characters of each text of an entry: a credential names an issuer and a number, of 128 each. */
const TEXT_MAX = 512;

/** PostgreSQL's text has no U+0000, and no halves of characters. */
function storable(text: string): string {
  return text.slice(0, TEXT_MAX).replaceAll('\0', '\uFFFD').toWellFormed();
}

/** Notes in the transaction of a change who made it: if that fails, so does the change. */
export type Account = (connection: Queryable, details: AuditDetails) => Promise<void>;

/** For changes that nobody is to account for. */
export const NO_ACCOUNT: Account = () => Promise.resolve();

export function accountOf(actor: AuditActor, action: AuditAction, object = ''): Account {
  return (connection, details) =>
    writeEntries(connection, [{ actor, action, object, outcome: 'done', reason: '', details }]);
}

/** Adds entries, in their order. */
export async function writeEntries(connection: Queryable, entries: readonly AuditEntry[]): Promise<void> {
  const texts = (of: (entry: AuditEntry) => string) => entries.map((entry) => storable(of(entry)));
  await connection.query({
    name: 'write-audit-entries',
    text: `
      INSERT INTO audit_log (actor_kind, actor, credential, peer, action, object, outcome, reason, details, request_id, trace_id)
      SELECT actor_kind, actor, credential, peer, action, object, outcome, reason, details::jsonb, request_id, trace_id
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
        AS e(actor_kind, actor, credential, peer, action, object, outcome, reason, details, request_id, trace_id)`,
    values: [
      entries.map(({ actor }) => actor.kind),
      texts(({ actor }) => actor.subject),
      texts(({ actor }) => actor.credential),
      texts(({ actor }) => actor.peer),
      entries.map(({ action }) => action),
      texts(({ object }) => object),
      entries.map(({ outcome }) => outcome),
      texts(({ reason }) => reason),
      entries.map(({ details }) => JSON.stringify(details).replaceAll('\\u0000', '\\ufffd')),
      texts(({ actor }) => actor.requestId),
      texts(({ actor }) => actor.traceId),
    ],
  });
}

/** An entry as it is stored; its action may be of another version. */
export interface StoredEntry {
  readonly entryId: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly databaseUser: string;
  readonly actor: Omit<AuditActor, 'kind'> & { readonly kind: string };
  readonly action: string;
  readonly object: string;
  readonly outcome: string;
  readonly reason: string;
  readonly details: AuditDetails;
}

export interface AuditFilter {
  readonly actor?: string;
  readonly action?: AuditAction;
  readonly object?: string;
  readonly outcome?: AuditOutcome;
  /** Milliseconds since 1970. */
  readonly since?: number;
  readonly until?: number;
}

interface EntryRow extends Row {
  entry_id: number;
  at: number;
  database_user: string;
  actor_kind: string;
  actor: string;
  credential: string;
  peer: string;
  action: string;
  object: string;
  outcome: string;
  reason: string;
  details: AuditDetails;
  request_id: string;
  trace_id: string;
}

/** Entries that one statement looks at, whatever the filter leaves of them. */
const LIST_PAGE = 5000;
/** So much later than an entry with a smaller number another one may be dated: transactions are shorter. */
const DISORDER_MS = 3_600_000;

/** Entries that a filter leaves, newest first. */
export async function* listEntries(database: Queryable, filter: AuditFilter): AsyncGenerator<StoredEntry> {
  const { actor, action, object, outcome, since, until } = filter;
  const wanted = [actor ?? null, action ?? null, object ?? null, outcome ?? null, since ?? null, until ?? null];
  for (let before = Number.MAX_SAFE_INTEGER; ;) {
    const { rows: pages } = await database.query<{ oldest: number | null; newest_at: number | null }>({
      text: `
        SELECT min(entry_id) AS oldest, max(at) AS newest_at
        FROM (SELECT entry_id, at FROM audit_log WHERE entry_id < $1 ORDER BY entry_id DESC LIMIT ${LIST_PAGE}) page`,
      values: [before],
    });
    const { oldest, newest_at: newestAt } = pages[0]!;
    if (oldest === null || (since !== undefined && newestAt! < since - DISORDER_MS)) return;
    const { rows } = await database.query<EntryRow>({
      text: `
        SELECT entry_id, at, database_user, actor_kind, actor, credential, peer, action, object, outcome, reason, details, request_id, trace_id
        FROM audit_log
        WHERE entry_id < $1 AND entry_id >= $2
          AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR action = $4)
          AND ($5::text IS NULL OR object = $5) AND ($6::text IS NULL OR outcome = $6)
          AND ($7::float8 IS NULL OR at >= to_timestamp($7::float8 / 1000))
          AND ($8::float8 IS NULL OR at <= to_timestamp($8::float8 / 1000))
        ORDER BY entry_id DESC`,
      values: [before, oldest, ...wanted],
    });
    for (const row of rows) yield toEntry(row);
    before = oldest;
  }
}

function toEntry(row: EntryRow): StoredEntry {
  return {
    entryId: row.entry_id,
    at: row.at,
    databaseUser: row.database_user,
    actor: {
      kind: row.actor_kind,
      subject: row.actor,
      credential: row.credential,
      peer: row.peer,
      requestId: row.request_id,
      traceId: row.trace_id,
    },
    action: row.action,
    object: row.object,
    outcome: row.outcome,
    reason: row.reason,
    details: row.details,
  };
}
