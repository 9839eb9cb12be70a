import knexModule, { type Knex } from 'knex';
import type pg from 'pg';
import { Breaker, type BreakerState } from './breaker.js';
import type { Logger } from './logging.js';
import { cancelStatement } from './postgres-cancel.js';
import {
  CALL_ENDED,
  INSUFFICIENT_PRIVILEGE,
  isConflict,
  isContention,
  isOutage,
  POOL_FULL,
  POSTGRESQL,
  sqlState,
} from './postgres-errors.js';
import { DatabaseEnding, isReadOnly, type PoolConfig, PostgresPools, type Row, type Work } from './postgres-pools.js';
import { observe, requireFewBindings, type Statement, type StatementObserver } from './postgres-statement.js';
import { backoffMs, wait } from './retry.js';

export { DatabaseEnding, poolSizes, type Row } from './postgres-pools.js';
export type { StatementObserver } from './postgres-statement.js';

/** Queries that may wait for a connection, each for DATABASE_ACQUIRE_TIMEOUT_MS; one more is refused at once. */
export const WAITING_MAX = 5000;

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

/** For whom statements run. */
interface Call {
  /** Told of each statement. */
  readonly statements: StatementObserver | undefined;
  /**
   * Aborts when nobody waits for the result any more: what waits for a connection is refused, and what runs is stopped.
   */
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

/** The one home of pg and knex: bounded pools, transactions, and a query builder for statements that vary. */
export class Database implements Queryable {
  readonly #pools: PostgresPools;
  readonly #work: Work;
  readonly #call: Call;
  /** While PostgreSQL is away all but an occasional query fail at once. */
  readonly breaker: Breaker;
  /** Builds SQL only; it owns no connection. */
  readonly builder: Knex;

  constructor(
    readonly url: string,
    private readonly config: PoolConfig,
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
    this.#pools = view === undefined ? new PostgresPools(url, config, logger, this.breaker) : view.of.#pools;
  }

  /**
   * The same database on the connections for bulk work: what takes long, or waits for locks, and what nobody waits for.
   */
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

  get #pool(): pg.Pool {
    return this.#pools.of(this.#work);
  }

  get stats(): { total: number; idle: number; waiting: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { total: totalCount, idle: idleCount, waiting: waitingCount };
  }

  /** See PostgresPools. @throws why PostgreSQL is not there, or cannot write */
  probe(): Promise<void> {
    return this.#pools.probe();
  }

  async query<R extends Row>(statement: { name?: string; text: string; values?: unknown[] }) {
    // Observed here, so that the wait for a connection is seen as well.
    return observe(this.#call.statements, statement, () =>
      this.#lend((connection) => connection.query<R>(statement), undefined),
    );
  }

  /** Runs a statement that the query builder made. */
  async build<R extends Row>(builder: Knex.QueryBuilder): Promise<R[]> {
    const { sql, bindings } = builder.toSQL().toNative();
    return (await this.query<R>({ text: sql, values: [...bindings] })).rows;
  }

  /**
   * Runs `work` in one transaction on one connection; rolls back when it throws. After a deadlock it is run again, so
   * it must have no effect outside the database.
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
    const ending = this.#pools.ending.signal;
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
      if (isReadOnly(error)) this.#pools.noteReadOnly();
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
    this.#pools.lent.add(connection);
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
      this.#pools.lent.delete(connection);
      connection.release(broken);
      connection.off('error', onError);
    }
  }

  #requireRoom(): void {
    if (this.#pool.waitingCount >= WAITING_MAX)
      throw Object.assign(new Error(`${WAITING_MAX} queries wait for a connection already`), { code: POOL_FULL });
  }

  /**
   * A connection of the pool.
   * @throws CallEnded if nobody waits for it any more, DatabaseEnding if this process ends
   */
  async #connect(): Promise<pg.PoolClient> {
    const { signal } = this.#call;
    const lent = this.#pool.connect();
    try {
      const waiting = orAborted(lent, this.#pools.ending.signal, () => new DatabaseEnding());
      return await (signal === undefined ? waiting : orAborted(waiting, signal, () => new CallEnded()));
    } catch (error) {
      // Statements that take long, or a server that has fallen silent.
      if (isContention(error)) this.#pools.probeSoon();
      if (error instanceof CallEnded || error instanceof DatabaseEnding)
        void lent.then(
          (connection) => connection.release(),
          () => undefined,
        );
      throw error;
    }
  }

  /** This process ends and has no time left; see PostgresPools. */
  endStatements(): void {
    this.#pools.endStatements();
  }

  /** Stops what runs on a connection. */
  #stop(connection: pg.PoolClient): void {
    cancelStatement(connection, this.config.databaseAcquireTimeoutMs).catch((error: unknown) =>
      this.logger.debug({ err: error }, 'a statement could not be stopped'),
    );
  }

  /**
   * Runs `work` while this process alone holds the lock. The lock is the control connection's: it goes when that breaks
   * or is given up, and `work` must end soon when the signal that it gets says so.
   * @param signal what else ends the work
   * @returns undefined at once if somebody else has the lock
   */
  async withAdvisoryLock<T>(
    key: number,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const lock = await this.breaker.run(() => this.#pools.control.lock(key));
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
    await this.#pools.close();
  }
}

/** What the breaker hears of: that this process ends, or lacks a right to one table, says nothing of the server. */
function isOutageOfServer(error: unknown): boolean {
  return isOutage(error) && !(error instanceof DatabaseEnding) && sqlState(error) !== INSUFFICIENT_PRIVILEGE;
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

/**
 * A condition that is always true and makes its transaction commit without waiting for the disk. For what may be lost
 * in a crash of PostgreSQL: each alert would otherwise wait for four flushes on its way, of which two matter.
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
