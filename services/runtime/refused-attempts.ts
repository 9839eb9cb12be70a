import type { AuditActor, AuditEntry } from '../domain/audit.js';
import type { AlertError } from '../domain/errors.js';
import { addressOf, type RefusedCall, saidBy } from '../lib/grpc/call-origin.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { withTimeout } from '../lib/retry.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { wallClock } from '../lib/wall-clock.js';
import { writeEntries } from '../store/audit.js';

/** What says that somebody tried what is not allowed; the rest are mistakes and outages. */
const REFUSALS: ReadonlySet<string> = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED']);
const GATHER_MS = 5000;
/** Groups that wait; attempts beyond are counted together. */
export const GROUPS_MAX = 1000;
/** Entries that one process adds in a minute at most: 86,400 a day, some 40 MB. */
export const ENTRIES_PER_MINUTE = 60;
/** What the process may take for them when it ends. */
const FAREWELL_MS = 1000;

/** Attempts of one caller, or address, at one method that were refused for one reason. */
interface Group {
  /** Of the first. */
  readonly actor: AuditActor;
  readonly method: string;
  readonly reason: string;
  attempts: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  until: number;
}

/** Of attempts that found no room. */
const OTHERS = 'others';
const NOBODY = { kind: 'unknown', subject: '', credential: '', requestId: '', traceId: '' } as const;

export interface RefusedAttemptsDeps {
  readonly database: Database;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How long attempts gather before they are written; default 5 s. */
  readonly gatherMs?: number;
}

/**
 * Accounts for calls that were refused, grouped, so that nobody fills the table and no call waits for it. A process
 * that is killed loses those of the last 5 s.
 */
export class RefusedAttempts {
  readonly #groups = new Map<string, Group>();
  readonly #ungrouped;
  #room = ENTRIES_PER_MINUTE;
  #roomAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** What is being written; never fails. */
  #writing = Promise.resolve();
  #isClosed = false;

  constructor(private readonly deps: RefusedAttemptsDeps) {
    const { metrics } = deps;
    metrics.queue('refused_attempts', () => this.#groups.size, GROUPS_MAX);
    this.#ungrouped = metrics.counter(
      'ssom.audit.ungrouped',
      'Refused attempts that were counted together in the account of who did what, as too many groups of them waited.',
    );
    this.#ungrouped.add(0);
  }

  /** Notes a call that was refused. */
  note({ path, peer, identity, metadata }: RefusedCall, { code, reason }: AlertError): void {
    if (!REFUSALS.has(code)) return;
    const method = path.slice(path.lastIndexOf('.') + 1);
    const address = addressOf(peer);
    const { kind, subject, credential } = identity ?? NOBODY;
    const key = JSON.stringify([kind, subject, identity === undefined ? address : '', method, reason]);
    const now = wallClock();
    const known = this.#groups.get(key);
    if (known !== undefined) return this.#join(known, 1, now);
    const actor = { kind, subject, credential, peer: address, ...saidBy(metadata) };
    this.#add(key, { actor, method, reason, attempts: 1, since: now, until: now });
  }

  #join(group: Group, attempts: number, until: number): void {
    group.attempts += attempts;
    group.until = Math.max(group.until, until);
  }

  #add(key: string, group: Group): void {
    const known = this.#groups.get(key);
    if (known !== undefined) {
      this.#join(known, group.attempts, group.until);
    } else if (this.#groups.size < GROUPS_MAX || key === OTHERS) {
      this.#groups.set(key, group);
    } else {
      this.#ungrouped.add(group.attempts);
      this.#add(OTHERS, { ...group, actor: { ...NOBODY, peer: '' }, method: '', reason: 'TOO_MANY_GROUPS' });
      return;
    }
    this.#writeLater();
  }

  #writeLater(): void {
    if (this.#groups.size === 0 || this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#writeSome();
    }, this.deps.gatherMs ?? GATHER_MS).unref();
  }

  async #writeSome(): Promise<void> {
    await this.write(this.#takeRoom()).catch((error: unknown) =>
      this.deps.logger.warn({ err: error, groups: this.#groups.size }, 'refused attempts wait to be accounted for'),
    );
    this.#timer = undefined;
    this.#writeLater();
  }

  #takeRoom(): number {
    const now = performance.now();
    this.#room = Math.min(ENTRIES_PER_MINUTE, this.#room + ((now - this.#roomAt) / 60_000) * ENTRIES_PER_MINUTE);
    this.#roomAt = now;
    const groups = Math.min(Math.floor(this.#room), this.#groups.size);
    this.#room -= groups;
    return groups;
  }

  /** Writes the groups that have waited longest, at most so many; those that cannot be written wait on. */
  async write(limit: number): Promise<void> {
    const groups = [...this.#groups].slice(0, limit);
    if (groups.length === 0) return;
    for (const [key] of groups) this.#groups.delete(key);
    try {
      await writeEntries(
        this.deps.database,
        groups.map(([, group]) => toEntry(group)),
      );
    } catch (error) {
      for (const [key, group] of groups) this.#add(key, group);
      throw error;
    }
  }

  /** Writes what is left, also of what is being written if that fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    try {
      const written = this.#writing.then(() => this.write(ENTRIES_PER_MINUTE));
      await withTimeout(written, FAREWELL_MS, 'accounting for refused attempts');
    } finally {
      if (this.#groups.size > 0)
        this.deps.logger.error({ groups: this.#groups.size }, 'refused attempts are not accounted for');
    }
  }
}

function toEntry({ actor, method, reason, attempts, since, until }: Group): AuditEntry {
  const details = { attempts, since: new Date(since).toISOString(), until: new Date(until).toISOString() };
  return { actor, action: 'call.refused', object: method, outcome: 'refused', reason, details };
}
