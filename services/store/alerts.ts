import { levelOfRank, levelRank, type AlertKind, type NewAlert, type StoredAlert } from '../domain/alert.js';
import type { Database, Queryable, Row } from '../lib/postgres.js';

/** What became of one alert of an insert. */
export type Inserted =
  | {
      readonly outcome: 'stored';
      readonly alertId: number;
      readonly createdAt: number;
      readonly directoryVersion: number;
    }
  /** The caller has used this request id before. */
  | { readonly outcome: 'replay' }
  /** Somebody who was named does not exist or is inactive. */
  | { readonly outcome: 'unknown-recipients' };

const COLUMNS = `alert_id, kind, app_name, level, title, message, labels, source_id, occurred_at, created_at`;

/**
 * Two statements with the same head: most batches name nobody, and then half of the work falls away. Ids are taken in the
 * input so that the returned rows can be told apart. All of it is one statement, so one transaction and one snapshot:
 * the recipients are those of the directory version that is stored.
 */
const INPUT = `
  input AS MATERIALIZED (
    SELECT nextval('alert_ids') AS alert_id, i.*
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[],
                $9::text[], $10::text[], $11::float8[], $12::text[], $13::boolean[])
      WITH ORDINALITY AS i(caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                           occurred_at, traceparent, recipients_named, n)
  )`;

const insertFrom = (source: string, departments: string) => `
  inserted AS (
    INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                        occurred_at, created_at, directory_version, recipients_named, departments, traceparent)
    SELECT i.alert_id, i.caller, i.request_id, i.request_hash, i.source_id, i.kind, i.app_name, i.level, i.title, i.message,
           i.labels::jsonb, COALESCE(to_timestamp(i.occurred_at / 1000), date_trunc('milliseconds', now())),
           date_trunc('milliseconds', now()), s.directory_version, i.recipients_named, ${departments}, i.traceparent
    FROM ${source} i CROSS JOIN service_state s
    -- Two instances with the same request ids then wait for each other instead of deadlocking.
    ORDER BY i.caller, i.request_id
    ON CONFLICT (caller, request_id) WHERE request_id <> '' DO NOTHING
    RETURNING alert_id, created_at, directory_version
  ),
  queued AS (INSERT INTO outbox (alert_id, created_at) SELECT alert_id, created_at FROM inserted),
  progress AS (
    INSERT INTO alert_progress (alert_id, created_at, reconcile_at) SELECT alert_id, created_at, created_at FROM inserted
  )`;

const INSERT_ROUTED = `
  WITH ${INPUT}, ${insertFrom('input', `'{}'`)}
  SELECT i.n::int AS n, w.alert_id, w.created_at, w.directory_version, false AS refused
  FROM input i LEFT JOIN inserted w USING (alert_id)`;

const INSERT_NAMED = `
  WITH ${INPUT},
  -- A row for every name that exists; a department counts but is expanded at fan-out.
  matched AS MATERIALIZED (
    SELECT r.n, u.user_id, NULL AS department
    FROM unnest($14::int[], $15::text[]) r(n, name)
    JOIN users u ON u.user_id = r.name AND u.valid_to IS NULL AND u.active
    UNION ALL
    SELECT r.n, u.user_id, NULL
    FROM unnest($16::int[], $17::text[]) r(n, name)
    JOIN users u ON lower(u.github_login) = r.name AND u.github_login <> '' AND u.valid_to IS NULL AND u.active
    UNION ALL
    SELECT r.n, NULL, r.name
    FROM unnest($18::int[], $19::text[]) r(n, name)
    WHERE EXISTS (SELECT 1 FROM users u WHERE u.department = r.name AND u.valid_to IS NULL)
  ),
  accepted AS MATERIALIZED (
    SELECT i.*, COALESCE(m.departments, '{}') AS departments
    FROM input i
    JOIN unnest($20::int[]) WITH ORDINALITY AS e(names, n) USING (n)
    LEFT JOIN (
      SELECT n, count(*) AS names, array_agg(department) FILTER (WHERE department IS NOT NULL) AS departments
      FROM matched GROUP BY n
    ) m USING (n)
    WHERE COALESCE(m.names, 0) = e.names
  ),
  ${insertFrom('accepted', 'i.departments')},
  recipients AS (
    INSERT INTO alert_recipients (alert_id, user_id)
    SELECT DISTINCT w.alert_id, m.user_id
    FROM inserted w JOIN input i USING (alert_id) JOIN matched m ON m.n = i.n
    WHERE m.user_id IS NOT NULL
  )
  SELECT i.n::int AS n, w.alert_id, w.created_at, w.directory_version, a.alert_id IS NULL AS refused
  FROM input i LEFT JOIN inserted w USING (alert_id) LEFT JOIN accepted a USING (alert_id)`;

/**
 * Stores alerts with their named recipients, their outbox rows and their progress, all in one statement and so in one
 * transaction.
 * @returns what became of each, in the order given
 */
export async function insertAlerts(database: Queryable, alerts: readonly NewAlert[]): Promise<Inserted[]> {
  const values: unknown[] = [
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
  ];
  const named = alerts.some(({ recipients }) => recipients !== undefined);
  if (named) {
    for (const key of ['userIds', 'githubLogins', 'departments'] as const) {
      const pairs = alerts.flatMap(({ recipients }, index) =>
        (recipients?.[key] ?? []).map((value) => [index + 1, value] as const),
      );
      values.push(
        pairs.map(([n]) => n),
        pairs.map(([, value]) => value),
      );
    }
    values.push(
      alerts.map(({ recipients: r }) =>
        r === undefined ? 0 : r.userIds.length + r.githubLogins.length + r.departments.length,
      ),
    );
  }
  const { rows } = await database.query<InsertedRow>({
    name: named ? 'insert-alerts-named' : 'insert-alerts-routed',
    text: named ? INSERT_NAMED : INSERT_ROUTED,
    values,
  });
  const results: Inserted[] = new Array<Inserted>(alerts.length);
  for (const row of rows) results[row.n - 1] = toInserted(row);
  return results;
}

interface InsertedRow extends Row {
  n: number;
  alert_id: number | null;
  created_at: number;
  directory_version: number;
  refused: boolean;
}

function toInserted({ alert_id, created_at, directory_version, refused }: InsertedRow): Inserted {
  if (refused) return { outcome: 'unknown-recipients' };
  if (alert_id === null) return { outcome: 'replay' };
  return { outcome: 'stored', alertId: alert_id, createdAt: created_at, directoryVersion: directory_version };
}

/** Of the given names, those that no alert can be sent to. `githubLogins` are in lower case. */
export async function unknownRecipients(
  database: Queryable,
  names: { userIds: readonly string[]; githubLogins: readonly string[]; departments: readonly string[] },
): Promise<{ list: 'user_ids' | 'github_logins' | 'departments'; name: string; inactive: boolean }[]> {
  const { rows } = await database.query<{
    list: 'user_ids' | 'github_logins' | 'departments';
    name: string;
    inactive: boolean;
  }>({
    text: `
      SELECT 'user_ids' AS list, name, u.user_id IS NOT NULL AS inactive
      FROM unnest($1::text[]) name LEFT JOIN users u ON u.user_id = name AND u.valid_to IS NULL
      WHERE u.active IS NOT TRUE
      UNION ALL
      SELECT 'github_logins', name, u.user_id IS NOT NULL
      FROM unnest($2::text[]) name
      LEFT JOIN users u ON lower(u.github_login) = name AND u.github_login <> '' AND u.valid_to IS NULL
      WHERE u.active IS NOT TRUE
      UNION ALL
      SELECT 'departments', name, false
      FROM unnest($3::text[]) name
      WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.department = name AND u.valid_to IS NULL)`,
    values: [names.userIds, names.githubLogins, names.departments],
  });
  return rows;
}

/** Alerts that were stored under these callers' request ids, with the hash of their request. */
export async function findReplays(
  database: Queryable,
  requests: readonly { caller: string; requestId: string }[],
): Promise<{ caller: string; requestId: string; requestHash: Buffer; alert: StoredAlert }[]> {
  const { rows } = await database.query<AlertRow & { caller: string; request_id: string; request_hash: Buffer }>({
    text: `
      SELECT a.caller, a.request_id, a.request_hash, ${COLUMNS}
      FROM unnest($1::text[], $2::text[]) r(caller, request_id)
      JOIN alerts a ON a.caller = r.caller AND a.request_id = r.request_id AND a.request_id <> ''`,
    values: [requests.map(({ caller }) => caller), requests.map(({ requestId }) => requestId)],
  });
  return rows.map((row) => ({
    caller: row.caller,
    requestId: row.request_id,
    requestHash: row.request_hash,
    alert: toStoredAlert(row),
  }));
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
  readonly traceparent: string | undefined;
}

export async function findRoutableAlerts(database: Queryable, alertIds: readonly number[]): Promise<RoutableAlert[]> {
  const { rows } = await database.query<
    AlertRow & { directory_version: number; recipients_named: boolean; traceparent: string | null }
  >({
    text: `SELECT ${COLUMNS}, directory_version, recipients_named, traceparent FROM alerts WHERE alert_id = ANY($1::bigint[])`,
    values: [alertIds],
  });
  return rows.map((row) => ({
    alert: toStoredAlert(row),
    directoryVersion: row.directory_version,
    recipientsNamed: row.recipients_named,
    traceparent: row.traceparent ?? undefined,
  }));
}

/** Whom the callers of these alerts named: user ids, and departments that are still to be expanded. */
export async function namedRecipients(
  database: Queryable,
  alertIds: readonly number[],
): Promise<Map<number, { userIds: string[]; departments: string[] }>> {
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
