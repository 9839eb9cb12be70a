import type { Knex } from 'knex';

export const name = '0015-refusals-in-row';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Refusals since FCM took a message for the device, which begins them anew; and those of them that are the device's own fault,
    -- which count only while refused_since says since when. What an older version counts is not in them.
    ALTER TABLE devices ADD COLUMN refusals_in_row integer NOT NULL DEFAULT 0;
    ALTER TABLE devices ADD COLUMN own_refusals_in_row integer NOT NULL DEFAULT 0;
  `);
}

export async function down(): Promise<void> {
  throw new Error('0015-refusals-in-row cannot be undone; restore a backup');
}
