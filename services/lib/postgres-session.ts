import pg from 'pg';

/** bigint columns hold ids and sequence numbers below 2^53, so they are read as numbers. */
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
/** timestamptz columns are read as milliseconds since 1970: what events, protobuf and JSON all want. */
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => Date.parse(text));

/**
 * What ends a session of ours whose process is gone without a word, with its locks: within half a minute instead of the
 * kernel's two hours. Otherwise the advisory lock of a dead sweeper would keep all others from sweeping.
 */
const SESSION =
  '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 ' +
  '-c idle_in_transaction_session_timeout=60000';

/**
 * What our statements, and the reading of their results, stand on: a server, database or role may have other settings,
 * which these override. search_path is not among them, since with a schema of its own a role may share a database.
 */
const MEANING = [
  'TimeZone=UTC',
  'DateStyle=ISO',
  'IntervalStyle=postgres',
  'client_encoding=UTF8',
  'bytea_output=hex',
  'extra_float_digits=1',
  'standard_conforming_strings=on',
  'array_nulls=on',
  'transform_null_equals=off',
  // Who has waited for a lock sees what its holder has committed.
  'default_transaction_isolation=read\\ committed',
]
  .map((setting) => `-c ${setting}`)
  .join(' ');

/**
 * Frequent statements look rows up by an index, and are written so that one plan is right for one row and for
 * thousands: it is made once a connection. Left alone PostgreSQL plans some of them each time, which takes longer than
 * running them; and what it plans while a table is small reads that table from end to end until the connection ends.
 * Together that was 12 s of PostgreSQL for 6,000 single alerts instead of 3. Compiling (jit) never pays here.
 */
const PLANS = '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off';

/**
 * What a connection is opened with, besides where to. @param statementTimeoutMs after which the server ends a statement
 * of it
 */
export function sessionOptions(statementTimeoutMs: number, connectTimeoutMs: number) {
  return {
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: 'ssom-alert',
    options: `-c statement_timeout=${statementTimeoutMs} ${MEANING} ${SESSION} ${PLANS}`,
  };
}
