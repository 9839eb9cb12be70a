import type { Knex } from 'knex';

export const name = '0002-dead-letters';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- What lies in a dead-letter topic, as far as it could be read: reconcile leaves these recipients of these alerts alone. The
    -- row goes when the record is redriven.
    CREATE TABLE dead_letters (
      topic text NOT NULL,
      partition integer NOT NULL,
      "offset" bigint NOT NULL,
      alert_id bigint,
      user_id text,
      reason text NOT NULL,
      -- Given up for good: no redrive sends it, and reconcile still leaves it alone.
      purged boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (topic, partition, "offset")
    );
    CREATE INDEX dead_letters_alert ON dead_letters (alert_id, user_id) WHERE alert_id IS NOT NULL;
  `);
}

export async function down(): Promise<void> {
  throw new Error('0002-dead-letters cannot be undone; restore a backup');
}
