import knexModule, { type Knex } from 'knex';
import pg from 'pg';
import type { Config } from './config/load.js';
import { Breaker, type BreakerState } from './breaker.js';
import type { Logger } from './logging.js';
import { isConflict, isOutage, POOL_FULL, POSTGRESQL, TOO_MANY_BINDINGS } from './postgres-errors.js';
import { backoffMs, wait } from './retry.js';

/** bigint columns hold ids and sequence numbers below 2^53, so they are read as numbers. */
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
/** timestamptz columns are read as milliseconds since 1970: what events, protobuf and JSON all want. */
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => Date.parse(text));

export type Row = Record<string, unknown>;

/** Queries that may wait for a connection, each for DATABASE_ACQUIRE_TIMEOUT_MS; one more is refused at once. */
export const WAITING_MAX = 5000;
/** Bindings of one statement: the protocol counts them with 16 bits, and takes what is beyond for fewer. */
const BINDINGS_MAX = 65_535;
/** How long the news of a statement that the server has ended may be on its way. */
const ANSWER_MS = 1000;

/**
 * What ends a session of ours whose process is gone without a word, with its locks: within half a minute instead of the kernel's
 * two hours. Otherwise the advisory lock of a dead sweeper would keep all others from sweeping.
 */
const SESSION =
  '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 ' +
  '-c idle_in_transaction_session_timeout=60000';

/**
 * Frequent statements look rows up by an index, and are written so that one plan is right for one row and for thousands: it
 * is made once a connection. Left alone PostgreSQL plans some of them each time, which takes longer than running them;
 * and what it plans while a table is small reads that table from end to end until the connection ends. Together that was
 * 12 s of PostgreSQL for 6,000 single alerts instead of 3. Compiling (jit) never pays here.
 */
const PLANS = '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off';

/** Whatever can run one statement: the pool, or a connection inside a transaction. */
export interface Queryable {
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller says what its SQL returns
  query<R extends Row>(statement: {
    name?: string;
    text: string;
    values?: unknown[];
  }): Promise<{ rows: R[]; rowCount: number | null }>;
}

export type Connection = pg.PoolClient;

/** Told of statements that have ended; times are milliseconds since 1970, with fractions. */
export interface StatementObserver {
  ended(summary: string, startedAt: number, endedAt: number, error?: Error): void;
}

/** The one home of pg and knex: a bounded pool, transactions, and a query builder for statements that vary. */
export class Database implements Queryable {
  /** Shared with those that `observedBy` returns. */
  readonly #pool: { current: pg.Pool };
  readonly #observer: StatementObserver | undefined;
  /** While PostgreSQL is away all but an occasional query fail at once. */
  readonly breaker: Breaker;
  /** Builds SQL only; it owns no connection. */
  readonly builder: Knex;

  constructor(
    readonly url: string,
    private readonly config: Pick<
      Config,
      'databasePoolMax' | 'databaseAcquireTimeoutMs' | 'databaseStatementTimeoutMs'
    >,
    private readonly logger: Logger,
    onBreaker?: (state: BreakerState) => void,
    observed?: { readonly database: Database; readonly observer: StatementObserver },
  ) {
    this.#observer = observed?.observer;
    this.breaker =
      observed?.database.breaker ??
      new Breaker({ what: POSTGRESQL, isOutage, ...(onBreaker === undefined ? {} : { onChange: onBreaker }) });
    this.builder = observed?.database.builder ?? knexModule.default({ client: 'pg' });
    this.#pool = observed === undefined ? { current: this.#open() } : observed.database.#pool;
  }

  /** The same database, connections and breaker included, which tells `observer` of every statement. */
  observedBy(observer: StatementObserver | undefined): Database {
    if (observer === undefined) return this;
    return new Database(this.url, this.config, this.logger, undefined, { database: this, observer });
  }

  #open(): pg.Pool {
    const { databasePoolMax, databaseAcquireTimeoutMs, databaseStatementTimeoutMs } = this.config;
    const pool = new pg.Pool({
      connectionString: this.url,
      max: databasePoolMax,
      connectionTimeoutMillis: databaseAcquireTimeoutMs,
      idleTimeoutMillis: 30_000,
      // The server ends a statement in time. If not even that is heard the connection is dead: without a FIN or RST (a host
      // that is gone, a firewall that forgets) the kernel would wait for 15 minutes, and CreateAlert's writers with it.
      query_timeout: databaseStatementTimeoutMs + ANSWER_MS,
      keepAlive: true,
      application_name: 'ssom-alert',
      options: `-c statement_timeout=${databaseStatementTimeoutMs} -c timezone=UTC ${SESSION} ${PLANS}`,
    });
    // An idle connection that the server closes (a restart) is not an error of anybody's query.
    pool.on('error', (error) => this.logger.debug({ err: error }, 'an idle PostgreSQL connection was closed'));
    return pool;
  }

  get stats(): { total: number; idle: number; waiting: number } {
    return {
      total: this.#pool.current.totalCount,
      idle: this.#pool.current.idleCount,
      waiting: this.#pool.current.waitingCount,
    };
  }

  async query<R extends Row>(statement: { name?: string; text: string; values?: unknown[] }) {
    this.#requireRoom();
    requireFewBindings(statement);
    const run = () => this.breaker.run(() => this.#pool.current.query<R>(statement));
    return this.#observer === undefined ? run() : observe(this.#observer, statement, run);
  }

  #requireRoom(): void {
    if (this.#pool.current.waitingCount >= WAITING_MAX)
      throw Object.assign(new Error(`${WAITING_MAX} queries wait for a connection already`), { code: POOL_FULL });
  }

  /** Asks for a sign of life, past the breaker. @throws why there is none */
  async probe(): Promise<void> {
    // pg reads query_timeout of a single query too; its types do not know.
    const statement = { text: 'SELECT 1', query_timeout: this.config.databaseAcquireTimeoutMs };
    try {
      await this.#pool.current.query(statement);
    } catch (error) {
      if (isSilence(error) && (await this.#answersAnew())) this.#replacePool();
      throw error;
    }
    this.breaker.recovered();
  }

  /** Whether a new connection gets an answer: then it is the old one that is dead, and not the server that is slow. */
  async #answersAnew(): Promise<boolean> {
    const timeoutMs = this.config.databaseAcquireTimeoutMs;
    const settings = { connectionString: this.url, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs };
    const client = new pg.Client({ ...settings, application_name: 'ssom-alert' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /**
   * An idle connection gave no answer: whatever became of its other end (a router forgot it) became of the others' as well.
   * Found one by one, each by a query that waits for its time-out, ten of them took 24 s; see test/faults.
   */
  #replacePool(): void {
    this.logger.warn('a connection to PostgreSQL fell silent; all of them are made anew');
    const old = this.#pool.current;
    this.#pool.current = this.#open();
    // Resolves when what was lent has come back.
    old.end().catch((error: unknown) => this.logger.debug({ err: error }, 'old PostgreSQL connections'));
  }

  /** Runs a statement that the query builder made. */
  async build<R extends Row>(builder: Knex.QueryBuilder): Promise<R[]> {
    const { sql, bindings } = builder.toSQL().toNative();
    return (await this.query<R>({ text: sql, values: [...bindings] })).rows;
  }

  /**
   * Runs `work` in one transaction on one connection; rolls back when it throws. After a deadlock it is run again, so it
   * must have no effect outside the database.
   * @param lockWaitMs how long a statement of it waits for a row that somebody else holds; then LOCK_NOT_AVAILABLE
   */
  async transaction<T>(work: (connection: Connection) => Promise<T>, lockWaitMs?: number): Promise<T> {
    return repeatConflicts(() => this.#transact(work, lockWaitMs));
  }

  async #transact<T>(work: (connection: Connection) => Promise<T>, lockWaitMs: number | undefined): Promise<T> {
    return this.withConnection(async (connection) => {
      // Both in one message.
      await connection.query(lockWaitMs === undefined ? 'BEGIN' : `BEGIN; SET LOCAL lock_timeout = ${lockWaitMs}`);
      try {
        const result = await work(connection);
        await connection.query('COMMIT');
        return result;
      } catch (error) {
        // The first error is the one to report. In an outage the connection is closed, which rolls back too.
        if (!isOutage(error)) await connection.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  }

  /** Lends a connection. One whose work has failed is closed rather than reused. */
  async withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    this.#requireRoom();
    const connection = await this.breaker.run(() => this.#pool.current.connect());
    let broken = false;
    // The server may go away while the connection is idle in our hands: unheard, that event would end the process.
    const onError = () => {
      broken = true;
    };
    connection.on('error', onError);
    try {
      return await work(this.#observer === undefined ? connection : observedConnection(connection, this.#observer));
    } catch (error) {
      broken ||= isOutage(error);
      throw error;
    } finally {
      connection.release(broken);
      connection.off('error', onError);
    }
  }

  /**
   * Runs `work` while this connection alone holds the lock; returns undefined at once if somebody else has it. The lock
   * goes with the connection, so a dead holder never keeps it.
   */
  async withAdvisoryLock<T>(key: number, work: (connection: Connection) => Promise<T>): Promise<T | undefined> {
    return this.withConnection(async (connection) => {
      const { rows } = await connection.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [key]);
      if (!rows[0]?.locked) return undefined;
      let failure: unknown;
      try {
        return await work(connection);
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        // In an outage the connection is closed, and the lock goes with it; so it does if the unlocking fails.
        if (failure === undefined || !isOutage(failure)) await connection.query('SELECT pg_advisory_unlock($1)', [key]);
      }
    });
  }

  async close(): Promise<void> {
    this.breaker.close();
    await this.#pool.current.end();
  }
}

interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
}

function requireFewBindings({ values = [] }: Statement): void {
  if (values.length > BINDINGS_MAX)
    throw Object.assign(new Error(`a statement with ${values.length} bindings; there may be ${BINDINGS_MAX}`), {
      code: TOO_MANY_BINDINGS,
    });
}

async function observe<T>(observer: StatementObserver, statement: Statement, run: () => Promise<T>): Promise<T> {
  const startedAt = now();
  try {
    const result = await run();
    observer.ended(summaryOf(statement), startedAt, now());
    return result;
  } catch (error) {
    observer.ended(summaryOf(statement), startedAt, now(), error as Error);
    throw error;
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The same connection, whose statements are observed. */
function observedConnection(connection: Connection, observer: StatementObserver): Connection {
  const query = (statement: string | Statement, values?: unknown[]) =>
    observe(observer, typeof statement === 'string' ? { text: statement } : statement, () =>
      connection.query(statement as string, values),
    );
  return Object.create(connection, { query: { value: query } }) as Connection;
}

/** What a statement is called: its name, or what it does to which table. Never anything of its values. */
function summaryOf({ name, text }: Statement): string {
  if (name !== undefined) return name;
  const [verb = ''] = /\w+/.exec(text) ?? [];
  const table = /\b(?:INTO|UPDATE|FROM)\s+([a-z_]+)/.exec(text)?.[1];
  return table === undefined ? verb.toUpperCase() : `${verb.toUpperCase()} ${table}`;
}

/** Whether a connection was made and then nothing came over it. */
function isSilence(error: unknown): boolean {
  return (error as { message?: string }).message === 'Query read timeout';
}

/**
 * A condition that is always true and makes its transaction commit without waiting for the disk. For what may be lost in a
 * crash of PostgreSQL: each alert would otherwise wait for four flushes on its way, of which two matter.
 */
export const WITHOUT_WAITING_FOR_THE_DISK = "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'";

const CONFLICT_ATTEMPTS = 5;

/** Runs work again that was rolled back because of others. */
export async function repeatConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error) || attempt === CONFLICT_ATTEMPTS) throw error;
      await wait(backoffMs(attempt, 10, 200));
    }
  }
}
