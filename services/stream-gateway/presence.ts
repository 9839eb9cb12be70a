import { randomUUID } from 'node:crypto';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { wait } from '../lib/retry.js';
import { removePresence, renewLease, writePresence } from '../store/presence.js';

const LEASE_MS = 30_000;
const RENEW_MS = 10_000;
/** How long arrivals and departures gather. */
const FLUSH_MS = 1000;
/** Users of one statement. */
const PAGE = 1000;

/**
 * Tells the others, above all push, which users hold a stream here: at most a second late, and until the lease ends (30
 * s) if this process dies. It costs a small statement every 10 s, and one a second for each 1,000 who move.
 */
export class Presence {
  readonly #gateway = randomUUID();
  /** Users whose row is not as it should be yet, by whether they are here. */
  readonly #changed = new Map<string, boolean>();
  #renewedAt = 0;

  constructor(
    private readonly database: Database,
    private readonly logger: Logger,
    private readonly users: () => Iterable<string>,
  ) {}

  /** A user's first stream was opened, or the last one ended. */
  note(userId: string, here: boolean): void {
    this.#changed.set(userId, here);
  }

  /** Users whose presence is still to be written. */
  get waiting(): number {
    return this.#changed.size;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#renew();
        await this.#flush();
      } catch (error) {
        this.logger.debug({ err: error }, 'presence could not be written; trying again');
      }
      await wait(FLUSH_MS, signal);
    }
  }

  async #renew(): Promise<void> {
    const now = performance.now();
    if (this.#renewedAt > 0 && now - this.#renewedAt < RENEW_MS) return;
    const known = await renewLease(this.database, this.#gateway, LEASE_MS);
    // At the start, and after PostgreSQL has forgotten.
    if (!known) for (const userId of this.users()) this.#changed.set(userId, true);
    await removePresence(this.database);
    this.#renewedAt = now;
  }

  async #flush(): Promise<void> {
    while (this.#changed.size > 0) {
      const page = [...this.#changed].slice(0, PAGE);
      const of = (wanted: boolean) => page.filter(([, here]) => here === wanted).map(([userId]) => userId);
      await writePresence(this.database, this.#gateway, of(true), of(false));
      // What has changed since is newer.
      for (const [userId, here] of page) if (this.#changed.get(userId) === here) this.#changed.delete(userId);
    }
  }

  /** Nobody is here any more. */
  async close(): Promise<void> {
    await removePresence(this.database, this.#gateway).catch((error: unknown) =>
      this.logger.debug({ err: error }, 'presence could not be removed; it ends with its lease'),
    );
  }
}
