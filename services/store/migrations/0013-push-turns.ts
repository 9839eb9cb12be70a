import type { Knex } from 'knex';

export const name = '0013-push-turns';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- A device that FCM refuses waits by itself. refusals: how often; each message that FCM takes counts one off.
    -- refused_since: since when for a fault of its own, which shows while others of its platform are served.
    -- waits_until: until when it gets nothing.
    ALTER TABLE devices ADD COLUMN refusals integer NOT NULL DEFAULT 0;
    ALTER TABLE devices ADD COLUMN refused_since timestamptz;
    ALTER TABLE devices ADD COLUMN waits_until timestamptz;

    -- The turn: the alert's level, or 0 for a dismissal. What an older version plans counts as an ERROR.
    ALTER TABLE push_deliveries ADD COLUMN level smallint NOT NULL DEFAULT 3;
  `);
}

export async function down(): Promise<void> {
  throw new Error('0013-push-turns cannot be undone; restore a backup');
}
