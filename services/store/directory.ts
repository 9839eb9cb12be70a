import { firstOf } from '../domain/audit.js';
import { Directory, type RoutingMatch, type RoutingRule, type StaffedRules } from '../domain/routing.js';
import type { Connection, Database, Queryable, Row } from '../lib/postgres.js';
import type { Account } from './audit.js';

export interface User {
  readonly userId: string;
  readonly displayName: string;
  readonly department: string;
  /** Empty: none. */
  readonly githubLogin: string;
  readonly active: boolean;
}

interface UserRow extends Row {
  user_id: string;
  display_name: string;
  department: string;
  github_login: string;
  active: boolean;
}

function toUser(row: UserRow): User {
  return {
    userId: row.user_id,
    displayName: row.display_name,
    department: row.department,
    githubLogin: row.github_login,
    active: row.active,
  };
}

/** Locks the directory against other changes and returns its present version. */
async function lockDirectory(connection: Connection): Promise<number> {
  const { rows } = await connection.query<{ directory_version: number }>(
    'SELECT directory_version FROM service_state FOR UPDATE',
  );
  if (rows[0] === undefined) throw new Error('service_state is empty: the database was not migrated');
  return rows[0].directory_version;
}

async function setVersion(connection: Connection, version: number): Promise<void> {
  await connection.query('UPDATE service_state SET directory_version = $1', [version]);
}

/**
 * Adds or replaces users as one new version of the directory; no new version if nothing differs.
 * @returns the present version
 * @throws a unique violation of users_login if two users would share a GitHub login
 */
export async function upsertUsers(database: Database, users: readonly User[], account: Account): Promise<number> {
  return database.transaction(async (connection) => {
    const version = await lockDirectory(connection);
    const values = [
      users.map(({ userId }) => userId),
      users.map(({ displayName }) => displayName),
      users.map(({ department }) => department),
      users.map(({ githubLogin }) => githubLogin),
      users.map(({ active }) => active),
    ];
    const input = `unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[]) AS
                     i(user_id, display_name, department, github_login, active)`;
    const { rows: changed } = await connection.query<{ user_id: string }>(
      `SELECT i.user_id FROM ${input}
       LEFT JOIN users u ON u.user_id = i.user_id AND u.valid_to IS NULL
       WHERE (u.display_name, u.department, u.github_login, u.active)
             IS DISTINCT FROM (i.display_name, i.department, i.github_login, i.active)`,
      values,
    );
    if (changed.length === 0) return version;
    const ids = changed.map(({ user_id }) => user_id);
    const next = version + 1;
    await connection.query('UPDATE users SET valid_to = $1 WHERE valid_to IS NULL AND user_id = ANY($2)', [next, ids]);
    await connection.query(
      `INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
       SELECT i.user_id, i.display_name, i.department, i.github_login, i.active, $6 FROM ${input} WHERE i.user_id = ANY($7)`,
      [...values, next, ids],
    );
    await connection.query(`DELETE FROM devices d USING ${input} WHERE d.user_id = i.user_id AND NOT i.active`, values);
    await setVersion(connection, next);
    const isActive = new Map(users.map(({ userId, active }) => [userId, active]));
    const inactive = ids.filter((id) => isActive.get(id) === false).length;
    await account(connection, { version: next, changed: ids.length, inactive, users: firstOf(ids) });
    return next;
  });
}

/** Replaces all routing rules as one new version of the directory; no new version if nothing differs. */
export async function setRoutingRules(
  database: Database,
  rules: readonly RoutingRule[],
  account: Account,
): Promise<number> {
  return database.transaction(async (connection) => {
    const version = await lockDirectory(connection);
    const present = await rulesAt(connection, version);
    if (JSON.stringify(present) === JSON.stringify(rules)) return version;
    const next = version + 1;
    await connection.query('UPDATE routing_rules SET valid_to = $1 WHERE valid_to IS NULL', [next]);
    await connection.query(
      `INSERT INTO routing_rules (position, department, match, app_pattern, valid_from)
       SELECT n, department, match, app_pattern, $4
       FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS r(department, match, app_pattern, n)`,
      [
        rules.map(({ department }) => department),
        rules.map(({ match }) => match),
        rules.map(({ appPattern }) => appPattern),
        next,
      ],
    );
    await setVersion(connection, next);
    await account(connection, { version: next, rules: rules.length, before: present.length });
    return next;
  });
}

const VALID_AT = 'valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)';

async function rulesAt(connection: Queryable, version: number): Promise<RoutingRule[]> {
  const { rows } = await connection.query<{ department: string; match: RoutingMatch; app_pattern: string }>({
    text: `SELECT department, match, app_pattern FROM routing_rules WHERE ${VALID_AT} ORDER BY position`,
    values: [version],
  });
  return rows.map(({ department, match, app_pattern }) => ({ department, match, appPattern: app_pattern }));
}

export async function directoryVersion(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ directory_version: number }>({
    text: 'SELECT directory_version FROM service_state',
  });
  return rows[0]?.directory_version ?? 0;
}

export async function currentRoutingRules(database: Queryable): Promise<{ rules: RoutingRule[]; version: number }> {
  const version = await directoryVersion(database);
  return { rules: await rulesAt(database, version), version };
}

/** The active users and the rules of one version. */
export async function loadDirectory(database: Queryable, version: number): Promise<Directory> {
  const { rows } = await database.query<{ user_id: string; department: string }>({
    text: `SELECT user_id, department FROM users WHERE ${VALID_AT} AND active ORDER BY user_id`,
    values: [version],
  });
  const users = rows.map(({ user_id, department }) => ({ userId: user_id, department }));
  return new Directory(version, users, await rulesAt(database, version));
}

/** The rules of one version, and which of their departments had an active user then. */
export async function loadStaffedRules(database: Queryable, version: number): Promise<StaffedRules> {
  const rules = await rulesAt(database, version);
  const { rows } = await database.query<{ department: string }>({
    text: `SELECT DISTINCT department FROM users WHERE ${VALID_AT} AND active AND department = ANY($2::text[])`,
    values: [version, rules.map(({ department }) => department)],
  });
  return { rules, staffed: new Set(rows.map(({ department }) => department)) };
}

/** A department of the present directory that alerts cannot reach. */
export interface UnstaffedDepartment {
  readonly department: string;
  /** A routing rule names it. */
  readonly inRules: boolean;
  /** It has users, all of them inactive. */
  readonly hasUsers: boolean;
}

/** Departments without an active user, those of the rules first; at most `limit`. */
export async function unstaffedDepartments(database: Queryable, limit: number): Promise<UnstaffedDepartment[]> {
  const { rows } = await database.query<{ department: string; in_rules: boolean; has_users: boolean }>({
    text: `
      WITH present AS (
        SELECT department, bool_or(active) AS staffed FROM users WHERE valid_to IS NULL GROUP BY department
      ), ruled AS (SELECT DISTINCT department FROM routing_rules WHERE valid_to IS NULL)
      SELECT department, r.department IS NOT NULL AS in_rules, p.department IS NOT NULL AS has_users
      FROM present p FULL JOIN ruled r USING (department)
      WHERE staffed IS NOT TRUE
      ORDER BY in_rules DESC, department LIMIT $1`,
    values: [limit],
  });
  return rows.map(({ department, in_rules, has_users }) => ({ department, inRules: in_rules, hasUsers: has_users }));
}

/** Users with an id above `after`, ascending. */
export async function listUsers(
  database: Database,
  query: { after: string; department: string; limit: number },
): Promise<User[]> {
  const select = database
    .builder('users')
    .select('user_id', 'display_name', 'department', 'github_login', 'active')
    .whereNull('valid_to')
    .where('user_id', '>', query.after)
    .orderBy('user_id')
    .limit(query.limit);
  if (query.department !== '') void select.where('department', query.department);
  return (await database.build<UserRow>(select)).map(toUser);
}

/** Who exists among these, with whether they are active. */
export async function findUsers(
  database: Queryable,
  userIds: readonly string[],
): Promise<Map<string, { active: boolean }>> {
  const { rows } = await database.query<{ user_id: string; active: boolean }>({
    name: 'find-users',
    text: 'SELECT user_id, active FROM users WHERE user_id = ANY($1::text[]) AND valid_to IS NULL',
    values: [userIds],
  });
  return new Map(rows.map(({ user_id, active }) => [user_id, { active }]));
}
