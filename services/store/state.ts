import type { Queryable } from '../lib/postgres.js';

/** The database's epoch: resume tokens of another one have expired. */
export async function readEpoch(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ epoch: number }>({ text: 'SELECT epoch FROM service_state' });
  if (rows[0] === undefined) throw new Error('service_state is empty: the database was not migrated');
  return rows[0].epoch;
}
