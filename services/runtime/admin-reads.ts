import { LRUCache } from 'lru-cache';
import { actorOf, isAnothers } from '../api/audit-actor.js';
import type { AuditAction, AuditEntry } from '../domain/audit.js';
import { AlertError } from '../domain/errors.js';
import { Batcher } from '../lib/batcher.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import { addressOf } from '../lib/grpc/call-origin.js';
import { callerKey } from '../lib/grpc/identity.js';
import { writeEntries } from '../store/audit.js';
import type { RuntimeParts } from './runtime.js';

/** Reads by one credential from one address, of one user and of one kind, that share an entry. */
const GROUP_MS = 60_000;
/** Such groups that are remembered; who is forgotten gets another entry sooner. */
const GROUPS_MAX = 10_000;
/** Entries of one statement, and that may wait for theirs: all streams of a gateway that was started again. */
const BATCH_MAX = 500;
const WAITING_MAX = 20_000;
const RETRY_MS = 1000;

type Read = Extract<AuditAction, 'inbox.read' | 'stream.opened' | 'devices.read'>;

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Accounts for what admins read of others: an entry a minute, before the answer. What comes while a statement runs
 * shares the next one.
 */
export class AdminReads {
  readonly #written = new LRUCache<string, Promise<void>>({ max: GROUPS_MAX, ttl: GROUP_MS });
  readonly #waiting: Waiting[] = [];
  readonly #writer = new Batcher<Waiting>({
    workersMax: () => 1,
    take: () => this.#waiting.splice(0, BATCH_MAX),
    work: (batch) => this.#write(batch),
  });

  /** @param queue what the metrics call those that wait */
  constructor(
    private readonly deps: RuntimeParts<'bulkDatabase' | 'logger' | 'metrics'>,
    queue: string,
  ) {
    deps.metrics.queue(queue, () => this.#waiting.length, WAITING_MAX);
  }

  /**
   * Resolves when a read is accounted for; at once if it is of the caller's own.
   * @throws AlertError UNAVAILABLE (AUDIT_UNAVAILABLE) if that cannot be: then nothing may be read
   */
  async note(call: CallContext, action: Read, owner: string): Promise<void> {
    const { identity, peer } = call;
    if (!isAnothers(identity, owner)) return;
    const key = JSON.stringify([callerKey(identity), identity.credential, addressOf(peer), action, owner]);
    const written = this.#written.get(key) ?? this.#add(call, action, owner);
    this.#written.set(key, written, { noUpdateTTL: true });
    try {
      await written;
    } catch (error) {
      if (this.#written.get(key) === written) this.#written.delete(key);
      throw new AlertError(
        'UNAVAILABLE',
        'AUDIT_UNAVAILABLE',
        "what is read of another's inbox must be accounted for, which is not possible now; try again",
        { retryAfterMs: RETRY_MS, cause: error },
      );
    }
  }

  #add(call: CallContext, action: Read, object: string): Promise<void> {
    const entry: AuditEntry = { actor: actorOf(call), action, object, outcome: 'done', reason: '', details: {} };
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= WAITING_MAX) return reject(new Error(`${WAITING_MAX} entries wait to be written`));
      this.#waiting.push({ entry, resolve, reject });
      this.#writer.wake();
    });
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const { bulkDatabase: database, logger } = this.deps;
    try {
      await writeEntries(
        database,
        batch.map(({ entry }) => entry),
      );
      for (const { resolve } of batch) resolve();
    } catch (error) {
      database.breaker.failedToo(error, batch.length - 1);
      logger.warn({ err: error, reads: batch.length }, 'reads are refused, as they could not be accounted for');
      for (const { reject } of batch) reject(error as Error);
    }
  }
}
