import type { Knex } from 'knex';

export const name = '0009-dead-letter-places';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- place: where the record is. topic: in its dead-letter topic. waiting: here, with its bytes, until that topic takes it. outbox:
    -- nowhere, as it is an alert that could not be published; sending it back puts the alert into the outbox again.
    ALTER TABLE dead_letters
      ADD COLUMN place text NOT NULL DEFAULT 'topic',
      ADD COLUMN record_key bytea,
      ADD COLUMN record_value bytea,
      ADD COLUMN record_headers jsonb,
      -- Why its topic does not take it, how often it was asked, and when it is asked again.
      ADD COLUMN waits_for text,
      ADD COLUMN attempts integer NOT NULL DEFAULT 0,
      ADD COLUMN due_at timestamptz;
  `);
}

export async function down(): Promise<void> {
  throw new Error('0009-dead-letter-places cannot be undone; restore a backup');
}
