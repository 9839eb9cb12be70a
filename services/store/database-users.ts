import type { Connection, Database, Queryable, Row } from '../lib/postgres.js';
import { INSUFFICIENT_PRIVILEGE } from '../lib/postgres-errors.js';
import { ASIDE, DATABASE_USERS, type DatabaseUser, FUNCTIONS, grantLines, grants, OWNER } from './grants.js';

/*
 * The users of grants.ts in a database: `usersSql` makes them, which takes an administrator of PostgreSQL; `setGrants`
 * gives and takes privileges, which the owner of the tables can.
 */

/* eslint-disable sql/constants -- PostgreSQL takes no parameters for names of users; userName lets only words through */

/** How often a table that somebody holds is asked for. */
const OWNER_TRIES = 5;

const PREFIX_FORM = /^[a-z_][a-z0-9_]{0,39}$/;

/** What a user of PostgreSQL is called: `ssom_` and the role. @throws Error if such a name cannot be had */
export function userName(prefix: string, user: DatabaseUser | typeof OWNER): string {
  if (!PREFIX_FORM.test(prefix))
    throw new Error(
      'a prefix of users is 1 to 40 lower-case letters, digits and underscores, and begins with no digit',
    );
  return `${prefix}${user.replaceAll('-', '_')}`;
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/**
 * SQL that makes the users without passwords, keeps everybody else out of the database and its schema, and makes one of
 * them the owner of our tables, sequences and functions. Doing it again changes nothing. It is one statement, which
 * must not run within a transaction.
 */
export function usersSql(prefix: string): string {
  const owner = userName(prefix, OWNER);
  const users = [owner, ...DATABASE_USERS.map((user) => userName(prefix, user))];
  const make = users.map(
    (user) =>
      `  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(user)}) THEN CREATE ROLE ${quoted(user)} LOGIN; END IF;`,
  );
  const all = users.map(quoted).join(', ');
  const objects = grantLines().map(({ object }) => literal(object));
  return `DO $$
DECLARE
  object record;
  held text;
BEGIN
${make.join('\n')}
  -- Who is no superuser must be one of those to whom it gives tables.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN GRANT ${quoted(owner)} TO CURRENT_USER; END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, ${all}', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO ${all}', current_database());
  EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC, ${all}', current_schema());
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO ${all}', current_schema());
  EXECUTE format('GRANT CREATE ON SCHEMA %I TO ${quoted(owner)}', current_schema());
  COMMIT;
  -- One table at a time, and each for half a second: roles that run meanwhile wait behind it, and use several.
  FOR tries IN 1..${OWNER_TRIES} LOOP
    held := NULL;
    FOR object IN
      SELECT oid::regclass AS name FROM pg_class c
      WHERE relnamespace = current_schema()::regnamespace AND relname IN (${objects.join(', ')})
        AND relowner <> ${literal(owner)}::regrole
        -- The sequence of a column goes with its table.
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i'))
    LOOP
      PERFORM set_config('lock_timeout', '500ms', true);
      BEGIN
        EXECUTE format('ALTER TABLE %s OWNER TO ${quoted(owner)}', object.name);
      EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        held := object.name;
      END;
      COMMIT;
    END LOOP;
    EXIT WHEN held IS NULL;
    PERFORM pg_sleep(0.5);
  END LOOP;
  IF held IS NOT NULL THEN
    RAISE 'a transaction, such as a backup, holds the table %; try again when it is over', held USING ERRCODE = 'lock_not_available';
  END IF;
  FOR object IN
    SELECT oid::regprocedure AS name FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND proname IN (${FUNCTIONS.map(literal).join(', ')})
      AND proowner <> ${literal(owner)}::regrole
  LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO ${quoted(owner)}', object.name);
  END LOOP;
END $$;`;
}

/**
 * @param role of which everything is asked for that it may ever need
 * @param part alerts: what their way needs; aside: the rest
 * @throws Error with the code of a refusal, if the user of these connections lacks any of it
 */
export async function requireGrants(database: Queryable, role: string, part: 'alerts' | 'aside'): Promise<void> {
  const needed = grants().filter(({ user, object }) => user === role && ASIDE.has(object) === (part === 'aside'));
  const { rows } = await database.query<{ user: string; lacks: string | null }>({
    text: `
      SELECT current_user AS user, string_agg(DISTINCT privilege || ' on ' || object, ', ') FILTER (WHERE NOT CASE
        WHEN is_sequence THEN has_sequence_privilege(object, privilege)
        WHEN "column" IS NULL THEN has_table_privilege(object, privilege)
        ELSE has_column_privilege(object, "column", privilege) END) AS lacks
      FROM unnest($1::text[], $2::bool[], $3::text[], $4::text[]) AS g(object, is_sequence, privilege, "column")`,
    values: [
      needed.map(({ object }) => object),
      needed.map(({ isSequence }) => isSequence),
      needed.map(({ privilege }) => privilege),
      needed.map(({ column }) => column ?? null),
    ],
  });
  const { user, lacks } = rows[0]!;
  if (lacks === null) return;
  throw Object.assign(new Error(`PostgreSQL's user ${user} lacks what ${role} needs: ${lacks}`), {
    code: INSUFFICIENT_PRIVILEGE,
  });
}

/** A user has more than SQL's GRANT on tables could take away, or is missing. */
export interface UserProblem {
  readonly user: string;
  readonly problem: string;
}

/**
 * Gives the users what grants.ts says and takes away what else they have on tables and sequences, in one transaction.
 * Nobody else's grants are touched, but PUBLIC has none.
 * @param dryRun only say it
 * @returns the statements; none if all is as it should be
 * @throws Error if a user or a table is missing
 */
export async function setGrants(database: Database, prefix: string, dryRun: boolean): Promise<string[]> {
  return database.transaction(async (connection) => {
    // Two who do this at once, or one and a migration, would find the catalogue changed under them.
    if (!dryRun) await connection.query('LOCK TABLE schema_migrations IN SHARE ROW EXCLUSIVE MODE');
    await requireUsersAndTables(connection, prefix);
    const statements = await missingStatements(connection, prefix);
    if (!dryRun) for (const statement of statements) await connection.query(statement);
    return statements;
  });
}

async function requireUsersAndTables(connection: Connection, prefix: string): Promise<void> {
  const users = DATABASE_USERS.map((user) => userName(prefix, user));
  const objects = [...new Set(grants().map(({ object }) => object))];
  const { rows } = await connection.query<{ users: string[] | null; objects: string[] | null }>(
    `SELECT (SELECT array_agg(u ORDER BY u) FROM unnest($1::text[]) u WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = u)) AS users,
            (SELECT array_agg(o) FROM unnest($2::text[]) o WHERE to_regclass(quote_ident(o)) IS NULL) AS objects`,
    [users, objects],
  );
  const missing = rows[0]!;
  if (missing.objects !== null)
    throw new Error(`${missing.objects.join(', ')}: not there yet; run \`ssom-alert migrate --database-only\` first`);
  if (missing.users !== null)
    throw new Error(`PostgreSQL has no user ${missing.users.join(', ')}; \`ssom-alert database users\` makes them`);
}

interface AclRow extends Row {
  readonly object: string;
  readonly is_sequence: boolean;
  readonly column: string | null;
  readonly grantee: string;
  readonly privilege: string;
  readonly is_grantable: boolean;
}

/** What our users and PUBLIC were granted in the schema, on tables, columns and sequences. */
const GRANTED = `
  SELECT c.relname AS object, c.relkind = 'S' AS is_sequence, a.column, COALESCE(r.rolname, 'PUBLIC') AS grantee,
         a.privilege_type AS privilege, a.is_grantable
  FROM pg_class c
  CROSS JOIN LATERAL (
    SELECT NULL::name AS column, e.* FROM aclexplode(c.relacl) e
    UNION ALL SELECT attname, e.* FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) e
    WHERE t.attrelid = c.oid AND NOT t.attisdropped
  ) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
  WHERE c.relnamespace = current_schema()::regnamespace AND (a.grantee = 0 OR r.rolname = ANY($1::text[]))`;

async function missingStatements(connection: Connection, prefix: string): Promise<string[]> {
  const users = DATABASE_USERS.map((user) => userName(prefix, user));
  const { rows } = await connection.query<AclRow>(GRANTED, [users]);
  const wanted = new Map(
    grants().map(({ object, isSequence, user, privilege, column = null }) => {
      const grantee = userName(prefix, user);
      const row: AclRow = { object, is_sequence: isSequence, column, grantee, privilege, is_grantable: false };
      return [keyOf(row), row];
    }),
  );
  const excess = rows.filter((row) => row.is_grantable || !wanted.has(keyOf(row)));
  // What is taken from a table is taken from its columns as well, and a privilege goes with the right to pass it on.
  const kept = new Set(rows.filter((row) => !excess.some((each) => takes(each, row))).map(keyOf));
  const lacking = [...wanted].filter(([key]) => !kept.has(key)).map(([, row]) => row);
  return [...gathered('REVOKE', excess), ...gathered('GRANT', lacking)];
}

const keyOf = ({ object, column, grantee, privilege }: AclRow) => JSON.stringify([object, column, grantee, privilege]);

function takes(revoked: AclRow, row: AclRow): boolean {
  return keyOf(revoked) === keyOf({ ...row, column: revoked.column === null ? null : row.column });
}

/** A statement for each object and user. */
function gathered(verb: 'GRANT' | 'REVOKE', rows: readonly AclRow[]): string[] {
  const places = groupedBy(rows, ({ object, is_sequence, grantee }) => {
    const user = grantee === 'PUBLIC' ? grantee : quoted(grantee);
    return `ON ${is_sequence ? 'SEQUENCE' : 'TABLE'} ${quoted(object)} ${verb === 'GRANT' ? 'TO' : 'FROM'} ${user}`;
  });
  return [...places].map(([place, some]) => {
    const privileges = [...groupedBy(some, ({ privilege }) => privilege)].map(([privilege, each]) => {
      const columns = each.flatMap(({ column }) => (column === null ? [] : quoted(column)));
      return columns.length < each.length ? privilege : `${privilege} (${columns.join(', ')})`;
    });
    return `${verb} ${privileges.join(', ')} ${place}`;
  });
}

function groupedBy<T>(all: readonly T[], keyOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) groups.set(keyOf(each), [...(groups.get(keyOf(each)) ?? []), each]);
  return groups;
}

/** What no GRANT of ours takes away: attributes, memberships and tables of their own. */
export async function excessOf(database: Queryable, prefix: string): Promise<UserProblem[]> {
  const { rows } = await database.query<{ user: string; problem: string }>({
    text: `
      WITH ours AS (SELECT * FROM pg_roles WHERE rolname = ANY($1::text[]))
      SELECT rolname AS user, 'is a superuser, or may make roles or databases, or passes by row security' AS problem
      FROM ours WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
      UNION ALL
      SELECT rolname, 'is a member of ' || m.roleid::regrole FROM ours JOIN pg_auth_members m ON m.member = ours.oid
      UNION ALL
      SELECT rolname, 'owns ' || c.oid::regclass FROM ours JOIN pg_class c ON c.relowner = ours.oid
      UNION ALL
      SELECT rolname, 'may create tables in the schema ' || current_schema() FROM ours
      WHERE has_schema_privilege(rolname, current_schema(), 'CREATE') AND NOT rolsuper
      ORDER BY 1, 2`,
    values: [DATABASE_USERS.map((user) => userName(prefix, user))],
  });
  return rows;
}
