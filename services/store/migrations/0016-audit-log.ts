import type { Knex } from 'knex';

export const name = '0016-audit-log';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Who did what: rows are added, and never changed. A number is given after the transaction has its own, so that all numbers up to
    -- one are settled when every transaction that had its own by then has ended: the order of numbers is that of the chain.
    CREATE SEQUENCE audit_entry_ids;
    CREATE TABLE audit_log (
      entry_id bigint PRIMARY KEY,
      at timestamptz NOT NULL,
      database_user text NOT NULL,
      actor_kind text NOT NULL,
      actor text NOT NULL,
      credential text NOT NULL,
      peer text NOT NULL,
      action text NOT NULL,
      object text NOT NULL,
      outcome text NOT NULL,
      reason text NOT NULL,
      details jsonb NOT NULL CHECK (octet_length(details::text) <= 65536),
      request_id text NOT NULL,
      trace_id text NOT NULL
    );

    -- The chain: of each entry the hash of it and of the one before. store/audit-chain.ts says of what it is made.
    CREATE TABLE audit_seals (entry_id bigint PRIMARY KEY, previous_id bigint NOT NULL, hash bytea NOT NULL);

    -- Its ends. It begins behind an entry that was removed because of its age, whose hash stays.
    CREATE TABLE audit_chain (
      singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
      begins_after bigint NOT NULL,
      begins_hash bytea NOT NULL,
      head_id bigint NOT NULL,
      head_hash bytea NOT NULL
    );
    INSERT INTO audit_chain (begins_after, begins_hash, head_id, head_hash)
    VALUES (0, decode(repeat('00', 33), 'hex'), 0, decode(repeat('00', 33), 'hex'));

    -- Whoever may insert says neither when, nor as which user of the database, nor at which place.
    CREATE FUNCTION number_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_current_xact_id();
      NEW.entry_id := nextval('audit_entry_ids');
      NEW.at := clock_timestamp();
      NEW.database_user := session_user;
      RETURN NEW;
    END $$;
    CREATE TRIGGER audit_log_numbered BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION number_audit_entry();

    -- A first barrier, which the tables' owner may drop: that is what the chain is for.
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' AND OLD.entry_id <= (SELECT begins_after FROM audit_chain) THEN
        RETURN OLD;
      END IF;
      RAISE EXCEPTION 'rows of % are neither changed nor removed before AUDIT_RETENTION_DAYS', TG_TABLE_NAME;
    END $$;
    CREATE TRIGGER audit_log_kept BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
    CREATE TRIGGER audit_log_whole BEFORE TRUNCATE ON audit_log EXECUTE FUNCTION refuse_audit_change();
    CREATE TRIGGER audit_seals_kept BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
    CREATE TRIGGER audit_seals_whole BEFORE TRUNCATE ON audit_seals EXECUTE FUNCTION refuse_audit_change();
  `);
}

/** Only while nothing was written down: what is in the account is nowhere else. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('LOCK TABLE audit_log, audit_seals, audit_chain IN ACCESS EXCLUSIVE MODE');
  const { rows } = await knex.raw<{ rows: unknown[] }>(
    'SELECT 1 FROM audit_chain WHERE head_id > 0 OR EXISTS (SELECT FROM audit_log)',
  );
  if (rows.length > 0)
    throw new Error(
      '0016-audit-log cannot be undone: the account of who did what has entries, which are kept nowhere else. ' +
        'The roles of the release before run on these tables as they are',
    );
  await knex.raw(`
    DROP TABLE audit_log, audit_seals, audit_chain;
    DROP FUNCTION number_audit_entry, refuse_audit_change;
    DROP SEQUENCE audit_entry_ids;
  `);
}
