import type { Database, Queryable } from '../lib/postgres.js';
import type { Account } from './audit.js';

/**
 * How far alert numbers and the directory's versions jump at a new epoch: 10,000 alerts a second for three years. 2^53,
 * the least of our bounds, has room for 9,000 restored backups.
 */
const EPOCH_JUMP = 1e12;

export interface RenewedEpoch {
  readonly epoch: number;
  /** The next alert's number is above it. */
  readonly alertIdsAbove: number;
}

/**
 * Begins a new epoch, after a restore or lost commits: resume tokens expire, records of the epoch before are set aside,
 * and no number of an alert or of the directory is given twice. A user's sequence goes on.
 * @throws when there is no room for another jump
 */
export async function renewEpoch(database: Database, account: Account): Promise<RenewedEpoch> {
  return database.transaction(async (connection) => {
    const before = await readEpoch(connection);
    const renewed = await beginEpoch(connection);
    await account(connection, { before, ...renewed });
    return renewed;
  });
}

async function beginEpoch(database: Queryable): Promise<RenewedEpoch> {
  // The sequence is not part of the transaction: it jumps first, so that no alert of the new epoch has an old number.
  const { rows } = await database.query<{ epoch: number; alert_ids_above: number }>({
    text: `
      WITH last AS MATERIALIZED (
        SELECT GREATEST(s.last_value, (SELECT COALESCE(max(alert_id), 0) FROM alerts)) + $1::bigint AS wanted
        FROM alert_ids s
      ), jumped AS MATERIALIZED (
        SELECT setval('alert_ids', wanted) AS alert_ids_above FROM last WHERE wanted + $1::bigint <= $2::bigint
      )
      UPDATE service_state SET epoch = floor(random() * 1e15)::bigint + 1, directory_version = directory_version + $1::bigint
      FROM jumped RETURNING epoch, alert_ids_above`,
    values: [EPOCH_JUMP, Number.MAX_SAFE_INTEGER],
  });
  if (rows[0] === undefined) {
    await readEpoch(database);
    throw new Error(`there is no room for another epoch: alert numbers would come near ${Number.MAX_SAFE_INTEGER}`);
  }
  return { epoch: rows[0].epoch, alertIdsAbove: rows[0].alert_ids_above };
}

/** The database's epoch: resume tokens of another one have expired. */
export async function readEpoch(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ epoch: number }>({ text: 'SELECT epoch FROM service_state' });
  if (rows[0] === undefined) throw new Error('service_state is empty: the database was not migrated');
  return rows[0].epoch;
}

/** Up to which alert retention has closed them. */
export async function readClosedTo(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ closed_to: number }>({ text: 'SELECT closed_to FROM service_state' });
  return rows[0]?.closed_to ?? 0;
}
