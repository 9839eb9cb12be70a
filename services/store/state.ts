import type { Queryable } from '../lib/postgres.js';

/** Makes all resume tokens expire: after a backup was restored their numbers mean other changes. @returns the new epoch */
export async function renewEpoch(database: Queryable): Promise<number> {
  const { rows } = await database.query<{ epoch: number }>({
    text: 'UPDATE service_state SET epoch = floor(random() * 1e15)::bigint RETURNING epoch',
  });
  if (rows[0] === undefined) throw new Error('service_state is empty: the database was not migrated');
  return rows[0].epoch;
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
