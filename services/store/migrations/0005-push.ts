import type { Knex } from 'knex';

export const name = '0005-push';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- The hash is what is unique: a token may be longer than an index entry.
    CREATE SEQUENCE device_ids;
    CREATE TABLE devices (
      device_id bigint PRIMARY KEY,
      user_id text NOT NULL,
      token text NOT NULL,
      token_hash bytea NOT NULL UNIQUE,
      platform smallint NOT NULL,
      app_version text NOT NULL,
      locale text NOT NULL,
      registered_at timestamptz NOT NULL,
      refreshed_at timestamptz NOT NULL
    );
    CREATE INDEX devices_user ON devices (user_id);
    CREATE INDEX devices_refreshed ON devices (refreshed_at);

    -- Up to which number of a user's inbox pushes were planned; a row for each user who has, or had, devices.
    CREATE TABLE push_cursors (
      user_id text PRIMARY KEY,
      seq bigint NOT NULL
    ) WITH (fillfactor = 50);

    -- One row for each alert and device. due_at: when something is to be done (null: nothing); while somebody is at it, when its
    -- claim ends. dismiss: the alert was read or deleted, and is to disappear from the device. attempts: how often it was tried;
    -- strikes: how often that failed while others succeeded.
    CREATE TABLE push_deliveries (
      device_id bigint NOT NULL,
      alert_id bigint NOT NULL,
      user_id text NOT NULL,
      state text NOT NULL,
      dismiss boolean NOT NULL DEFAULT false,
      due_at timestamptz,
      attempts integer NOT NULL DEFAULT 0,
      strikes integer NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      sent_at timestamptz,
      message_name text,
      error text,
      PRIMARY KEY (device_id, alert_id)
    ) WITH (fillfactor = 70);
    CREATE INDEX push_deliveries_due ON push_deliveries (due_at) WHERE due_at IS NOT NULL;
    CREATE INDEX push_deliveries_alert ON push_deliveries (alert_id);
  `);
}

export async function down(): Promise<void> {
  throw new Error('0005-push cannot be undone; restore a backup');
}
