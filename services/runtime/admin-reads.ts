import { LRUCache } from 'lru-cache';
import { actorOf, isAnothers } from '../api/audit-actor.js';
import type { AuditAction } from '../domain/audit.js';
import { AlertError } from '../domain/errors.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import { callerKey } from '../lib/grpc/identity.js';
import { accountOf } from '../store/audit.js';
import type { RuntimeParts } from './runtime.js';

/** Reads of one caller, of one user and of one kind that share an entry. */
const GROUP_MS = 60_000;
/** Such groups that are remembered; who is forgotten gets another entry sooner. */
const GROUPS_MAX = 10_000;
const RETRY_MS = 1000;

type Read = Extract<AuditAction, 'inbox.read' | 'stream.opened' | 'devices.read'>;

/** Accounts for what admins read of others: an entry a minute, before the answer. */
export class AdminReads {
  readonly #written = new LRUCache<string, Promise<void>>({ max: GROUPS_MAX, ttl: GROUP_MS });

  constructor(private readonly deps: RuntimeParts<'database' | 'logger'>) {}

  /**
   * Resolves when a read is accounted for; at once if it is of the caller's own.
   * @throws AlertError UNAVAILABLE (AUDIT_UNAVAILABLE) if that cannot be: then nothing may be read
   */
  async note(call: CallContext, action: Read, owner: string): Promise<void> {
    if (!isAnothers(call.identity, owner)) return;
    const key = JSON.stringify([callerKey(call.identity), action, owner]);
    // Not on the call's own statements: others wait for it as well.
    const written = this.#written.get(key) ?? accountOf(actorOf(call), action, owner)(this.deps.database, {});
    this.#written.set(key, written, { noUpdateTTL: true });
    try {
      await written;
    } catch (error) {
      if (this.#written.get(key) === written) this.#written.delete(key);
      this.deps.logger.warn({ err: error, action }, 'a read is refused, as it could not be accounted for');
      throw new AlertError(
        'UNAVAILABLE',
        'AUDIT_UNAVAILABLE',
        "what is read of another's inbox must be accounted for, which is not possible now; try again",
        { retryAfterMs: RETRY_MS, cause: error },
      );
    }
  }
}
