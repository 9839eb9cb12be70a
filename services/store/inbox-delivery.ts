import { changeOfRank, type EntryChange, type InboxUpdate } from '../domain/alert.js';
import { type Connection, type Database, repeatConflicts, type Row } from '../lib/postgres.js';
import { LOCK_NOT_AVAILABLE, sqlState, UNIQUE_VIOLATION } from '../lib/postgres-errors.js';

export interface Delivery {
  readonly userId: string;
  readonly alertId: number;
  /** Of the record that says so; 0 or absent: not known. */
  readonly epoch?: number;
}

export interface DeliveryResult {
  readonly inboxes: readonly InboxUpdate[];
  /** How many rows are new. */
  readonly created: number;
  /** Deliveries that cannot be: the alert or the user does not exist. */
  readonly impossible: readonly { delivery: Delivery; reason: string }[];
  /** How many were refused because retention has closed their alerts; without those of held inboxes. */
  readonly closed: number;
  /** How many were refused because their numbers are of another epoch than the database's; likewise. */
  readonly otherEpoch: number;
  /** Users whose inbox somebody else holds: nothing of theirs was delivered. */
  readonly held: ReadonlySet<string>;
}

const NOTHING: DeliveryResult = {
  inboxes: [],
  created: 0,
  impossible: [],
  closed: 0,
  otherEpoch: 0,
  held: new Set(),
};

/**
 * How long a batch waits for inboxes that others hold, most of them for a moment; the rest of it is done without those.
 */
const BATCH_WAIT_MS = 10;
/** How long a delivery waits for inboxes that are being made just now, and in line for one that others hold in turn. */
const SHORT_WAIT_MS = 50;
const PATIENT_WAIT_MS = 1000;

const USERS = 'unnest($1::text[], $2::int[], $3::text[]) AS u(user_id, rows, alerts)';
const ALERTS_ARE_OPEN = `(
      SELECT count(*) FROM alerts WHERE alert_id = ANY($4::bigint[]) AND alert_id > (SELECT closed_to FROM service_state)
    ) = $5`;
/** 0: the records do not know it. */
const EPOCH_IS_OURS = '$6::bigint IN (0, (SELECT epoch FROM service_state))';

/**
 * The common case in one statement: every row is new, every inbox and alert exists. The update that locks the inbox
 * gives the base of its numbers, so they become visible in order; without a join one plan is right for any count.
 */
const deliverNewSql = (locked: string) => `
  WITH ${locked}, added AS (
    INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
    SELECT l.user_id, r.alert_id, l.last_seq - l.rows + r.k, l.last_seq - l.rows + r.k, 1, false, now()
    FROM locked l CROSS JOIN LATERAL unnest(l.alerts::bigint[]) WITH ORDINALITY AS r(alert_id, k)
  )
  SELECT user_id, last_seq, unread_count, (SELECT epoch FROM service_state) AS epoch FROM locked`;

/** The condition on the time-out is always true, and evaluated before the first row. */
const DELIVER_ALL = deliverNewSql(`
  locked AS (
    UPDATE inboxes i SET last_seq = i.last_seq + u.rows, unread_count = i.unread_count + u.rows
    FROM ${USERS}
    WHERE i.user_id = u.user_id AND (SELECT set_config('lock_timeout', '${BATCH_WAIT_MS}', true)) IS NOT NULL
      AND ${ALERTS_ARE_OPEN} AND ${EPOCH_IS_OURS}
    RETURNING i.user_id, i.last_seq, i.unread_count, u.rows, u.alerts
  )`);

/** Without inboxes that somebody holds. To lock them first takes a sixth longer, so it is done when it has to be. */
const DELIVER_FREE = deliverNewSql(`
  free AS (
    SELECT i.user_id, u.rows, u.alerts FROM ${USERS} JOIN inboxes i USING (user_id)
    WHERE ${ALERTS_ARE_OPEN} AND ${EPOCH_IS_OURS}
    FOR NO KEY UPDATE OF i SKIP LOCKED
  ), locked AS (
    UPDATE inboxes i SET last_seq = i.last_seq + f.rows, unread_count = i.unread_count + f.rows
    FROM free f WHERE i.user_id = f.user_id
    RETURNING i.user_id, i.last_seq, i.unread_count, f.rows, f.alerts
  )`);

/** The deliveries of one user, each alert once, in the order of the batch. */
type Grouped = Map<string, number[]>;

function group(deliveries: readonly Delivery[]): Grouped {
  const sets = new Map<string, Set<number>>();
  for (const { userId, alertId } of deliveries) {
    const alerts = sets.get(userId);
    if (alerts === undefined) sets.set(userId, new Set([alertId]));
    else alerts.add(alertId);
  }
  // In user_id order, so that two batches that share users lock them in the same order.
  return new Map([...sets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([userId, alerts]) => [userId, [...alerts]]));
}

/**
 * Puts alerts into inboxes: what is new gets the next numbers, what is there stays, and every row is returned as it is
 * now. Doing it again has no effect. An inbox that others hold is left out.
 * @param patient it waits in line for inboxes that others hold, for a second: for the deliveries of one user
 */
export async function deliverToInboxes(
  database: Database,
  deliveries: readonly Delivery[],
  patient = false,
): Promise<DeliveryResult> {
  if (deliveries.length === 0) return NOTHING;
  const grouped = group(deliveries);
  const epochs = epochsOf(deliveries);
  // Of two epochs one at least is not the database's.
  const done = patient || epochs.length > 1 ? [] : await deliverNew(database, grouped, epochs[0] ?? 0);
  const served = new Set(done.map(({ userId }) => userId));
  const rest = deliveries.filter(({ userId }) => !served.has(userId));
  const created = done.reduce((sum, { changes }) => sum + changes.length, 0);
  if (rest.length === 0) return { ...NOTHING, inboxes: done, created };
  const result = await deliverRest(database, rest, patient);
  return { ...result, inboxes: [...done, ...result.inboxes], created: created + result.created };
}

/** The epochs that records name. */
function epochsOf(deliveries: readonly Delivery[]): number[] {
  const epochs = new Set(deliveries.map(({ epoch = 0 }) => epoch));
  epochs.delete(0);
  return [...epochs];
}

async function deliverRest(
  database: Database,
  deliveries: readonly Delivery[],
  patient: boolean,
): Promise<DeliveryResult> {
  try {
    return await database.transaction(
      (connection) => deliverAny(connection, deliveries, patient),
      patient ? PATIENT_WAIT_MS : SHORT_WAIT_MS,
    );
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
    return { ...NOTHING, held: new Set(deliveries.map(({ userId }) => userId)) };
  }
}

/** @returns the inboxes that were served; none if a row existed, and not those that do not exist */
async function deliverNew(database: Database, grouped: Grouped, epoch: number): Promise<InboxUpdate[]> {
  const lists = [...grouped.values()];
  const alerts = [...new Set(lists.flat())];
  const values = [
    [...grouped.keys()],
    lists.map(({ length }) => length),
    lists.map((alertIds) => `{${alertIds.join(',')}}`),
    alerts,
    alerts.length,
    epoch,
  ];
  try {
    const rows = await runDeliverNew(database, values);
    return rows.map(({ user_id, last_seq, unread_count, epoch: present }) => {
      const alertIds = grouped.get(user_id)!;
      const base = last_seq - alertIds.length;
      return {
        userId: user_id,
        lastSequence: last_seq,
        unreadCount: unread_count,
        epoch: present,
        changes: alertIds.map((alertId, index) => ({
          alertId,
          sequence: base + index + 1,
          change: 'CREATED',
          isRead: false,
        })),
      };
    });
  } catch (error) {
    // Some row is there already: a repeated record. Nothing was changed.
    if (sqlState(error) === UNIQUE_VIOLATION) return [];
    throw error;
  }
}

interface ServedInbox extends Row {
  user_id: string;
  last_seq: number;
  unread_count: number;
  epoch: number;
}

async function runDeliverNew(database: Database, values: unknown[]): Promise<ServedInbox[]> {
  const run = async (name: string, text: string) => (await database.query<ServedInbox>({ name, text, values })).rows;
  try {
    // Users are locked in the plan's order. Only after a rebalance do two batches share users, and may deadlock.
    return await repeatConflicts(() => run('deliver-new', DELIVER_ALL));
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
    return run('deliver-free', DELIVER_FREE);
  }
}

/**
 * The general case: rows may exist, inboxes may be missing or held, alerts and users may not exist, alerts may be
 * closed, records may be of another epoch.
 */
async function deliverAny(
  connection: Connection,
  deliveries: readonly Delivery[],
  patient: boolean,
): Promise<DeliveryResult> {
  const state = await connection.query<{ closed_to: number; epoch: number }>(
    'SELECT closed_to, epoch FROM service_state',
  );
  const { closed_to: closedTo = 0, epoch = 0 } = state.rows[0] ?? {};
  const ours = deliveries.filter(({ epoch: named = 0 }) => named === 0 || named === epoch);
  const others = deliveries
    .filter(({ epoch: named = 0 }) => named !== 0 && named !== epoch)
    .map(({ userId }) => userId);
  const { possible, impossible, closed } = await sortOut(connection, group(ours), closedTo);
  const users = [...possible.keys()];
  if (users.length === 0) return { ...NOTHING, impossible, closed: closed.length, otherEpoch: others.length };
  await connection.query('INSERT INTO inboxes (user_id) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING', [
    users,
  ]);
  const { rows: inboxes } = await connection.query<{ user_id: string; last_seq: number; unread_count: number }>(
    `SELECT user_id, last_seq, unread_count FROM inboxes WHERE user_id = ANY($1::text[]) ORDER BY user_id
     FOR UPDATE ${patient ? '' : 'SKIP LOCKED'}`,
    [users],
  );
  const free = new Set(inboxes.map(({ user_id }) => user_id));
  const held = new Set(users.filter((userId) => !free.has(userId)));
  // Under the lock nobody else adds rows to these inboxes, so what is missing now is new.
  const pairs = [...free].flatMap((userId) => possible.get(userId)!.map((alertId) => ({ userId, alertId })));
  const present = await findRows(connection, pairs);
  const created: { userId: string; row: EntryChange }[] = [];
  const states = inboxes.map(({ user_id: userId, last_seq, unread_count }) => {
    let last = last_seq;
    const changes = possible.get(userId)!.map((alertId) => {
      const old = present.get(`${alertId} ${userId}`);
      if (old !== undefined) return old;
      last += 1;
      const row: EntryChange = { alertId, sequence: last, change: 'CREATED', isRead: false };
      created.push({ userId, row });
      return row;
    });
    changes.sort((a, b) => a.sequence - b.sequence);
    return { userId, lastSequence: last, unreadCount: unread_count + (last - last_seq), epoch, changes };
  });
  if (created.length > 0) {
    await connection.query(
      `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
       SELECT user_id, alert_id, seq, seq, 1, false, now() FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS r(user_id, alert_id, seq)`,
      [
        created.map(({ userId }) => userId),
        created.map(({ row }) => row.alertId),
        created.map(({ row }) => row.sequence),
      ],
    );
    await connection.query(
      `UPDATE inboxes i SET last_seq = n.last_seq, unread_count = n.unread_count
       FROM unnest($1::text[], $2::bigint[], $3::int[]) AS n(user_id, last_seq, unread_count) WHERE i.user_id = n.user_id`,
      [
        states.map(({ userId }) => userId),
        states.map(({ lastSequence }) => lastSequence),
        states.map(({ unreadCount }) => unreadCount),
      ],
    );
  }
  // What waits comes again, and is counted then.
  const settled = (userIds: readonly string[]) => userIds.filter((userId) => !held.has(userId)).length;
  return {
    inboxes: states,
    created: created.length,
    impossible,
    closed: settled(closed),
    otherEpoch: settled(others),
    held,
  };
}

async function sortOut(connection: Connection, grouped: Grouped, closedTo: number) {
  const { rows: alerts } = await connection.query<{ alert_id: number }>(
    'SELECT alert_id FROM alerts WHERE alert_id = ANY($1::bigint[])',
    [[...new Set([...grouped.values()].flat())]],
  );
  const { rows: users } = await connection.query<{ user_id: string }>(
    'SELECT user_id FROM users WHERE user_id = ANY($1::text[]) AND valid_to IS NULL',
    [[...grouped.keys()]],
  );
  const knownAlerts = new Set(alerts.map(({ alert_id }) => alert_id));
  const knownUsers = new Set(users.map(({ user_id }) => user_id));
  const possible: Grouped = new Map();
  const impossible: { delivery: Delivery; reason: string }[] = [];
  const closed: string[] = [];
  for (const [userId, alertIds] of grouped) {
    // Ids begin at 1: what is below is no alert at all.
    const open = alertIds.filter((alertId) => alertId > closedTo || alertId < 1);
    closed.push(...alertIds.slice(open.length).map(() => userId));
    const kept = open.filter((alertId) => knownUsers.has(userId) && knownAlerts.has(alertId));
    if (kept.length > 0) possible.set(userId, kept);
    for (const alertId of open) {
      if (!knownUsers.has(userId))
        impossible.push({ delivery: { userId, alertId }, reason: `user ${userId} does not exist` });
      else if (!knownAlerts.has(alertId))
        impossible.push({ delivery: { userId, alertId }, reason: `alert ${alertId} does not exist` });
    }
  }
  return { possible, impossible, closed };
}

interface StatusRow extends Row {
  user_id: string;
  alert_id: number;
  seq: number;
  change: number;
  is_read: boolean;
}

async function findRows(connection: Connection, pairs: readonly Delivery[]): Promise<Map<string, EntryChange>> {
  const { rows } = await connection.query<StatusRow>(
    `SELECT s.user_id, s.alert_id, s.seq, s.change, s.is_read
     FROM unnest($1::text[], $2::bigint[]) AS p(user_id, alert_id) JOIN alert_statuses s USING (user_id, alert_id)`,
    [pairs.map(({ userId }) => userId), pairs.map(({ alertId }) => alertId)],
  );
  return new Map(
    rows.map((row) => [
      `${row.alert_id} ${row.user_id}`,
      { alertId: row.alert_id, sequence: row.seq, change: changeOfRank(row.change), isRead: row.is_read },
    ]),
  );
}

/**
 * Of the given deliveries those whose row does not exist: what is missing, and the alerts of what waits among the dead
 * letters. What was given up there for good is neither.
 */
export async function missingDeliveries(
  database: Database,
  deliveries: readonly Delivery[],
): Promise<{ missing: Delivery[]; held: Set<number> }> {
  const { rows } = await database.query<{ user_id: string; alert_id: number; held: boolean | null }>({
    text: `
      SELECT p.user_id, p.alert_id, d.held FROM unnest($1::text[], $2::bigint[]) AS p(user_id, alert_id)
      LEFT JOIN LATERAL (
        SELECT bool_or(NOT purged) AS held FROM dead_letters d WHERE d.alert_id = p.alert_id AND d.user_id = p.user_id
      ) d ON true
      WHERE NOT EXISTS (SELECT 1 FROM alert_statuses s WHERE s.user_id = p.user_id AND s.alert_id = p.alert_id)
        AND d.held IS NOT FALSE`,
    values: [deliveries.map(({ userId }) => userId), deliveries.map(({ alertId }) => alertId)],
  });
  const missing = rows.filter(({ held }) => held === null);
  return {
    missing: missing.map(({ user_id, alert_id }) => ({ userId: user_id, alertId: alert_id })),
    held: new Set(rows.filter(({ held }) => held === true).map(({ alert_id }) => alert_id)),
  };
}
