import type { Knex } from 'knex';

export const name = '0001-initial';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- One row. version: of users and routing rules together. epoch: renewed after a backup was restored.
    CREATE TABLE service_state (
      singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
      directory_version bigint NOT NULL,
      epoch bigint NOT NULL
    );

    -- A row is a user from one version of the directory to another; valid_to IS NULL is the present.
    CREATE TABLE users (
      user_id text NOT NULL,
      display_name text NOT NULL,
      department text NOT NULL,
      github_login text NOT NULL,
      active boolean NOT NULL,
      valid_from bigint NOT NULL,
      valid_to bigint,
      PRIMARY KEY (user_id, valid_from)
    );
    CREATE UNIQUE INDEX users_present ON users (user_id) WHERE valid_to IS NULL;
    CREATE UNIQUE INDEX users_login ON users (lower(github_login)) WHERE valid_to IS NULL AND github_login <> '';
    CREATE INDEX users_department ON users (department) WHERE valid_to IS NULL;

    CREATE TABLE routing_rules (
      position integer NOT NULL,
      department text NOT NULL,
      match text NOT NULL,
      app_pattern text NOT NULL,
      valid_from bigint NOT NULL,
      valid_to bigint,
      PRIMARY KEY (valid_from, position)
    );

    CREATE SEQUENCE alert_ids;
    CREATE TABLE alerts (
      alert_id bigint PRIMARY KEY,
      caller text NOT NULL,
      request_id text NOT NULL,
      request_hash bytea NOT NULL,
      source_id text NOT NULL,
      kind text NOT NULL,
      app_name text NOT NULL,
      level smallint NOT NULL,
      title text NOT NULL,
      message text NOT NULL,
      labels jsonb NOT NULL,
      occurred_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL,
      directory_version bigint NOT NULL,
      recipients_named boolean NOT NULL,
      departments text[] NOT NULL,
      traceparent text
    );
    CREATE UNIQUE INDEX alerts_request ON alerts (caller, request_id) WHERE request_id <> '';

    CREATE TABLE alert_recipients (
      alert_id bigint NOT NULL,
      user_id text NOT NULL,
      PRIMARY KEY (alert_id, user_id)
    );

    -- Narrow and short-lived: marking rows of alerts instead is no HOT update and bloats them, which costs 10 ms per
    -- 1,000 alerts. The queue is always scanned from its oldest end.
    CREATE TABLE outbox (
      alert_id bigint PRIMARY KEY,
      created_at timestamptz NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

    -- Its updates touch no indexed column until completed_at is set, so that they stay within the page.
    CREATE TABLE alert_progress (
      alert_id bigint PRIMARY KEY,
      created_at timestamptz NOT NULL,
      published_at timestamptz,
      fanned_out_at timestamptz,
      recipients integer,
      completed_at timestamptz,
      reconcile_at timestamptz NOT NULL,
      reconcile_attempts integer NOT NULL DEFAULT 0
    ) WITH (fillfactor = 70);
    CREATE INDEX alert_progress_incomplete ON alert_progress (alert_id) WHERE completed_at IS NULL;

    CREATE TABLE inboxes (
      user_id text PRIMARY KEY,
      last_seq bigint NOT NULL DEFAULT 0,
      pruned_seq bigint NOT NULL DEFAULT 0,
      unread_count integer NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);

    -- change: what happened last (1 created, 2 read, 3 unread, 4 deleted), under the number seq. created_seq: the number
    -- under which the row came, by which a stream knows whether its client can have seen it.
    CREATE TABLE alert_statuses (
      user_id text NOT NULL,
      alert_id bigint NOT NULL,
      seq bigint NOT NULL,
      created_seq bigint NOT NULL,
      change smallint NOT NULL,
      is_read boolean NOT NULL,
      created_at timestamptz NOT NULL,
      read_at timestamptz,
      deleted_at timestamptz,
      PRIMARY KEY (user_id, alert_id),
      UNIQUE (user_id, seq)
    );
  `);
  // The epoch is random, so that a database that was recreated is told from the one before.
  await knex.raw('INSERT INTO service_state (directory_version, epoch) VALUES (1, floor(random() * 1e15)::bigint)');
  await knex.raw(`
    INSERT INTO routing_rules (position, department, match, app_pattern, valid_from) VALUES
      (1, 'OPERATION', 'ALL', '', 1),
      (2, 'EXTERNAL', 'ALL', '', 1),
      (3, 'CORE_BANK', 'APP_CONTAINS', 'ssok-bank', 1),
      (4, 'CHANNEL', 'APP_NOT_CONTAINS', 'ssok-bank', 1)
  `);
}

export async function down(): Promise<void> {
  throw new Error('0001-initial cannot be undone; restore a backup');
}
