import type pg from 'pg';
import { isOutage } from './postgres-errors.js';

interface Session {
  readonly client: pg.Client;
  readonly connected: Promise<unknown>;
  /** The advisory locks that it holds. They go with it. */
  readonly locks: Set<number>;
  /** Aborts when it is gone. */
  readonly gone: AbortController;
}

/** An advisory lock that is held. */
export interface HeldLock {
  /** Aborts when the session is gone, and the lock with it: somebody else may have it then. */
  readonly lost: AbortSignal;
  giveBack(): Promise<void>;
}

/**
 * A connection of its own, for what must be answered although all others are in use: whether PostgreSQL is there and
 * can write, and advisory locks. It is opened when it is needed, and again when it was lost.
 */
export class ControlConnection {
  #session: Session | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param create makes a client that is not connected yet, with time-outs for connecting and for statements */
  constructor(private readonly create: () => pg.Client) {}

  /** Statements run one after the other. @throws what PostgreSQL says, or why there is no connection */
  query<R extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    return this.#inTurn(async () => this.#run<R>(this.#open(), text, values));
  }

  /** Takes an advisory lock. @returns undefined if somebody has it, in this process or another one */
  lock(key: number): Promise<HeldLock | undefined> {
    return this.#inTurn(async () => {
      const session = this.#open();
      // A session may take a lock of its own again.
      if (session.locks.has(key)) return undefined;
      const [row] = await this.#run<{ locked: boolean }>(session, 'SELECT pg_try_advisory_lock($1) AS locked', [key]);
      if (row?.locked !== true) return undefined;
      session.locks.add(key);
      return { lost: session.gone.signal, giveBack: () => this.#unlock(session, key) };
    });
  }

  #unlock(session: Session, key: number): Promise<void> {
    return this.#inTurn(async () => {
      session.locks.delete(key);
      // What held it is gone, and the lock with it.
      if (this.#session !== session) return;
      await this.#run(session, 'SELECT pg_advisory_unlock($1)', [key]);
    });
  }

  /** pg runs one statement after the other as well, and warns of those that wait. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const answer = this.#last.then(work);
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #run<R extends pg.QueryResultRow>(session: Session, text: string, values: readonly unknown[]): Promise<R[]> {
    try {
      await session.connected;
      return (await session.client.query<R>(text, [...values])).rows;
    } catch (error) {
      if (isOutage(error)) this.#drop(session);
      throw error;
    }
  }

  #open(): Session {
    if (this.#closed) throw new Error('Client was closed and is not queryable');
    if (this.#session !== undefined) return this.#session;
    const client = this.create();
    const gone = new AbortController();
    // pg's connect() never settles when end() comes first: every later turn would wait for it without end.
    const connected = Promise.race([client.connect(), rejectedAtAbort(gone.signal)]);
    const session: Session = { client, connected, locks: new Set(), gone };
    session.connected.catch(() => undefined);
    client.on('error', () => this.#drop(session));
    client.on('end', () => this.#drop(session));
    this.#session = session;
    return session;
  }

  #drop(session: Session): void {
    if (this.#session === session) this.#session = undefined;
    session.gone.abort();
    session.client.end().catch(() => undefined);
  }

  /** Gives up the connection, and its locks; the next statement makes another one. */
  leave(): void {
    if (this.#session !== undefined) this.#drop(this.#session);
  }

  close(): void {
    this.#closed = true;
    this.leave();
  }
}

function rejectedAtAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    // As pg says it of a statement under way.
    signal.addEventListener('abort', () => reject(new Error('Connection terminated')), { once: true });
  });
}
