import type { Knex } from 'knex';

/*
 * What a migration does beside the statements of the roles, with `config = { transaction: false }`. Each may be broken
 * off at any time, and is repeated as a whole. ../README.md says when a migration needs which.
 */

/** Rows of one transaction: it takes some 20 ms, and whoever wants one of them waits for no longer. */
const BATCH = 1000;

/** Builds an index while others write. @param on table, columns and condition, as CREATE INDEX has them behind ON */
export async function buildIndex(knex: Knex, name: string, on: string, { unique = false } = {}): Promise<void> {
  // A build that was broken off leaves an index that is kept up to date and never used.
  const { rows } = await knex.raw<{ rows: unknown[] }>(
    'SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(?) AND NOT indisvalid',
    [name],
  );
  if (rows.length > 0) await knex.raw(`DROP INDEX CONCURRENTLY ${name}`);
  await knex.raw(`CREATE ${unique ? 'UNIQUE ' : ''}INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${on}`);
}

export interface Backfill {
  readonly table: string;
  /** The columns of its primary key, in their order. */
  readonly key: readonly string[];
  /** As UPDATE has it behind SET. */
  readonly set: string;
  /** Which rows need it: those that have it already are left alone, also in a repetition. */
  readonly where: string;
}

/** Changes the rows of a table in the order of its key, each batch a transaction of its own. @returns how many */
export async function backfill(knex: Knex, { table, key, set, where }: Backfill): Promise<number> {
  const columns = key.join(', ');
  const same = key.map((column) => `t.${column} = page.${column}`).join(' AND ');
  const marks = key.map(() => '?').join(', ');
  let after: (string | number)[] | undefined;
  let changed = 0;
  for (;;) {
    const { rows } = await knex.raw<{ rows: ({ changed: string } & Record<string, string | number>)[] }>(
      `WITH page AS (
         SELECT ${columns} FROM ${table} ${after === undefined ? '' : `WHERE (${columns}) > (${marks})`}
         ORDER BY ${columns} LIMIT ${BATCH}
       ), updated AS (
         UPDATE ${table} t SET ${set} FROM page WHERE ${same} AND (${where}) RETURNING 1
       )
       SELECT ${columns}, (SELECT count(*) FROM updated) AS changed FROM page
       ORDER BY ${key.map((column) => `${column} DESC`).join(', ')} LIMIT 1`,
      after ?? [],
    );
    const last = rows[0];
    if (last === undefined) return changed;
    changed += Number(last.changed);
    after = key.map((column) => last[column]!);
  }
}
