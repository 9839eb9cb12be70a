import type { Knex } from 'knex';

export const name = '0014-indexes';

/** An index is built beside others' statements, which a transaction would keep waiting. */
export const config = { transaction: false };

const INDEXES = {
  dead_letters_elsewhere: `dead_letters (place, topic, partition, "offset") WHERE place <> 'topic'`,
  push_deliveries_turn: `push_deliveries (level, due_at) WHERE COALESCE(due_at, 'infinity') < 'infinity'`,
  // What has not been tried yet, of one device.
  push_deliveries_waiting: `push_deliveries (device_id) WHERE state = 'waiting'`,
};

export async function up(knex: Knex): Promise<void> {
  for (const [index, on] of Object.entries(INDEXES)) {
    // A build that was broken off leaves an index that is kept up to date and never used.
    const { rows } = await knex.raw<{ rows: unknown[] }>(
      'SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(?) AND NOT indisvalid',
      [index],
    );
    if (rows.length > 0) await knex.raw(`DROP INDEX CONCURRENTLY ${index}`);
    await knex.raw(`CREATE INDEX CONCURRENTLY IF NOT EXISTS ${index} ON ${on}`);
  }
}

export async function down(): Promise<void> {
  throw new Error('0014-indexes cannot be undone; restore a backup');
}
