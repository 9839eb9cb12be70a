import type { Database } from '../lib/postgres.js';

/**
 * SQL: longer than any lease. One that ends later was written while the clock was ahead, by a gateway that has not
 * renewed it since.
 */
export const LEASE_MAX = "interval '5 minutes'";

/** @returns whether the lease was still there; if not, the gateway's users are unknown too */
export async function renewLease(database: Database, gateway: string, leaseMs: number): Promise<boolean> {
  const { rows } = await database.query<{ renewed: boolean }>({
    name: 'renew-lease',
    text: `
      INSERT INTO gateway_leases (gateway, expires_at) VALUES ($1, now() + $2 * interval '1 ms')
      ON CONFLICT (gateway) DO UPDATE SET expires_at = excluded.expires_at
      RETURNING xmax <> 0 AS renewed`,
    values: [gateway, leaseMs],
  });
  return rows[0]?.renewed ?? false;
}

/** Notes users who hold a stream at this gateway, and users who do not any more. */
export async function writePresence(
  database: Database,
  gateway: string,
  present: readonly string[],
  gone: readonly string[],
): Promise<void> {
  await database.query({
    name: 'write-presence',
    text: `
      WITH removed AS (DELETE FROM stream_presence WHERE gateway = $1 AND user_id = ANY($3::text[]))
      INSERT INTO stream_presence (user_id, gateway) SELECT user_id, $1 FROM unnest($2::text[]) AS u(user_id)
      ON CONFLICT DO NOTHING`,
    values: [gateway, present, gone],
  });
}

/** Ends a gateway's lease, and removes what is left of others whose lease has ended. */
export async function removePresence(database: Database, gateway?: string): Promise<void> {
  await database.query({
    text: `
      WITH ended AS (
        DELETE FROM gateway_leases WHERE gateway = $1 OR expires_at < now() - interval '1 minute' RETURNING gateway
      )
      DELETE FROM stream_presence WHERE gateway IN (SELECT gateway FROM ended)`,
    values: [gateway ?? null],
  });
}

/** Of these users, those who hold a stream at some gateway that is alive. */
export async function streamingUsers(database: Database, userIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await database.query<{ user_id: string }>({
    name: 'streaming-users',
    text: `
      SELECT DISTINCT p.user_id FROM stream_presence p JOIN gateway_leases l USING (gateway)
      WHERE p.user_id = ANY($1::text[]) AND l.expires_at > now() AND l.expires_at < now() + ${LEASE_MAX}`,
    values: [userIds],
  });
  return new Set(rows.map(({ user_id }) => user_id));
}
