import type { Knex } from 'knex';

export const name = '0011-unreached';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Names under which the alert reaches nobody, as of when it was stored: {"count": n, "names": [[list, name, reason], ...],
    -- "reached": whether others get it}; at most 100 names. Null: none, or stored by a version that refused such alerts.
    ALTER TABLE alerts ADD COLUMN unreached jsonb;
  `);
}

export async function down(): Promise<void> {
  throw new Error('0011-unreached cannot be undone; restore a backup');
}
