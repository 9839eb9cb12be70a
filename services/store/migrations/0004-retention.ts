import type { Knex } from 'knex';

export const name = '0004-retention';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Alerts up to this id are past the horizon: nothing delivers them any more, and their rows may be gone.
    ALTER TABLE service_state ADD COLUMN closed_to bigint NOT NULL DEFAULT 0;
    ALTER TABLE service_state ADD COLUMN retention_at timestamptz NOT NULL DEFAULT '-infinity';
    -- When the row came, or was last read, unread or deleted. Rows that are there already count from now on.
    ALTER TABLE alert_statuses ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
  `);
}

export async function down(): Promise<void> {
  throw new Error('0004-retention cannot be undone; restore a backup');
}
