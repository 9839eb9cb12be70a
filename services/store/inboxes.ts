import { changeOfRank, type EntryChange, type InboxUpdate, type StoredAlert } from '../domain/alert.js';
import { firstOf } from '../domain/audit.js';
import type { Database, Queryable, Row } from '../lib/postgres.js';
import { type AlertFilter, type AlertRow, toStoredAlert } from './alerts.js';
import type { Account } from './audit.js';

/*
 * Every change of an inbox follows one pattern: lock the inbox row, give each changed row the next number of the user's
 * sequence, store the last number and the unread count, in one transaction.
 */

/** How long a change waits for an inbox that somebody else holds. */
const LOCK_WAIT_MS = 2000;
/** Entries that one statement marks under the lock: some 20 ms. */
const MARK_PAGE = 1000;
/** Numbers among which one statement looks for unread entries, without the lock. */
const LOOK_PAGE = 10_000;

/** A change of rows: which ones, and what becomes of them. */
interface MutationSql {
  /** SQL condition on alert_statuses s; $2 is the list of alert ids, $3 the last number that they may have. */
  readonly where: string;
  /** SQL assignments besides seq and change. */
  readonly set: string;
  readonly change: number;
  /** Effect on unread_count, summed over the changed rows. */
  readonly unread: string;
}

const READ = {
  where: 'NOT s.is_read',
  set: 'is_read = true, read_at = now()',
  change: 2,
  unread: '-1',
} as const satisfies MutationSql;
const UNREAD = {
  where: 's.is_read',
  set: 'is_read = false, read_at = NULL',
  change: 3,
  unread: '1',
} as const satisfies MutationSql;
const DELETED = {
  where: 'true',
  set: 'deleted_at = now()',
  change: 4,
  unread: 'CASE WHEN is_read THEN 0 ELSE -1 END',
} as const satisfies MutationSql;

/** One of these, so that nothing else can get into the statements. */
type Mutation = typeof READ | typeof UNREAD | typeof DELETED;

const TARGETS = 's.user_id = $1 AND s.alert_id = ANY($2::bigint[]) AND s.seq <= $3 AND s.deleted_at IS NULL';

const mutationSql = ({ where, set, change, unread }: Mutation) => `
  WITH target AS (
    SELECT s.alert_id, row_number() OVER (ORDER BY s.alert_id) AS k FROM alert_statuses s WHERE ${TARGETS} AND ${where}
  ), changed AS (
    UPDATE alert_statuses s SET seq = i.last_seq + t.k, change = ${change}, changed_at = now(), ${set}
    FROM target t, inboxes i
    WHERE i.user_id = $1 AND s.user_id = $1 AND s.alert_id = t.alert_id
    RETURNING s.alert_id, s.seq, s.is_read, ${unread} AS unread
  ), counted AS (
    UPDATE inboxes SET last_seq = last_seq + (SELECT count(*) FROM changed),
                       unread_count = unread_count + (SELECT COALESCE(sum(unread), 0) FROM changed)
    WHERE user_id = $1
    RETURNING last_seq, unread_count
  )
  SELECT n.last_seq, n.unread_count, (SELECT epoch FROM service_state) AS epoch, c.alert_id, c.seq, c.is_read FROM counted n LEFT JOIN changed c ON true ORDER BY c.seq`;

/**
 * Where an inbox stands, and whether there is something to change: who changes nothing does not wait for the lock
 * either.
 */
const lookSql = ({ where }: Mutation) => `
  SELECT i.last_seq, i.unread_count, e.epoch,
         EXISTS (SELECT 1 FROM alert_statuses s WHERE ${TARGETS} AND ${where}) AS is_needed
  FROM service_state e LEFT JOIN inboxes i ON i.user_id = $1`;

/**
 * @param alertIds at most 1,000: that bounds the statement, whatever the inbox holds
 * @param upTo entries that have changed since this number are left as they are
 */
async function mutate(
  database: Database,
  userId: string,
  alertIds: readonly number[],
  mutation: Mutation,
  account: Account,
  upTo = Number.MAX_SAFE_INTEGER,
): Promise<InboxUpdate> {
  const values = [userId, alertIds, upTo];
  const { rows: looks } = await database.query<{
    last_seq: number | null;
    unread_count: number | null;
    epoch: number;
    is_needed: boolean;
  }>({ text: lookSql(mutation), values });
  const { last_seq: lastSequence, unread_count: unreadCount, epoch, is_needed: isNeeded } = looks[0]!;
  if (!isNeeded) return { userId, lastSequence: lastSequence ?? 0, unreadCount: unreadCount ?? 0, epoch, changes: [] };
  return database.transaction(async (connection) => {
    // The lock comes first, in a statement of its own: the next statement's snapshot then sees every number given so
    // far.
    await connection.query('SELECT 1 FROM inboxes WHERE user_id = $1 FOR UPDATE', [userId]);
    const { rows } = await connection.query<{
      last_seq: number;
      unread_count: number;
      epoch: number;
      alert_id: number | null;
      seq: number;
      is_read: boolean;
    }>(mutationSql(mutation), values);
    const changed = rows.filter(({ alert_id }) => alert_id !== null);
    if (changed.length > 0)
      await account(connection, {
        changed: changed.length,
        alertIds: firstOf(changed.map(({ alert_id }) => alert_id!)),
      });
    return {
      userId,
      lastSequence: rows[0]?.last_seq ?? 0,
      unreadCount: rows[0]?.unread_count ?? 0,
      epoch: rows[0]?.epoch ?? 0,
      changes: changed.map(({ alert_id, seq, is_read }) => ({
        alertId: alert_id!,
        sequence: seq,
        change: changeOfRank(mutation.change),
        isRead: is_read,
      })),
    };
  }, LOCK_WAIT_MS);
}

/** Marks alerts as read; returns the rows that changed. */
export function markRead(
  database: Database,
  userId: string,
  alertIds: readonly number[],
  account: Account,
): Promise<InboxUpdate> {
  return mutate(database, userId, alertIds, READ, account);
}

export function markUnread(
  database: Database,
  userId: string,
  alertIds: readonly number[],
  account: Account,
): Promise<InboxUpdate> {
  return mutate(database, userId, alertIds, UNREAD, account);
}

/** Deletes softly: a repeated delivery finds the row and leaves it deleted. */
export function deleteFromInbox(
  database: Database,
  userId: string,
  alertIds: readonly number[],
  account: Account,
): Promise<InboxUpdate> {
  return mutate(database, userId, alertIds, DELETED, account);
}

/**
 * Marks as read what is in the inbox when it begins, newest first, a page in each transaction so that others have their
 * turn. It looks no further once it has found as many as are unread.
 * @yields the inbox after each page that changed something; what was marked stays marked if it is not asked for the
 * next one
 * @returns how many are unread in the end
 */
export async function* markAllRead(
  database: Database,
  userId: string,
  account: Account,
): AsyncGenerator<InboxUpdate, number> {
  const { lastSequence: upTo, unreadCount } = await inboxPosition(database, userId);
  let unread = unreadCount;
  let left = unreadCount;
  for (let from = upTo; left > 0;) {
    const { alertIds, next } = await unreadPage(database, userId, from);
    if (alertIds.length > 0) {
      const state = await mutate(database, userId, alertIds, READ, account, upTo);
      unread = state.unreadCount;
      if (state.changes.length > 0) yield state;
    }
    if (next === undefined || unread === 0) break;
    left -= alertIds.length;
    from = next;
  }
  return unread;
}

/**
 * The newest unread entries up to a number, of one page.
 * @returns with up to where to look next; undefined at the end
 */
async function unreadPage(
  database: Database,
  userId: string,
  upTo: number,
): Promise<{ alertIds: number[]; next: number | undefined }> {
  const { rows } = await database.query<{ top: number | null; alert_id: number | null; seq: number | null }>({
    name: 'unread-page',
    text: `
      SELECT t.top, s.alert_id, s.seq
      FROM (SELECT max(seq) AS top FROM alert_statuses WHERE user_id = $1 AND seq <= $2) t
      LEFT JOIN LATERAL (
        SELECT alert_id, seq FROM alert_statuses
        WHERE user_id = $1 AND seq <= t.top AND seq > t.top - ${LOOK_PAGE} AND NOT is_read AND deleted_at IS NULL
        ORDER BY seq DESC LIMIT ${MARK_PAGE}
      ) s ON true
      ORDER BY s.seq DESC`,
    values: [userId, upTo],
  });
  const top = rows[0]?.top ?? null;
  if (top === null) return { alertIds: [], next: undefined };
  const alertIds = rows.flatMap(({ alert_id }) => alert_id ?? []);
  return { alertIds, next: alertIds.length === MARK_PAGE ? rows.at(-1)!.seq! - 1 : top - LOOK_PAGE };
}

export interface InboxEntry {
  readonly alert: StoredAlert;
  readonly isRead: boolean;
  readonly readAt: number | null;
  readonly sequence: number;
  readonly deliveredAt: number;
}

/** Entries that one statement looks at, whatever the filter leaves of them. */
const LIST_PAGE = 2000;

/**
 * Entries with an alert id below `before`, newest first, among the next 2,000 of the inbox.
 * @returns with the id below which there may be more; undefined if there is none
 */
export async function listInbox(
  database: Database,
  query: AlertFilter & { userId: string; unreadOnly: boolean; before: number; limit: number },
): Promise<{ rows: InboxEntry[]; next: number | undefined }> {
  const { userId, before, limit } = query;
  const looked = () =>
    database
      .builder('alert_statuses')
      .where('user_id', userId)
      .where('alert_id', '<', before)
      .orderBy('alert_id', 'desc')
      .limit(LIST_PAGE);
  const select = database
    .builder(looked().as('s'))
    .join('alerts as a', 'a.alert_id', 's.alert_id')
    .select('a.alert_id', 'a.kind', 'a.app_name', 'a.level', 'a.title', 'a.message', 'a.labels', 'a.source_id')
    .select('a.occurred_at', 'a.created_at', 's.is_read', 's.read_at', 's.seq', 's.created_at as delivered_at')
    .whereNull('s.deleted_at')
    .orderBy('s.alert_id', 'desc')
    .limit(limit);
  if (query.unreadOnly) void select.where('s.is_read', false);
  if (query.kinds.length > 0) void select.whereIn('a.kind', query.kinds);
  if (query.minimumRank > 0) void select.where('a.level', '>=', query.minimumRank);
  const rows = await database.build<
    AlertRow & { is_read: boolean; read_at: number | null; seq: number; delivered_at: number }
  >(select);
  const entries = rows.map((row) => ({
    alert: toStoredAlert(row),
    isRead: row.is_read,
    readAt: row.read_at,
    sequence: row.seq,
    deliveredAt: row.delivered_at,
  }));
  if (entries.length === limit) return { rows: entries, next: entries.at(-1)!.alert.alertId };
  const last = looked()
    .select('alert_id')
    .limit(1)
    .offset(LIST_PAGE - 1);
  return { rows: entries, next: (await database.build<{ alert_id: number }>(last))[0]?.alert_id };
}

export interface InboxPosition {
  readonly lastSequence: number;
  /** Rows up to this number were removed by retention. */
  readonly prunedSequence: number;
  readonly unreadCount: number;
}

/** Where an inbox stands; all zero for a user who has received nothing yet. */
export async function inboxPosition(database: Queryable, userId: string): Promise<InboxPosition> {
  const { rows } = await database.query<{ last_seq: number; pruned_seq: number; unread_count: number }>({
    name: 'inbox-position',
    text: 'SELECT last_seq, pruned_seq, unread_count FROM inboxes WHERE user_id = $1',
    values: [userId],
  });
  const row = rows[0];
  if (row === undefined) return { lastSequence: 0, prunedSequence: 0, unreadCount: 0 };
  return { lastSequence: row.last_seq, prunedSequence: row.pruned_seq, unreadCount: row.unread_count };
}

/** A change with the number that the entry had when it was new. */
export interface InboxChangeRow extends EntryChange {
  readonly createdSequence: number;
}

/** Up to where somebody has seen an inbox, and how many changes are wanted at most. */
export interface InboxCursor {
  readonly userId: string;
  readonly after: number;
  readonly limit: number;
}

export type InboxPage = InboxPosition & {
  readonly changes: InboxChangeRow[];
  /** The database's; undefined for a user who has received nothing yet. */
  readonly epoch: number | undefined;
};

interface ChangeRow extends Row {
  place: number;
  last_seq: number;
  pruned_seq: number;
  unread_count: number;
  epoch: number;
  alert_id: number | null;
  seq: number;
  created_seq: number;
  change: number;
  is_read: boolean;
}

/**
 * Rows changed after each cursor, each once and in its latest state, by sequence, with where the inbox stands: all of
 * one snapshot. One range scan of (user_id, seq) a cursor.
 * @returns a page for each cursor, in their order
 */
export async function changesAfter(database: Queryable, cursors: readonly InboxCursor[]): Promise<InboxPage[]> {
  const { rows } = await database.query<ChangeRow>({
    name: 'changes-after',
    text: `
      SELECT w.place, i.last_seq, i.pruned_seq, i.unread_count, (SELECT epoch FROM service_state) AS epoch, c.alert_id, c.seq, c.created_seq, c.change, c.is_read
      FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS w(user_id, after, wanted, place)
      JOIN inboxes i ON i.user_id = w.user_id
      LEFT JOIN LATERAL (
        SELECT s.alert_id, s.seq, s.created_seq, s.change, s.is_read FROM alert_statuses s
        WHERE s.user_id = w.user_id AND s.seq > w.after ORDER BY s.seq LIMIT w.wanted
      ) c ON true
      ORDER BY w.place, c.seq`,
    values: [cursors.map(({ userId }) => userId), cursors.map(({ after }) => after), cursors.map(({ limit }) => limit)],
  });
  const pages = cursors.map(() => ({
    lastSequence: 0,
    prunedSequence: 0,
    unreadCount: 0,
    epoch: undefined as number | undefined,
    changes: [] as InboxChangeRow[],
  }));
  for (const {
    place,
    last_seq,
    pruned_seq,
    unread_count,
    epoch,
    alert_id,
    seq,
    created_seq,
    change,
    is_read,
  } of rows) {
    const page = pages[place - 1]!;
    page.lastSequence = last_seq;
    page.prunedSequence = pruned_seq;
    page.unreadCount = unread_count;
    page.epoch = epoch;
    if (alert_id === null) continue;
    page.changes.push({
      alertId: alert_id,
      sequence: seq,
      createdSequence: created_seq,
      change: changeOfRank(change),
      isRead: is_read,
    });
  }
  return pages;
}

/**
 * The last numbers of these users, and whether they are active; users without an inbox have 0. With the database's
 * epoch.
 */
export async function lastSequences(
  database: Queryable,
  userIds: readonly string[],
): Promise<{ epoch: number; users: Map<string, { lastSequence: number; active: boolean }> }> {
  const { rows } = await database.query<{ epoch: number; user_id: string | null; last_seq: number; active: boolean }>({
    name: 'last-sequences',
    text: `
      SELECT s.epoch, u.user_id, COALESCE(i.last_seq, 0) AS last_seq, u.active
      FROM service_state s
      LEFT JOIN (users u LEFT JOIN inboxes i USING (user_id)) ON u.user_id = ANY($1::text[]) AND u.valid_to IS NULL`,
    values: [userIds],
  });
  const known = rows.filter(({ user_id }) => user_id !== null);
  return {
    epoch: rows[0]?.epoch ?? 0,
    users: new Map(known.map(({ user_id, last_seq, active }) => [user_id!, { lastSequence: last_seq, active }])),
  };
}

/** Whether an alert is in an active user's inbox and not deleted. */
export async function isInInbox(database: Queryable, userId: string, alertId: number): Promise<boolean> {
  const { rows } = await database.query({
    text: `
      SELECT 1 FROM alert_statuses s JOIN users u ON u.user_id = s.user_id AND u.valid_to IS NULL AND u.active
      WHERE s.user_id = $1 AND s.alert_id = $2 AND s.deleted_at IS NULL`,
    values: [userId, alertId],
  });
  return rows.length > 0;
}
