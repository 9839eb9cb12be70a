import type { Knex } from 'knex';

export const name = '0006-push-plan';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- When a push was to be sent: when its alert came into the inbox, or PUSH_GRACE_MS later. due_at begins there and moves on
    -- with each try. Null: planned by a version that did not note it.
    ALTER TABLE push_deliveries ADD COLUMN planned_for timestamptz;
  `);
}

export async function down(): Promise<void> {
  throw new Error('0006-push-plan cannot be undone; restore a backup');
}
