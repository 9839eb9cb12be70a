import knexModule from 'knex';
import type { Logger } from '../lib/logging.js';
import { LOCK_NOT_AVAILABLE, sqlState } from '../lib/postgres-errors.js';
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

const MIGRATIONS = [
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

/**
 * How often it is asked for. Whoever waited for it in a statement would have a snapshot, and the build of an index
 * waits for those.
 */
const LOCK_INTERVAL_MS = 100;

/**
 * How long a change waits for a table that somebody else holds, such as a backup. The statements of the roles queue
 * behind it.
 */
const TABLE_WAIT_MS = 3000;

/**
 * Brings the database's tables up to date. Safe to call from many processes at once.
 * @returns the names of the migrations that were applied
 * @throws when a table is held by somebody else for longer than 3 s; that migration and later ones are not applied then
 */
export async function migrate(databaseUrl: string, logger: Logger): Promise<string[]> {
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
        getMigrationName: (migration: { name: string }) => migration.name,
        getMigration: (migration: unknown) => Promise.resolve(migration),
      } as never,
    },
  });
  try {
    // Our own lock rather than knex's: that one is a row, which stays behind when its holder is killed.
    return await knex.transaction(async (lock) => {
      // Others who migrate may take their time.
      while (!(await takes(lock))) await wait(LOCK_INTERVAL_MS);
      await knex.migrate.forceFreeMigrationsLock();
      const [, applied] = (await knex.migrate.latest()) as [number, string[]];
      if (applied.length > 0) logger.info({ migrations: applied }, 'the database was migrated');
      return applied;
    });
  } catch (error) {
    if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
    throw new Error(
      `the tables could not be changed: a transaction, such as a backup, has held one for more than ${TABLE_WAIT_MS} ms; try again when it is over`,
      { cause: error },
    );
  } finally {
    await knex.destroy();
  }
}

async function takes(lock: knexModule.Knex): Promise<boolean> {
  // Without a parameter: a portal that has one keeps its snapshot until the next statement, and the build of an index
  // waits for it.
  const { rows } = await lock.raw<{ rows: { taken: boolean }[] }>(
    `SELECT pg_try_advisory_xact_lock(${LOCKS.migrate}) AS taken`,
  );
  return rows[0]!.taken;
}
