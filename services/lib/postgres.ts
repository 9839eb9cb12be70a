import { setMaxListeners } from 'node:events';
import knexModule, { type Knex } from 'knex';
import pg from 'pg';
import type { Config } from './config/load.js';
import { Breaker, type BreakerState } from './breaker.js';
import type { Logger } from './logging.js';
import { cancelStatement, streamOf } from './postgres-cancel.js';
import { ControlConnection } from './postgres-control.js';
import {
  CALL_ENDED,
  DATABASE_ENDING,
  isConflict,
  isContention,
  isOutage,
  POOL_FULL,
  POSTGRESQL,
  READ_ONLY,
  sqlState,
  TOO_MANY_BINDINGS,
} from './postgres-errors.js';
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

/** How long a probe waits for the connection that it has, until it tries a new one; and between two that a full pool asks for. */
const PATIENCE_MS = 500;
/** All connections are made anew at most once in this time. */
const RENEWAL_MS = 1000;

/**
 * What ends a session of ours whose process is gone without a word, with its locks: within half a minute instead of the kernel's
 * two hours. Otherwise the advisory lock of a dead sweeper would keep all others from sweeping.
 */
const SESSION =
  '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 ' +
  '-c idle_in_transaction_session_timeout=60000';

/**
 * What our statements, and the reading of their results, stand on: a server, database or role may have other settings, which
 * these override. search_path is not among them, since with a schema of its own a role may share a database.
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

/** For whom statements run. */
interface Call {
  /** Told of each statement. */
  readonly statements: StatementObserver | undefined;
  /** Aborts when nobody waits for the result any more: what waits for a connection is refused, and what runs is stopped. */
  readonly signal: AbortSignal | undefined;
}

/** Nobody waits for the result any more. A transaction was rolled back; a statement of its own may have been done. */
export class CallEnded extends Error {
  readonly code = CALL_ENDED;

  constructor(cause?: unknown) {
    super('nobody waits for the result any more', { cause });
    this.name = 'CallEnded';
  }
}

/** This process ends. Whether a statement was done is not known: PostgreSQL may wait for a standby, and commit later. */
export class DatabaseEnding extends Error {
  readonly code = DATABASE_ENDING;

  constructor() {
    super('this process ends and asks the database nothing more');
    this.name = 'DatabaseEnding';
  }
}

type Work = 'light' | 'bulk';

/** How DATABASE_POOL_MAX connections are shared: one is the control connection, three of eight are for bulk work. */
export function poolSizes(max: number): Record<Work, number> {
  const bulk = Math.max(1, Math.floor((max * 3) / 8));
  return { bulk, light: max - 1 - bulk };
}

/** What all views of a database share. */
interface Connections {
  readonly pools: Record<Work, pg.Pool>;
  readonly control: ControlConnection;
  /** When all of them were last made anew. */
  renewedAt: number;
  probe: Promise<void> | undefined;
  probedAt: number;
  /** Those that are in use. */
  readonly lent: Set<pg.PoolClient>;
  /** Aborts when this process ends, and cannot wait for what takes long. */
  readonly ending: AbortController;
  /** No server that can write was found when it was asked for last. */
  wasReadOnly: boolean;
}

/** The one home of pg and knex: bounded pools, transactions, and a query builder for statements that vary. */
export class Database implements Queryable {
  readonly #connections: Connections;
  readonly #work: Work;
  readonly #call: Call;
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
    view?: { readonly of: Database; readonly work: Work; readonly call: Call },
  ) {
    this.#work = view?.work ?? 'light';
    this.#call = view?.call ?? { statements: undefined, signal: undefined };
    this.breaker =
      view?.of.breaker ??
      new Breaker({
        what: POSTGRESQL,
        isOutage: isOutageOfServer,
        ...(onBreaker === undefined ? {} : { onChange: onBreaker }),
      });
    this.builder = view?.of.builder ?? knexModule.default({ client: 'pg' });
    this.#connections =
      view !== undefined
        ? view.of.#connections
        : {
            pools: { light: this.#open('light'), bulk: this.#open('bulk') },
            control: new ControlConnection(() => this.#controlClient()),
            renewedAt: -Infinity,
            probe: undefined,
            probedAt: -Infinity,
            lent: new Set(),
            ending: new AbortController(),
            wasReadOnly: false,
          };
    // Whatever waits for a connection listens.
    if (view === undefined) setMaxListeners(0, this.#connections.ending.signal);
  }

  /** The same database on the connections for bulk work: what takes long, or waits for locks, and what nobody waits for. */
  get bulk(): Database {
    return this.#view('bulk', this.#call);
  }

  /** The same database, connections and breaker included, which tells `observer` of every statement. */
  observedBy(observer: StatementObserver | undefined): Database {
    return observer === undefined ? this : this.#view(this.#work, { ...this.#call, statements: observer });
  }

  /** The same database for one call: its statements are observed, and end when nobody waits for the answer any more. */
  forCall({ statements, signal }: Call): Database {
    return this.#view(this.#work, { statements, signal });
  }

  /** The same database, whose statements end when this signal aborts and no other. */
  until(signal: AbortSignal): Database {
    return this.#view(this.#work, { ...this.#call, signal });
  }

  #view(work: Work, call: Call): Database {
    return new Database(this.url, this.config, this.logger, undefined, { of: this, work, call });
  }

  #settings(statementTimeoutMs: number) {
    return {
      connectionString: this.url,
      connectionTimeoutMillis: this.config.databaseAcquireTimeoutMs,
      keepAlive: true,
      application_name: 'ssom-alert',
      options: `-c statement_timeout=${statementTimeoutMs} ${MEANING} ${SESSION} ${PLANS}`,
    };
  }

  #open(work: Work): pg.Pool {
    const { databasePoolMax, databaseStatementTimeoutMs } = this.config;
    const pool = new pg.Pool({
      ...this.#settings(databaseStatementTimeoutMs),
      max: poolSizes(databasePoolMax)[work],
      idleTimeoutMillis: 30_000,
      // The server ends a statement in time. If not even that is heard the connection is dead: without a FIN or RST (a host
      // that is gone, a firewall that forgets) the kernel would wait for 15 minutes, and CreateAlert's writers with it.
      query_timeout: databaseStatementTimeoutMs + ANSWER_MS,
    });
    // An idle connection that the server closes (a restart) is not an error of anybody's query.
    pool.on('error', (error) => this.logger.debug({ err: error }, 'an idle PostgreSQL connection was closed'));
    return pool;
  }

  #controlClient(): pg.Client {
    const timeoutMs = this.config.databaseAcquireTimeoutMs;
    // The server is the first to end a statement that is slow: where nothing is heard the connection is given up, with its locks.
    const statementMs = Math.max(timeoutMs - ANSWER_MS, Math.ceil(timeoutMs / 2));
    return new pg.Client({ ...this.#settings(statementMs), query_timeout: timeoutMs });
  }

  get #pool(): pg.Pool {
    return this.#connections.pools[this.#work];
  }

  get stats(): { total: number; idle: number; waiting: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { total: totalCount, idle: idleCount, waiting: waitingCount };
  }

  async query<R extends Row>(statement: { name?: string; text: string; values?: unknown[] }) {
    // Observed here, so that the wait for a connection is seen as well.
    return observe(this.#call.statements, statement, () =>
      this.#lend((connection) => connection.query<R>(statement), undefined),
    );
  }

  /**
   * Asks whether PostgreSQL is there and can write, past the breaker and whatever else is asked of it. The breaker follows.
   * @throws why not
   */
  probe(): Promise<void> {
    const connections = this.#connections;
    connections.probe ??= this.#probe().finally(() => {
      connections.probe = undefined;
      connections.probedAt = performance.now();
    });
    return connections.probe;
  }

  async #probe(): Promise<void> {
    const connections = this.#connections;
    const { control } = connections;
    const known = failureOf(requireWritable((text) => control.query(text)));
    const early = await Promise.race([known, wait(PATIENCE_MS).then(() => 'slow' as const)]);
    if (early !== undefined) {
      // The connection may be all that is dead, or that leads to a server that was the primary.
      const [failure, anew] = await Promise.all([known, failureOf(this.#askAnew())]);
      if (failure !== undefined && anew !== undefined) {
        if (isReadOnly(anew)) {
          control.leave();
          connections.wasReadOnly = true;
        } else if (isOutage(anew)) this.breaker.away();
        throw anew;
      }
      connections.wasReadOnly ||= isReadOnly(failure);
      if (isSilence(failure)) this.#renew('fell silent');
    }
    // What the pools hold may still lead to the server that was the primary. Too soon after the last time the next probe does it.
    if (connections.wasReadOnly && !this.#renew('became read-only')) return;
    connections.wasReadOnly = false;
    // Before calls are let through again: they would hang on what is dead.
    await this.#hearIdle();
    this.breaker.recovered();
  }

  async #askAnew(): Promise<void> {
    const client = this.#controlClient();
    client.on('error', () => undefined);
    try {
      await client.connect();
      await requireWritable(async (text) => (await client.query<Writable>(text)).rows);
    } finally {
      client.end().catch(() => undefined);
    }
  }

  /**
   * An idle connection that gives no answer: whatever became of its other end (a router forgot it) became of the others' as
   * well. Found one by one, each by a query that waits for its time-out, ten of them took 24 s; see test/labs/faults.
   */
  async #hearIdle(): Promise<void> {
    const idle = Object.values(this.#connections.pools).filter((pool) => pool.idleCount > 0);
    // pg reads query_timeout of a single query too; its types do not know.
    const statement = { text: 'SELECT 1', query_timeout: this.config.databaseAcquireTimeoutMs };
    const failures = await Promise.all(idle.map((pool) => failureOf(pool.query(statement))));
    if (failures.some(isSilence)) this.#renew('fell silent');
  }

  /** Gives up all connections: idle ones at once, lent ones when they come back. @returns false if it was done a moment ago */
  #renew(what: string): boolean {
    const connections = this.#connections;
    if (performance.now() - connections.renewedAt < RENEWAL_MS) return false;
    connections.renewedAt = performance.now();
    this.logger.warn(`a connection to PostgreSQL ${what}; all of them are made anew`);
    connections.control.leave();
    for (const work of ['light', 'bulk'] as const) {
      const old = connections.pools[work];
      connections.pools[work] = this.#open(work);
      // Resolves when what was lent has come back.
      old.end().catch((error: unknown) => this.logger.debug({ err: error }, 'old PostgreSQL connections'));
    }
    return true;
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
    return this.#lend(async (connection, end) => {
      // Both in one message.
      await connection.query(lockWaitMs === undefined ? 'BEGIN' : `BEGIN; SET LOCAL lock_timeout = ${lockWaitMs}`);
      try {
        const result = await work(connection);
        await end('COMMIT');
        return result;
      } catch (error) {
        // The first error is the one to report. In an outage the connection is closed, which rolls back too.
        if (!isOutage(error) && !(error instanceof CallEnded)) await end('ROLLBACK').catch(() => undefined);
        throw error;
      }
    }, this.#call.statements);
  }

  /** Lends a connection. One whose work has failed is closed rather than reused. */
  withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#lend(work, this.#call.statements);
  }

  /** @param work gets besides the connection what ends a transaction on it, which nothing stops any more */
  async #lend<T>(
    work: (connection: Connection, end: (text: string) => Promise<unknown>) => Promise<T>,
    statements: StatementObserver | undefined,
  ): Promise<T> {
    const { signal } = this.#call;
    const ending = this.#connections.ending.signal;
    if (ending.aborted) throw new DatabaseEnding();
    if (signal?.aborted === true) throw new CallEnded();
    this.#requireRoom();
    const asked = this.breaker.begin();
    let broken = false;
    const failed = (error: Error) => {
      if (!isOutage(error)) return asked.ended();
      broken = true;
      if (error instanceof DatabaseEnding) return asked.neverSent();
      asked.ended(error);
      // The server was the primary; connections to it are worth nothing, and new ones may find the one that is.
      if (isReadOnly(error) && !this.#renew('became read-only')) this.#connections.wasReadOnly = true;
    };
    const connection = await this.#connect().catch((error: Error) => {
      if (isOutageOfServer(error)) asked.ended(error);
      else asked.neverSent();
      throw error;
    });
    // The server may go away while the connection is idle in our hands: unheard, that event would end the process.
    const onError = () => {
      broken = true;
    };
    connection.on('error', onError);
    this.#connections.lent.add(connection);
    const run = async (statement: string | Statement, values?: unknown[]) => {
      try {
        const result = await observe(statements, statement, () => connection.query(statement as string, values));
        if (this.breaker.state !== 'closed') asked.ended();
        return result;
      } catch (error) {
        failed(error as Error);
        throw error;
      }
    };
    const query = async (statement: string | Statement, values?: unknown[]) => {
      if (typeof statement !== 'string') requireFewBindings(statement);
      if (signal === undefined) return run(statement, values);
      const stop = () => {
        // What arrives too late would stop the next statement: the connection is not used again.
        broken = true;
        if (!ending.aborted) this.#stop(connection);
      };
      if (signal.aborted) {
        broken = true;
        throw new CallEnded();
      }
      signal.addEventListener('abort', stop);
      try {
        const result = await run(statement, values);
        // A commit that waits for a standby answers a cancel with success, although no standby has it.
        if (signal.aborted) throw new CallEnded();
        return result;
      } catch (error) {
        throw signal.aborted && isContention(error) ? new CallEnded(error) : error;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    };
    try {
      return await work(Object.create(connection, { query: { value: query } }) as Connection, run);
    } finally {
      asked.ended();
      this.#connections.lent.delete(connection);
      connection.release(broken);
      connection.off('error', onError);
    }
  }

  #requireRoom(): void {
    if (this.#pool.waitingCount >= WAITING_MAX)
      throw Object.assign(new Error(`${WAITING_MAX} queries wait for a connection already`), { code: POOL_FULL });
  }

  /** A connection of the pool. @throws CallEnded if nobody waits for it any more, DatabaseEnding if this process ends */
  async #connect(): Promise<pg.PoolClient> {
    const { signal } = this.#call;
    const lent = this.#pool.connect();
    try {
      const waiting = orAborted(lent, this.#connections.ending.signal, () => new DatabaseEnding());
      return await (signal === undefined ? waiting : orAborted(waiting, signal, () => new CallEnded()));
    } catch (error) {
      // Statements that take long, or a server that has fallen silent.
      if (isContention(error) && performance.now() - this.#connections.probedAt > PATIENCE_MS)
        this.probe().catch((reason: unknown) => this.logger.debug({ err: reason }, 'PostgreSQL was asked'));
      if (error instanceof CallEnded || error instanceof DatabaseEnding)
        void lent.then(
          (connection) => connection.release(),
          () => undefined,
        );
      throw error;
    }
  }

  /**
   * The process ends and has no time left: nothing more is begun, and nobody hears what becomes of that which runs. It is not
   * cancelled: PostgreSQL answers a commit that waits for a standby with success then, although no standby has it.
   */
  endStatements(): void {
    const { ending, lent } = this.#connections;
    ending.abort();
    for (const connection of lent) streamOf(connection).destroy(new DatabaseEnding());
  }

  /** Stops what runs on a connection. */
  #stop(connection: pg.PoolClient): void {
    cancelStatement(connection, this.config.databaseAcquireTimeoutMs).catch((error: unknown) =>
      this.logger.debug({ err: error }, 'a statement could not be stopped'),
    );
  }

  /**
   * Runs `work` while this process alone holds the lock. The lock is the control connection's: it goes when that breaks or is
   * given up, and `work` must end soon when the signal that it gets says so.
   * @param signal what else ends the work
   * @returns undefined at once if somebody else has the lock
   */
  async withAdvisoryLock<T>(
    key: number,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const lock = await this.breaker.run(() => this.#connections.control.lock(key));
    if (lock === undefined) return undefined;
    const { lost } = lock;
    const ended = new AbortController();
    const end = () => ended.abort();
    const lose = () => {
      this.logger.warn({ key }, 'an advisory lock is lost with its connection; the work ends');
      end();
    };
    if (signal?.aborted === true) end();
    if (lost.aborted) lose();
    lost.addEventListener('abort', lose);
    signal?.addEventListener('abort', end);
    try {
      return await work(ended.signal);
    } finally {
      lost.removeEventListener('abort', lose);
      signal?.removeEventListener('abort', end);
      // In an outage the connection is gone, and the lock with it.
      await lock
        .giveBack()
        .catch((error: unknown) => this.logger.debug({ err: error }, 'an advisory lock was not given back'));
    }
  }

  async close(): Promise<void> {
    this.breaker.close();
    this.#connections.control.close();
    await Promise.all(Object.values(this.#connections.pools).map((pool) => pool.end()));
  }
}

interface Writable extends Row {
  readonly writable: boolean;
}

/** @throws READ_ONLY if the server takes no writes: it is a standby, or was made read-only */
async function requireWritable(ask: (text: string) => Promise<Row[]>): Promise<void> {
  const [row] = (await ask("SELECT current_setting('transaction_read_only') = 'off' AS writable")) as Writable[];
  if (row?.writable !== true)
    throw Object.assign(new Error('PostgreSQL takes no writes: it is read-only'), { code: READ_ONLY });
}

/** What the breaker hears of: that this process ends says nothing of the server. */
function isOutageOfServer(error: unknown): boolean {
  return isOutage(error) && !(error instanceof DatabaseEnding);
}

function isReadOnly(error: unknown): boolean {
  return sqlState(error) === READ_ONLY;
}

/** Resolves when it is settled: with why it failed. */
function failureOf(promise: Promise<unknown>): Promise<Error | undefined> {
  return promise.then(
    () => undefined,
    (error: Error) => error,
  );
}

/** @throws `reason` when the signal aborts; the promise itself goes on */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal, reason: () => Error): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(reason());
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
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

async function observe<T>(
  observer: StatementObserver | undefined,
  statement: string | Statement,
  run: () => Promise<T>,
): Promise<T> {
  if (observer === undefined) return run();
  const startedAt = now();
  const summary = summaryOf(typeof statement === 'string' ? { text: statement } : statement);
  try {
    const result = await run();
    observer.ended(summary, startedAt, now());
    return result;
  } catch (error) {
    observer.ended(summary, startedAt, now(), error as Error);
    throw error;
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
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
  return (error as { message?: string } | undefined)?.message === 'Query read timeout';
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
