import {
  type AlertKind,
  countNames,
  levelOfRank,
  levelRank,
  type NamedRecipients,
  type NewAlert,
  type RecipientList,
  type StoredAlert,
  type Unreached,
  type UnreachedReason,
} from '../domain/alert.js';
import type { ResolvedRecipients } from '../domain/routing.js';
import type { Database, Queryable, Row } from '../lib/postgres.js';

/** What became of one alert of an insert. */
export type Inserted =
  | {
      readonly outcome: 'stored';
      readonly alertId: number;
      readonly createdAt: number;
      readonly directoryVersion: number;
      /** Null: nobody was named, or more than an event carries. */
      readonly namedRecipients: ResolvedRecipients | null;
      readonly reach: Reach;
      readonly epoch: number;
    }
  /** The caller has used this request id before. */
  | { readonly outcome: 'replay' }
  /**
   * Nobody who was named exists and is active. Nothing was stored, whether the caller has used this request id before
   * or not.
   */
  | { readonly outcome: 'unknown-recipients'; readonly unreached: Unreached };

/** Whom an alert reaches, as far as it was known when it was stored. */
export interface Reach {
  readonly directoryVersion: number;
  readonly unreached: Unreached;
  /** Whether somebody who was named gets it. Undefined: nobody was named, so the routing rules decide. */
  readonly reachesNamed: boolean | undefined;
}

/** Names that reach nobody, kept and told. */
const UNREACHED_KEPT = 100;
/** Named recipients up to this number travel in the event, which saves fan-out a query; more are read from here. */
const NAMES_IN_EVENT = 100;

const COLUMNS = `alert_id, kind, app_name, level, title, message, labels, source_id, occurred_at, created_at`;

/**
 * One statement, so one snapshot: the recipients are those of the directory version that is stored. Row by row or by
 * hash, which is right for one alert and for 500: a plan of joins took 26 ms for 200 alerts.
 */
const INSERT = `
  WITH resolved AS MATERIALIZED (
    SELECT nextval('alert_ids') AS alert_id, i.*, u.user_ids, d.departments,
           i.names = 0 OR u.found + d.found > 0 AS accepted,
           CASE WHEN u.missing > 0 OR d.missing > 0 THEN jsonb_build_object(
             'count', u.missing + d.missing,
             'names', to_jsonb((COALESCE(u.missing_names, '{}') || COALESCE(d.missing_names, '{}'))[1:${UNREACHED_KEPT}]),
             'reached', u.found + d.staffed > 0) END AS unreached
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[],
                $9::text[], $10::text[], $11::float8[], $12::text[], $13::boolean[], $14::int[], $15::jsonb[], $16::jsonb[],
                $17::jsonb[])
      WITH ORDINALITY AS i(caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                           occurred_at, traceparent, recipients_named, names, named_users, named_logins, named_departments, n)
    -- LIMIT keeps the look-up of one name a look-up: as a join it may become a scan of all users for each alert.
    LEFT JOIN LATERAL (
      SELECT array_agg(DISTINCT user_id) FILTER (WHERE active) AS user_ids, count(*) FILTER (WHERE active) AS found,
             count(*) FILTER (WHERE active IS NOT TRUE) AS missing,
             array_agg(jsonb_build_array(list, name, CASE WHEN active IS NULL THEN 'UNKNOWN' ELSE 'INACTIVE' END)
                       ORDER BY part, place) FILTER (WHERE active IS NOT TRUE) AS missing_names
      FROM (
        SELECT 1 AS part, 'USER_IDS' AS list, name, place, by_id.user_id, by_id.active
        FROM jsonb_array_elements_text(i.named_users) WITH ORDINALITY AS named_user(name, place)
        LEFT JOIN LATERAL (
          SELECT user_id, active FROM users WHERE user_id = name AND valid_to IS NULL LIMIT 1
        ) by_id ON true
        UNION ALL
        SELECT 2, 'GITHUB_LOGINS', name, place, by_login.user_id, by_login.active
        FROM jsonb_array_elements_text(i.named_logins) WITH ORDINALITY AS named_login(name, place)
        LEFT JOIN LATERAL (
          SELECT user_id, active FROM users
          WHERE lower(github_login) = lower(name) AND github_login <> '' AND valid_to IS NULL LIMIT 1
        ) by_login ON true
      ) named
      WHERE i.names > 0
    ) u ON true
    -- A department counts, with active users or without, and is expanded at fan-out.
    LEFT JOIN LATERAL (
      SELECT array_agg(name) FILTER (WHERE known) AS departments, count(known) AS found, count(has_active) AS staffed,
             count(*) FILTER (WHERE has_active IS NULL) AS missing,
             array_agg(jsonb_build_array('DEPARTMENTS', name, CASE WHEN known THEN 'NO_ACTIVE_USER' ELSE 'UNKNOWN' END)
                       ORDER BY place) FILTER (WHERE has_active IS NULL) AS missing_names
      FROM jsonb_array_elements_text(i.named_departments) WITH ORDINALITY AS named(name, place)
      LEFT JOIN LATERAL (SELECT true AS known FROM users WHERE department = name AND valid_to IS NULL LIMIT 1) member ON true
      LEFT JOIN LATERAL (
        SELECT true AS has_active FROM users WHERE department = name AND valid_to IS NULL AND active LIMIT 1
      ) active_member ON true
      WHERE i.names > 0
    ) d ON true
  ),
  inserted AS (
    INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                        occurred_at, created_at, directory_version, recipients_named, departments, traceparent, unreached)
    SELECT alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels::jsonb,
           COALESCE(to_timestamp(occurred_at / 1000), date_trunc('milliseconds', now())),
           date_trunc('milliseconds', now()), (SELECT directory_version FROM service_state), recipients_named,
           COALESCE(departments, '{}'), traceparent, unreached
    FROM resolved
    WHERE accepted
    -- Two instances with the same request ids then wait for each other instead of deadlocking.
    ORDER BY caller, request_id
    ON CONFLICT (caller, request_id) WHERE request_id <> '' DO NOTHING
    RETURNING alert_id, created_at
  ),
  queued AS (INSERT INTO outbox (alert_id, created_at) SELECT alert_id, created_at FROM inserted),
  progress AS (
    INSERT INTO alert_progress (alert_id, created_at, reconcile_at) SELECT alert_id, created_at, created_at FROM inserted
  ),
  recipients AS (
    INSERT INTO alert_recipients (alert_id, user_id)
    SELECT r.alert_id, user_id
    FROM resolved r CROSS JOIN LATERAL unnest(r.user_ids) user_id
    -- As an expression it is looked up in a hash; as a join it would be compared row by row.
    WHERE (r.alert_id IN (SELECT alert_id FROM inserted)) IS TRUE
  )
  SELECT n::int AS n, alert_id, accepted, (alert_id IN (SELECT alert_id FROM inserted)) AS stored,
         date_trunc('milliseconds', now()) AS created_at, (SELECT directory_version FROM service_state) AS directory_version,
         (SELECT epoch FROM service_state) AS epoch,
         departments, CASE WHEN cardinality(user_ids) <= ${NAMES_IN_EVENT} THEN user_ids END AS user_ids, unreached
  FROM resolved`;

const NOBODY: NamedRecipients = { userIds: [], githubLogins: [], departments: [] };

/**
 * Stores alerts with their named recipients, their outbox rows and their progress, all in one statement and so in one
 * transaction.
 * @returns what became of each, in the order given
 */
export async function insertAlerts(database: Queryable, alerts: readonly NewAlert[]): Promise<Inserted[]> {
  const named = alerts.map(({ recipients }) => recipients ?? NOBODY);
  const { rows } = await database.query<InsertedRow>({
    name: 'insert-alerts',
    text: INSERT,
    values: [
      alerts.map(({ caller }) => caller),
      alerts.map(({ requestId }) => requestId),
      alerts.map(({ requestHash }) => requestHash),
      alerts.map(({ sourceId }) => sourceId),
      alerts.map(({ kind }) => kind),
      alerts.map(({ appName }) => appName),
      alerts.map(({ level }) => levelRank(level)),
      alerts.map(({ title }) => title),
      alerts.map(({ message }) => message),
      alerts.map(({ labels }) => JSON.stringify(labels)),
      alerts.map(({ occurredAt }) => occurredAt ?? null),
      alerts.map(({ traceparent }) => traceparent ?? null),
      alerts.map(({ recipients }) => recipients !== undefined),
      named.map(countNames),
      named.map(({ userIds }) => JSON.stringify(userIds)),
      named.map(({ githubLogins }) => JSON.stringify(githubLogins)),
      named.map(({ departments }) => JSON.stringify(departments)),
    ],
  });
  const results: Inserted[] = new Array<Inserted>(alerts.length);
  for (const row of rows) results[row.n - 1] = toInserted(row, alerts[row.n - 1]!);
  return results;
}

interface InsertedRow extends Row {
  n: number;
  alert_id: number;
  accepted: boolean;
  stored: boolean;
  created_at: number;
  directory_version: number;
  epoch: number;
  user_ids: string[] | null;
  departments: string[] | null;
  unreached: UnreachedJson | null;
}

/** As alerts.unreached holds it. */
interface UnreachedJson {
  readonly count: number;
  /** Whether somebody else who was named gets it. */
  readonly reached: boolean;
  readonly names: readonly (readonly [list: RecipientList, name: string, reason: UnreachedReason])[];
}

function toUnreached(json: UnreachedJson | null): Unreached {
  if (json === null) return { names: [], count: 0 };
  return { count: json.count, names: json.names.map(([list, name, reason]) => ({ list, name, reason })) };
}

function toInserted(row: InsertedRow, { recipients }: NewAlert): Inserted {
  if (!row.accepted) return { outcome: 'unknown-recipients', unreached: toUnreached(row.unreached) };
  if (!row.stored) return { outcome: 'replay' };
  return {
    outcome: 'stored',
    alertId: row.alert_id,
    createdAt: row.created_at,
    directoryVersion: row.directory_version,
    epoch: row.epoch,
    namedRecipients:
      recipients !== undefined && countNames(recipients) <= NAMES_IN_EVENT
        ? { userIds: row.user_ids ?? [], departments: row.departments ?? [] }
        : null,
    reach: {
      directoryVersion: row.directory_version,
      unreached: toUnreached(row.unreached),
      reachesNamed: recipients === undefined ? undefined : (row.unreached?.reached ?? true),
    },
  };
}

interface ReplayRow extends AlertRow {
  caller: string;
  request_id: string;
  request_hash: Buffer;
  directory_version: number;
  recipients_named: boolean;
  unreached: UnreachedJson | null;
}

/** An alert that was stored under a caller's request id. */
export interface Replayed {
  readonly caller: string;
  readonly requestId: string;
  readonly requestHash: Buffer;
  readonly alert: StoredAlert;
  readonly reach: Reach;
}

/** Alerts that were stored under these callers' request ids, with the hash of their request. */
export async function findReplays(
  database: Queryable,
  requests: readonly { caller: string; requestId: string }[],
): Promise<Replayed[]> {
  const { rows } = await database.query<ReplayRow>({
    text: `
      SELECT a.caller, a.request_id, a.request_hash, a.directory_version, a.recipients_named, a.unreached, ${COLUMNS}
      FROM unnest($1::text[], $2::text[]) r(caller, request_id)
      JOIN alerts a ON a.caller = r.caller AND a.request_id = r.request_id AND a.request_id <> ''`,
    values: [requests.map(({ caller }) => caller), requests.map(({ requestId }) => requestId)],
  });
  return rows.map((row) => ({
    caller: row.caller,
    requestId: row.request_id,
    requestHash: row.request_hash,
    alert: toStoredAlert(row),
    reach: {
      directoryVersion: row.directory_version,
      unreached: toUnreached(row.unreached),
      reachesNamed: row.recipients_named ? (row.unreached?.reached ?? true) : undefined,
    },
  }));
}

/** Names under which an alert reaches nobody, as of when it was stored. */
export async function unreachedOf(database: Queryable, alertId: number): Promise<Unreached> {
  const { rows } = await database.query<{ unreached: UnreachedJson | null }>({
    name: 'unreached-of',
    text: 'SELECT unreached FROM alerts WHERE alert_id = $1',
    values: [alertId],
  });
  return toUnreached(rows[0]?.unreached ?? null);
}

export interface AlertRow extends Row {
  alert_id: number;
  kind: AlertKind;
  app_name: string;
  level: number;
  title: string;
  message: string;
  labels: Record<string, string>;
  source_id: string;
  occurred_at: number;
  created_at: number;
}

export function toStoredAlert(row: AlertRow): StoredAlert {
  return {
    alertId: row.alert_id,
    kind: row.kind,
    appName: row.app_name,
    level: levelOfRank(row.level),
    title: row.title,
    message: row.message,
    labels: row.labels,
    sourceId: row.source_id,
    occurredAt: row.occurred_at,
    createdAt: row.created_at,
  };
}

/** The alerts that exist among the given ids, in any order. */
export async function findAlerts(database: Queryable, alertIds: readonly number[]): Promise<StoredAlert[]> {
  const { rows } = await database.query<AlertRow>({
    name: 'find-alerts',
    text: `SELECT ${COLUMNS} FROM alerts WHERE alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
  return rows.map(toStoredAlert);
}

/** When alerts were created, in milliseconds since 1970; those that do not exist are left out. */
export async function creationTimes(database: Queryable, alertIds: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await database.query<{ alert_id: number; created_at: number }>({
    name: 'creation-times',
    text: 'SELECT alert_id, created_at FROM alerts WHERE alert_id = ANY($1::bigint[])',
    values: [alertIds],
  });
  return new Map(rows.map(({ alert_id, created_at }) => [alert_id, created_at]));
}

export interface AlertFilter {
  /** Empty: all. */
  readonly kinds: readonly AlertKind[];
  /** Least rank; 0: all. */
  readonly minimumRank: number;
}

/** Alerts with an id below `before`, newest first. */
export async function listAlerts(
  database: Database,
  query: AlertFilter & { appName: string; before: number; limit: number },
): Promise<StoredAlert[]> {
  const select = database
    .builder('alerts')
    .select(COLUMNS.split(', '))
    .where('alert_id', '<', query.before)
    .orderBy('alert_id', 'desc')
    .limit(query.limit);
  if (query.kinds.length > 0) void select.whereIn('kind', query.kinds);
  if (query.minimumRank > 0) void select.where('level', '>=', query.minimumRank);
  if (query.appName !== '') void select.where('app_name', query.appName);
  return (await database.build<AlertRow>(select)).map(toStoredAlert);
}

/** What is needed to publish an alert, or to find its recipients, when only its id is known. */
export interface RoutableAlert {
  readonly alert: StoredAlert;
  readonly directoryVersion: number;
  readonly recipientsNamed: boolean;
  /** Not read: fan-out looks them up. */
  readonly namedRecipients: null;
  /** The database's. */
  readonly epoch: number;
  readonly traceparent: string | undefined;
}

export async function findRoutableAlerts(database: Queryable, alertIds: readonly number[]): Promise<RoutableAlert[]> {
  const { rows } = await database.query<
    AlertRow & { directory_version: number; recipients_named: boolean; traceparent: string | null; epoch: number }
  >({
    text: `SELECT ${COLUMNS}, directory_version, recipients_named, traceparent, (SELECT epoch FROM service_state) AS epoch
           FROM alerts WHERE alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
  return rows.map((row) => ({
    alert: toStoredAlert(row),
    directoryVersion: row.directory_version,
    recipientsNamed: row.recipients_named,
    namedRecipients: null,
    epoch: row.epoch,
    traceparent: row.traceparent ?? undefined,
  }));
}

/** The traceparents of those of these alerts that have one. */
export async function alertTraceparents(
  database: Queryable,
  alertIds: readonly number[],
): Promise<Map<number, string>> {
  const { rows } = await database.query<{ alert_id: number; traceparent: string }>({
    name: 'alert-traceparents',
    text: 'SELECT alert_id, traceparent FROM alerts WHERE alert_id = ANY($1::bigint[]) AND traceparent IS NOT NULL',
    values: [alertIds],
  });
  return new Map(rows.map(({ alert_id, traceparent }) => [alert_id, traceparent]));
}

/** Whom the callers of these alerts named: user ids, and departments that are still to be expanded. */
export async function namedRecipients(
  database: Queryable,
  alertIds: readonly number[],
): Promise<Map<number, ResolvedRecipients>> {
  const { rows } = await database.query<{ alert_id: number; departments: string[]; user_ids: string[] | null }>({
    name: 'named-recipients',
    text: `
      SELECT a.alert_id, a.departments,
             (SELECT array_agg(r.user_id) FROM alert_recipients r WHERE r.alert_id = a.alert_id) AS user_ids
      FROM alerts a WHERE a.alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
  return new Map(rows.map((row) => [row.alert_id, { userIds: row.user_ids ?? [], departments: row.departments }]));
}
