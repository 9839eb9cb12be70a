import knexModule, { type Knex } from 'knex';
import type { Logger } from '../lib/logging.js';
import { isConflict, LOCK_NOT_AVAILABLE, sqlState } from '../lib/postgres-errors.js';
import { PostgresServer } from '../lib/postgres-server.js';
import { wait } from '../lib/retry.js';
import { LOCKS } from './locks.js';
import * as initial from './migrations/0001-initial.js';
import * as deadLetters from './migrations/0002-dead-letters.js';
import * as presence from './migrations/0003-presence.js';
import * as retention from './migrations/0004-retention.js';
import * as push from './migrations/0005-push.js';
import * as pushPlan from './migrations/0006-push-plan.js';
import * as deadLetterPlaces from './migrations/0009-dead-letter-places.js';
import * as unreached from './migrations/0011-unreached.js';
import * as pushTurns from './migrations/0013-push-turns.js';
import * as indexes from './migrations/0014-indexes.js';
import * as refusalsInRow from './migrations/0015-refusals-in-row.js';
import * as auditLog from './migrations/0016-audit-log.js';

/** In the order in which they are applied. */
export const MIGRATIONS: readonly Migration[] = [
  initial,
  deadLetters,
  presence,
  retention,
  push,
  pushPlan,
  deadLetterPlaces,
  unreached,
  pushTurns,
  indexes,
  refusalsInRow,
  auditLog,
];

/** As the pool hands it out: pg's. */
interface Connection {
  query(text: string, done: (error: Error | null) => void): void;
}

interface Migration {
  readonly name: string;
  readonly config?: { readonly transaction?: boolean };
  readonly up: (knex: Knex) => Promise<void>;
  readonly down: (knex: Knex) => Promise<void>;
}

/**
 * How often it is asked for. Whoever waited for it in a statement would have a snapshot, and the build of an index
 * waits for those.
 */
const LOCK_INTERVAL_MS = 100;

/**
 * How long a change waits at a time for a table that somebody else holds, such as a backup: the statements of the roles
 * queue behind it. Between two tries they have their turn.
 */
const TABLE_WAIT_MS = 500;
const TABLE_PAUSE_MS = 1000;

/** For how long it is tried: a migration by hand may outlast a short report. */
const PATIENCE_MS = 60_000;

/** An index that is built beside others waits for their transactions, and nobody waits for it. */
const BESIDE_WAIT_MS = 3_600_000;

export interface MigrateOptions {
  /** For how long tables that others hold are asked for again; 60,000 ms. */
  readonly patienceMs?: number;
}

/**
 * Brings the database's tables up to date, a migration after the other. Safe to call from many processes at once.
 * @returns the names of the migrations that were applied
 * @throws when a table is held by somebody else for too long; that migration and later ones are not applied then
 */
export function migrate(databaseUrl: string, logger: Logger, options: MigrateOptions = {}): Promise<string[]> {
  return withMigrations(databaseUrl, logger, async (knex) => {
    const applied: string[] = [];
    for (;;) {
      // One at a time: together they would be one transaction, which keeps the locks of all until its end.
      const names = await untilTablesAreFree(options, async () => ((await knex.migrate.up()) as [number, string[]])[1]);
      if (names.length === 0) break;
      applied.push(...names);
    }
    if (applied.length > 0) logger.info({ migrations: applied }, 'the database was migrated');
    return applied;
  });
}

/**
 * Takes the last migration back.
 * @returns its name
 * @throws Error saying why it cannot be taken back; nothing is changed then
 */
export function migrateBack(databaseUrl: string, logger: Logger, options: MigrateOptions = {}): Promise<string> {
  return withMigrations(databaseUrl, logger, async (knex) => {
    const last = await lastApplied(knex);
    if (last === undefined) throw new Error('no migration was applied, so there is none to take back');
    const migration = MIGRATIONS.find(({ name }) => name === last);
    if (migration === undefined)
      throw new Error(
        `the last migration, ${last}, is of a later release: take it back with the command line of that one`,
      );
    const { config, down } = waiting(migration);
    // knex's own way back ends the transaction before it forgets the migration.
    const back = async (on: Knex) => {
      await down(on);
      await on('schema_migrations').where({ name: last }).delete();
    };
    await untilTablesAreFree(options, () => (config?.transaction === false ? back(knex) : knex.transaction(back)));
    logger.info({ migration: last }, 'a migration was taken back');
    return last;
  });
}

async function lastApplied(knex: Knex): Promise<string | undefined> {
  // Of an empty database as well: knex makes its tables for the list.
  await knex.migrate.list();
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'SELECT name FROM schema_migrations ORDER BY id DESC LIMIT 1',
  );
  return rows[0]?.name;
}

/** Works with knex while nobody else migrates. */
async function withMigrations<T>(databaseUrl: string, logger: Logger, work: (knex: Knex) => Promise<T>): Promise<T> {
  const server = new PostgresServer(databaseUrl, {}, logger);
  const knex = knexModule.default({
    client: 'pg',
    connection: server.options,
    pool: {
      min: 0,
      max: 2,
      afterCreate: (connection: Connection, done: (error: Error | null) => void) =>
        connection.query(`SET lock_timeout = ${TABLE_WAIT_MS}`, done),
    },
    // Our callers report a failure in one line; knex would print it with its stack as well.
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
    migrations: {
      tableName: 'schema_migrations',
      // While a new version is deployed, and after it was taken back, the tables are ahead of the old one: it must
      // start all the same.
      disableMigrationsListValidation: true,
      migrationSource: {
        getMigrations: () => Promise.resolve(MIGRATIONS),
        getMigrationName: (migration: Migration) => migration.name,
        getMigration: (migration: Migration) => Promise.resolve(waiting(migration)),
      } as never,
    },
  });
  try {
    // Our own lock rather than knex's: that one is a row, which stays behind when its holder is killed.
    return await knex.transaction(async (lock) => {
      // Others who migrate may take their time.
      while (!(await takes(lock))) await wait(LOCK_INTERVAL_MS);
      await knex.migrate.forceFreeMigrationsLock();
      return await work(knex);
    });
  } finally {
    await knex.destroy();
  }
}

/** What is done beside others' statements may wait for long. */
function waiting(migration: Migration): Migration {
  if (migration.config?.transaction !== false) return migration;
  const patiently = (work: Migration['up']) => async (knex: Knex) => {
    await knex.raw(`SET lock_timeout = ${BESIDE_WAIT_MS}`);
    await work(knex);
    await knex.raw(`SET lock_timeout = ${TABLE_WAIT_MS}`);
  };
  return { ...migration, up: patiently(migration.up), down: patiently(migration.down) };
}

async function untilTablesAreFree<T>(
  { patienceMs = PATIENCE_MS }: MigrateOptions,
  change: () => Promise<T>,
): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await change();
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE && !isConflict(error)) throw error;
      if (performance.now() >= until)
        throw new Error(
          `the tables could not be changed: a transaction, such as a backup, has held one for more than ${patienceMs} ms; try again when it is over`,
          { cause: error },
        );
      await wait(TABLE_PAUSE_MS);
    }
  }
}

async function takes(lock: Knex): Promise<boolean> {
  // Without a parameter: a portal that has one keeps its snapshot until the next statement, and the build of an index
  // waits for it.
  const { rows } = await lock.raw<{ rows: { taken: boolean }[] }>(
    `SELECT pg_try_advisory_xact_lock(${LOCKS.migrate}) AS taken`,
  );
  return rows[0]!.taken;
}
