import type { AlertError } from '../domain/errors.js';
import { addressOf, type RefusedCall, saidBy } from '../lib/grpc/call-origin.js';
import { HANDSHAKE_FAILURES, type RefusedHandshake } from '../lib/grpc/handshakes.js';
import { GroupedAttempts, type GroupedAttemptsDeps, NOBODY } from './grouped-attempts.js';
import { RefusalLog } from './refusal-log.js';

/** What says that somebody tried what is not allowed; the rest are mistakes and outages. */
const REFUSALS: ReadonlySet<string> = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED']);
/** Of a process at most 86,400 entries a day, some 40 MB. */
export const CALLS = { queue: 'refused_attempts', groupsMax: 1000, entriesPerMinute: 60 };
/** Cheaper to make than calls, and so with room of their own: they crowd out no refused call. */
export const HANDSHAKES = { queue: 'refused_handshakes', groupsMax: 200, entriesPerMinute: 10 };

export interface RefusedAttemptsDeps extends Omit<GroupedAttemptsDeps, 'onUngrouped'> {
  /** How long attempts gather before they are written; default 5 s. */
  readonly gatherMs?: number;
}

/** Calls and connections that were refused: in the account of who did what, and in the log, bounded in both. */
export class RefusedAttempts {
  readonly calls: GroupedAttempts;
  readonly handshakes: GroupedAttempts;
  readonly #callLog: RefusalLog;
  readonly #handshakeLog: RefusalLog;

  constructor({ gatherMs, ...deps }: RefusedAttemptsDeps) {
    const ungrouped = deps.metrics.counter(
      'ssom.audit.ungrouped',
      'Refused attempts that were counted together in the account of who did what, as too many groups of them waited.',
    );
    const grouped = { ...deps, onUngrouped: (attempts: number) => ungrouped.add(attempts) };
    this.calls = new GroupedAttempts(grouped, { ...CALLS, gatherMs });
    this.handshakes = new GroupedAttempts(grouped, { ...HANDSHAKES, gatherMs });
    this.#callLog = new RefusalLog(deps.logger, 'a call is refused');
    this.#handshakeLog = new RefusalLog(deps.logger, 'a connection is refused');
  }

  /** Notes a call that was refused. */
  noteCall({ path, peer, identity, metadata }: RefusedCall, { code, reason, message }: AlertError): void {
    if (!REFUSALS.has(code)) return;
    const method = path.slice(path.lastIndexOf('.') + 1);
    const address = addressOf(peer);
    const { kind, subject, credential } = identity ?? NOBODY;
    const actor = { kind, subject, credential, peer: address, ...saidBy(metadata) };
    this.calls.note({ actor, action: 'call.refused', object: method, reason });
    const who = kind === 'unknown' ? address : `${kind} ${subject}`;
    this.#callLog.note(JSON.stringify([who, reason]), () => ({ who, address, method, reason, message }));
  }

  /** Notes a connection that ended in its TLS handshake. */
  noteHandshake({ failure, address }: RefusedHandshake): void {
    const reason = `TLS_${failure.toUpperCase()}`;
    const actor = { ...NOBODY, peer: address };
    this.handshakes.note({ actor, action: 'connection.refused', object: '', reason });
    const message = `the client ${HANDSHAKE_FAILURES[failure]}`;
    this.#handshakeLog.note(JSON.stringify([address, reason]), () => ({ address, reason, message }));
  }

  async close(): Promise<void> {
    this.#callLog.close();
    this.#handshakeLog.close();
    // At once: while PostgreSQL is away each takes as long as it may.
    const closed = await Promise.allSettled([this.calls.close(), this.handshakes.close()]);
    for (const each of closed) if (each.status === 'rejected') throw each.reason;
  }
}
