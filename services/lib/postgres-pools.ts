import { setMaxListeners } from 'node:events';
import pg from 'pg';
import type { Breaker } from './breaker.js';
import type { Config } from './config/load.js';
import type { Logger } from './logging.js';
import { streamOf } from './postgres-cancel.js';
import { ControlConnection } from './postgres-control.js';
import { DATABASE_ENDING, isOutage, READ_ONLY, sqlState } from './postgres-errors.js';
import { PostgresServer } from './postgres-server.js';
import { sessionOptions } from './postgres-session.js';
import { wait } from './retry.js';

export type Row = Record<string, unknown>;

/** Light: somebody waits for it. Bulk: it takes long, waits for locks, or nobody waits. */
export type Work = 'light' | 'bulk';

export type PoolConfig = Pick<
  Config,
  'databasePoolMax' | 'databaseAcquireTimeoutMs' | 'databaseStatementTimeoutMs' | 'secretFiles'
>;

/** How long the news of a statement that the server has ended may be on its way. */
const ANSWER_MS = 1000;
/**
 * How long a probe waits for the connection that it has, until it tries a new one; and between two that a full pool
 * asks for.
 */
const PATIENCE_MS = 500;
/** All connections are replaced at most once in this time. */
const RENEWAL_MS = 1000;

/** How DATABASE_POOL_MAX connections are shared: one is the control connection, three of eight are for bulk work. */
export function poolSizes(max: number): Record<Work, number> {
  const bulk = Math.max(1, Math.floor((max * 3) / 8));
  return { bulk, light: max - 1 - bulk };
}

/**
 * This process ends. Whether a statement was done is not known: PostgreSQL may wait for a standby, and commit later.
 */
export class DatabaseEnding extends Error {
  readonly code = DATABASE_ENDING;

  constructor() {
    super('this process ends and asks the database nothing more');
    this.name = 'DatabaseEnding';
  }
}

/**
 * The connections to one server: two bounded pools, and one for probes and advisory locks. When one of them has fallen
 * silent, or leads to a server that takes no writes, all are replaced.
 */
export class PostgresPools {
  readonly control: ControlConnection;
  /** Those that are in use. */
  readonly lent = new Set<pg.PoolClient>();
  /** Aborts when this process ends, and cannot wait for what takes long. */
  readonly ending = new AbortController();
  readonly #pools: Record<Work, pg.Pool>;
  readonly #server: PostgresServer;
  #renewedAt = -Infinity;
  #probing: Promise<void> | undefined;
  #probedAt = -Infinity;
  /** No server that can write was found when it was asked for last. */
  #wasReadOnly = false;

  constructor(
    url: string,
    private readonly config: PoolConfig,
    private readonly logger: Logger,
    private readonly breaker: Breaker,
  ) {
    this.#server = new PostgresServer(url, config.secretFiles, logger);
    this.#pools = { light: this.#open('light'), bulk: this.#open('bulk') };
    this.control = new ControlConnection(() => this.#controlClient());
    // Whatever waits for a connection listens.
    setMaxListeners(0, this.ending.signal);
  }

  of(work: Work): pg.Pool {
    return this.#pools[work];
  }

  #open(work: Work): pg.Pool {
    const { databasePoolMax, databaseStatementTimeoutMs, databaseAcquireTimeoutMs } = this.config;
    const server = this.#server;
    /** The pool makes all of its connections with the same options, and a password may have been replaced since. */
    class Client extends pg.Client {
      constructor(options?: pg.ClientConfig) {
        super({ ...options, ...server.options });
      }
    }
    const pool = new pg.Pool({
      ...sessionOptions(databaseStatementTimeoutMs, databaseAcquireTimeoutMs),
      Client,
      max: poolSizes(databasePoolMax)[work],
      idleTimeoutMillis: 30_000,
      // The server ends a statement in time. If not even that is heard the connection is dead: without a FIN or RST (a
      // host that is gone, a firewall that forgets) the kernel would wait for 15 minutes, and CreateAlert's writers
      // with it.
      query_timeout: databaseStatementTimeoutMs + ANSWER_MS,
    });
    // An idle connection that the server closes (a restart) is not an error of anybody's query.
    pool.on('error', (error) => this.logger.debug({ err: error }, 'an idle PostgreSQL connection was closed'));
    return pool;
  }

  #controlClient(): pg.Client {
    const timeoutMs = this.config.databaseAcquireTimeoutMs;
    // The server is the first to end a statement that is slow: where nothing is heard the connection is given up, with
    // its locks.
    const statementMs = Math.max(timeoutMs - ANSWER_MS, Math.ceil(timeoutMs / 2));
    const session = sessionOptions(statementMs, timeoutMs);
    return new pg.Client({ ...session, ...this.#server.options, query_timeout: timeoutMs });
  }

  /**
   * Asks whether PostgreSQL is there and can write, past the breaker and whatever else is asked of it. The breaker
   * follows.
   * @throws why not
   */
  probe(): Promise<void> {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
      this.#probedAt = performance.now();
    });
    return this.#probing;
  }

  /** The same, of which nobody hears, unless it was done a moment ago. */
  probeSoon(): void {
    if (performance.now() - this.#probedAt <= PATIENCE_MS) return;
    this.probe().catch((reason: unknown) => this.logger.debug({ err: reason }, 'PostgreSQL was asked'));
  }

  async #probe(): Promise<void> {
    const known = failureOf(requireWritable((text) => this.control.query(text)));
    const early = await Promise.race([known, wait(PATIENCE_MS).then(() => 'slow' as const)]);
    if (early !== undefined) {
      // The connection may be all that is dead, or that leads to a server that was the primary.
      const [failure, anew] = await Promise.all([known, failureOf(this.#askAnew())]);
      if (failure !== undefined && anew !== undefined) {
        if (isReadOnly(anew)) {
          this.control.leave();
          this.#wasReadOnly = true;
        } else if (isOutage(anew)) this.breaker.away();
        throw anew;
      }
      this.#wasReadOnly ||= isReadOnly(failure);
      if (isSilence(failure)) this.#renew('fell silent');
    }
    // What the pools hold may still lead to the server that was the primary. Too soon after the last time the next
    // probe does it.
    if (this.#wasReadOnly && !this.#renew('became read-only')) return;
    this.#wasReadOnly = false;
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
   * An idle connection that gives no answer: whatever became of its other end became of the others' as well. Found one
   * by one, each by a query that waits for its time-out, ten of them took 24 s.
   */
  async #hearIdle(): Promise<void> {
    const idle = Object.values(this.#pools).filter((pool) => pool.idleCount > 0);
    // pg reads query_timeout of a single query too; its types do not know.
    const statement = { text: 'SELECT 1', query_timeout: this.config.databaseAcquireTimeoutMs };
    const failures = await Promise.all(idle.map((pool) => failureOf(pool.query(statement))));
    if (failures.some(isSilence)) this.#renew('fell silent');
  }

  /** The server was the primary: connections to it are worth nothing, and new ones may find the one that is. */
  noteReadOnly(): void {
    if (!this.#renew('became read-only')) this.#wasReadOnly = true;
  }

  /**
   * Gives up all connections: idle ones at once, lent ones when they come back.
   * @returns false if it was done a moment ago
   */
  #renew(what: string): boolean {
    if (performance.now() - this.#renewedAt < RENEWAL_MS) return false;
    this.#renewedAt = performance.now();
    this.logger.warn(`a connection to PostgreSQL ${what}; all of them are replaced`);
    this.control.leave();
    for (const work of ['light', 'bulk'] as const) {
      const old = this.#pools[work];
      this.#pools[work] = this.#open(work);
      // Resolves when what was lent has come back.
      old.end().catch((error: unknown) => this.logger.debug({ err: error }, 'old PostgreSQL connections'));
    }
    return true;
  }

  /**
   * The process ends and has no time left: nothing more is begun. What runs is not cancelled: PostgreSQL would answer a
   * commit that waits for a standby with success, although no standby has it.
   */
  endStatements(): void {
    this.ending.abort();
    for (const connection of this.lent) streamOf(connection).destroy(new DatabaseEnding());
  }

  async close(): Promise<void> {
    this.control.close();
    await Promise.all(Object.values(this.#pools).map((pool) => pool.end()));
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

export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === READ_ONLY;
}

/** Resolves when it is settled: with why it failed. */
function failureOf(promise: Promise<unknown>): Promise<Error | undefined> {
  return promise.then(
    () => undefined,
    (error: Error) => error,
  );
}

/** Whether a connection was made and then nothing came over it. */
function isSilence(error: unknown): boolean {
  return (error as { message?: string } | undefined)?.message === 'Query read timeout';
}
