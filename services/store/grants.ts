import type { RoleName } from '../domain/role-names.js';

/*
 * What each process may do in the database. Each has a user of its own, which may do what stands here and nothing else.
 * A table that has no line fails a test.
 */

/** A role, or who else speaks to PostgreSQL: operators who repair (`reconcile`, `epoch`, `dlq`), and those who look. */
export type DatabaseUser = RoleName | 'standalone' | 'operator' | 'reader';

/** Owns the tables: `ssom-alert migrate` and `ssom-alert database grants` run as this one. */
export const OWNER = 'migrate';

/** Standalone runs all roles, so it may do what any of them may. */
type Line = Readonly<Partial<Record<Exclude<DatabaseUser, 'standalone'>, string>>>;

/** Alerts about ourselves (ALERT_MONITORING_SELF_ALERTS) ask when the last one was, whatever the role. */
const OWN_ALERTS = 'alert_id, caller, request_id, created_at';
const CONTENT = 'kind, app_name, level, title, message, labels, source_id, occurred_at';
const RECONCILED = 'completed_at, reconcile_at, reconcile_attempts';

/** What remembering a dead letter sets, keeping its bytes until its topic takes it, and making room for another one. */
const KEEPING =
  'offset, alert_id, user_id, reason, place, record_key, record_value, record_headers, waits_for, due_at, attempts, ' +
  'purged, created_at';

/** By table: what GRANT says. `FOR UPDATE` needs UPDATE of a column, `ON CONFLICT DO UPDATE` needs SELECT as well. */
const TABLES: Readonly<Record<string, Line>> = {
  service_state: {
    'alert-api': 'SELECT, UPDATE (directory_version)',
    fanout: 'SELECT, UPDATE (closed_to, retention_at)',
    delivery: 'SELECT',
    push: 'SELECT',
    'stream-gateway': 'SELECT',
    operator: 'SELECT, UPDATE (epoch, directory_version)',
    reader: 'SELECT',
  },
  users: {
    'alert-api': 'SELECT, INSERT, UPDATE (valid_to)',
    fanout: 'SELECT (user_id, department, active, valid_from, valid_to)',
    delivery: 'SELECT (user_id, valid_to)',
    'stream-gateway': 'SELECT (user_id, active, valid_to)',
    reader: 'SELECT',
  },
  routing_rules: { 'alert-api': 'SELECT, INSERT, UPDATE (valid_to)', fanout: 'SELECT', reader: 'SELECT' },
  alerts: {
    'alert-api': 'SELECT, INSERT',
    fanout: 'SELECT, DELETE',
    delivery: `SELECT (${OWN_ALERTS})`,
    push: 'SELECT',
    'stream-gateway': `SELECT (${OWN_ALERTS}, ${CONTENT})`,
    operator: `SELECT (${OWN_ALERTS})`,
    reader: 'SELECT',
  },
  alert_recipients: { 'alert-api': 'SELECT, INSERT', fanout: 'SELECT, DELETE', reader: 'SELECT' },
  outbox: { 'alert-api': 'SELECT, INSERT, DELETE', fanout: 'SELECT', operator: 'SELECT, INSERT', reader: 'SELECT' },
  alert_progress: {
    'alert-api': 'SELECT, INSERT, UPDATE (published_at)',
    fanout: `SELECT, UPDATE (fanned_out_at, recipients, published_at, ${RECONCILED}), DELETE`,
    operator: `SELECT, UPDATE (${RECONCILED})`,
    reader: 'SELECT',
  },
  inboxes: {
    'alert-api': 'SELECT, UPDATE (last_seq, unread_count)',
    fanout: 'SELECT, UPDATE (pruned_seq, unread_count)',
    delivery: 'SELECT, INSERT (user_id), UPDATE (last_seq, unread_count)',
    push: 'SELECT',
    'stream-gateway': 'SELECT',
    reader: 'SELECT',
  },
  alert_statuses: {
    'alert-api': 'SELECT, UPDATE (seq, change, changed_at, is_read, read_at, deleted_at)',
    fanout: 'SELECT, DELETE',
    delivery: 'SELECT, INSERT',
    push: 'SELECT',
    'stream-gateway': 'SELECT',
    reader: 'SELECT',
  },
  dead_letters: {
    'alert-api': 'SELECT, INSERT, UPDATE (reason, place, purged, record_headers)',
    fanout: 'SELECT, INSERT, UPDATE, DELETE',
    delivery: `SELECT, INSERT, UPDATE (${KEEPING})`,
    push: `SELECT, INSERT, UPDATE (${KEEPING})`,
    operator: 'SELECT, UPDATE (purged), DELETE',
    reader: 'SELECT',
  },
  devices: {
    'alert-api': 'SELECT, INSERT, UPDATE, DELETE',
    push: 'SELECT, UPDATE (refusals, refusals_in_row, own_refusals_in_row, refused_since, waits_until), DELETE',
    // All but the tokens, with which anybody who has our FCM credentials writes on people's phones.
    reader:
      'SELECT (device_id, user_id, platform, app_version, locale, registered_at, refreshed_at, refusals, refused_since, ' +
      'waits_until, refusals_in_row, own_refusals_in_row)',
  },
  push_cursors: { 'alert-api': 'SELECT, INSERT, UPDATE (seq)', push: 'SELECT, UPDATE (seq)', reader: 'SELECT' },
  push_deliveries: {
    'alert-api': 'SELECT',
    fanout: 'SELECT (alert_id), DELETE',
    push: 'SELECT, INSERT, UPDATE (state, due_at, attempts, strikes, level, dismiss, sent_at, message_name, error)',
    reader: 'SELECT',
  },
  stream_presence: { 'stream-gateway': 'SELECT, INSERT, DELETE', push: 'SELECT', reader: 'SELECT' },
  gateway_leases: { 'stream-gateway': 'SELECT, INSERT, UPDATE (expires_at), DELETE', push: 'SELECT', reader: 'SELECT' },
  audit_log: {
    'alert-api': 'INSERT',
    fanout: 'SELECT, INSERT, DELETE',
    'stream-gateway': 'INSERT',
    operator: 'SELECT, INSERT',
    reader: 'SELECT',
  },
  audit_seals: { fanout: 'SELECT, INSERT, DELETE', operator: 'SELECT', reader: 'SELECT' },
  audit_chain: { fanout: 'SELECT, UPDATE', operator: 'SELECT', reader: 'SELECT' },
  schema_migrations: { reader: 'SELECT' },
  schema_migrations_lock: {},
};

const SEQUENCES: Readonly<Record<string, Line>> = {
  alert_ids: { 'alert-api': 'USAGE', operator: 'SELECT, UPDATE' },
  device_ids: { 'alert-api': 'USAGE' },
  audit_entry_ids: {
    'alert-api': 'USAGE',
    fanout: 'USAGE, SELECT',
    'stream-gateway': 'USAGE',
    operator: 'USAGE, SELECT',
    reader: 'SELECT',
  },
  schema_migrations_id_seq: {},
  schema_migrations_lock_index_seq: {},
};

/** What triggers call; who may write the table needs no right to them. */
export const FUNCTIONS = ['number_audit_entry', 'refuse_audit_change'] as const;

/** The account of who did what: alerts go their way without it. */
export const ASIDE: ReadonlySet<string> = new Set(['audit_log', 'audit_seals', 'audit_chain', 'audit_entry_ids']);

const ROLE_USERS = ['alert-api', 'fanout', 'delivery', 'push', 'stream-gateway'] as const satisfies RoleName[];
export const DATABASE_USERS: readonly DatabaseUser[] = [...ROLE_USERS, 'standalone', 'operator', 'reader'];

/** One privilege of one user. */
export interface Grant {
  readonly object: string;
  readonly isSequence: boolean;
  readonly user: DatabaseUser;
  readonly privilege: string;
  /** Undefined: of all. */
  readonly column: string | undefined;
}

/** Of each table or sequence what each user may do, as GRANT says it. */
export function grantLines(): { object: string; isSequence: boolean; line: Partial<Record<DatabaseUser, string>> }[] {
  const of = (lines: Readonly<Record<string, Line>>, isSequence: boolean) =>
    Object.entries(lines).map(([object, line]) => {
      const all = ROLE_USERS.flatMap((role) => line[role] ?? []).join(', ');
      return { object, isSequence, line: all === '' ? line : { ...line, standalone: all } };
    });
  return [...of(TABLES, false), ...of(SEQUENCES, true)];
}

/** The same as single privileges, each once. */
export function grants(): Grant[] {
  const all = grantLines().flatMap(({ object, isSequence, line }) =>
    Object.entries(line).flatMap(([user, text]) =>
      privilegesOf(text).map((each) => ({ object, isSequence, user: user as DatabaseUser, ...each })),
    ),
  );
  return [...new Map(all.map((grant) => [JSON.stringify(grant), grant])).values()];
}

/** `SELECT, UPDATE (a, b)` as SELECT, UPDATE of a, UPDATE of b; what all columns have a single one need not. */
function privilegesOf(text: string): { privilege: string; column: string | undefined }[] {
  const found = [...text.matchAll(/([A-Z]+)(?: \(([^)]+)\))?/g)].map(([, privilege = '', columns]) => ({
    privilege,
    columns: columns === undefined ? [undefined] : columns.split(', '),
  }));
  const ofAll = new Set(found.filter(({ columns }) => columns[0] === undefined).map(({ privilege }) => privilege));
  return found.flatMap(({ privilege, columns }) =>
    columns.filter((column) => column === undefined || !ofAll.has(privilege)).map((column) => ({ privilege, column })),
  );
}
