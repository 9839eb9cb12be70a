import type { Knex } from 'knex';

export const name = '0003-presence';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Who holds a stream where. A gateway renews one lease for all of its users, so a heartbeat is one row however many
    -- there are; its users' rows are written when they come and go, and count for nothing when the lease has ended.
    -- Unlogged: a crash of PostgreSQL forgets them, and each gateway writes its own again.
    CREATE UNLOGGED TABLE gateway_leases (
      gateway uuid PRIMARY KEY,
      expires_at timestamptz NOT NULL
    );
    CREATE UNLOGGED TABLE stream_presence (
      user_id text NOT NULL,
      gateway uuid NOT NULL,
      PRIMARY KEY (user_id, gateway)
    );
    CREATE INDEX stream_presence_gateway ON stream_presence (gateway);
  `);
}

export async function down(): Promise<void> {
  throw new Error('0003-presence cannot be undone; restore a backup');
}
