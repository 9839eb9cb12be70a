import type { AuditAction, AuditActor, AuditEntry } from '../domain/audit.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { withTimeout } from '../lib/retry.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { wallClock } from '../lib/wall-clock.js';
import { writeEntries } from '../store/audit.js';

const GATHER_MS = 5000;
/** What the process may take for them when it ends. */
const FAREWELL_MS = 1000;

/** Something that was tried, and refused. */
export interface Attempt {
  readonly actor: AuditActor;
  readonly action: AuditAction;
  readonly object: string;
  readonly reason: string;
}

/** Attempts of one caller, or address, at one thing that were refused for one reason. */
interface Group extends Attempt {
  attempts: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  until: number;
}

/** Of attempts that found no room. */
const OTHERS = 'others';
export const NOBODY = { kind: 'unknown', subject: '', credential: '', requestId: '', traceId: '' } as const;

export interface GroupedAttemptsDeps {
  readonly database: Database;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told of attempts that found no room. */
  readonly onUngrouped: (attempts: number) => void;
}

export interface GroupedAttemptsBounds {
  readonly queue: string;
  /** Groups that wait; attempts beyond are counted together. */
  readonly groupsMax: number;
  /** Entries that one process adds in a minute at most. */
  readonly entriesPerMinute: number;
  /** How long attempts gather before they are written; default 5 s. */
  readonly gatherMs?: number | undefined;
}

/**
 * Accounts for what was refused, grouped, so that nobody fills the table and nobody waits for it. A process that is
 * killed loses those of the last 5 s.
 */
export class GroupedAttempts {
  readonly #groups = new Map<string, Group>();
  #room: number;
  #roomAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** What is being written; never fails. */
  #writing = Promise.resolve();
  #isClosed = false;

  constructor(
    private readonly deps: GroupedAttemptsDeps,
    private readonly bounds: GroupedAttemptsBounds,
  ) {
    this.#room = bounds.entriesPerMinute;
    deps.metrics.queue(bounds.queue, () => this.#groups.size, bounds.groupsMax);
  }

  note(attempt: Attempt): void {
    const now = wallClock();
    this.#add(keyOf(attempt), { ...attempt, attempts: 1, since: now, until: now });
  }

  #add(key: string, group: Group): void {
    const known = this.#groups.get(key);
    if (known !== undefined) {
      known.attempts += group.attempts;
      known.until = Math.max(known.until, group.until);
    } else if (this.#groups.size < this.bounds.groupsMax || key === OTHERS) {
      this.#groups.set(key, group);
    } else {
      this.deps.onUngrouped(group.attempts);
      this.#add(OTHERS, { ...group, actor: { ...NOBODY, peer: '' }, object: '', reason: 'TOO_MANY_GROUPS' });
      return;
    }
    this.#writeLater();
  }

  #writeLater(): void {
    if (this.#groups.size === 0 || this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#writeSome();
    }, this.bounds.gatherMs ?? GATHER_MS).unref();
  }

  async #writeSome(): Promise<void> {
    await this.write(this.#takeRoom()).catch((error: unknown) =>
      this.deps.logger.warn({ err: error, groups: this.#groups.size }, 'refused attempts wait to be accounted for'),
    );
    this.#timer = undefined;
    this.#writeLater();
  }

  #takeRoom(): number {
    const { entriesPerMinute } = this.bounds;
    const now = performance.now();
    this.#room = Math.min(entriesPerMinute, this.#room + ((now - this.#roomAt) / 60_000) * entriesPerMinute);
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
      const written = this.#writing.then(() => this.write(this.bounds.entriesPerMinute));
      await withTimeout(written, FAREWELL_MS, 'accounting for refused attempts');
    } finally {
      if (this.#groups.size > 0)
        this.deps.logger.error({ groups: this.#groups.size }, 'refused attempts are not accounted for');
    }
  }
}

/** A caller is one wherever it comes from; who is not known is its address. */
function keyOf({ actor, action, object, reason }: Attempt): string {
  const { kind, subject, peer } = actor;
  return JSON.stringify([kind, subject, kind === 'unknown' ? peer : '', action, object, reason]);
}

function toEntry({ actor, action, object, reason, attempts, since, until }: Group): AuditEntry {
  const details = { attempts, since: new Date(since).toISOString(), until: new Date(until).toISOString() };
  return { actor, action, object, outcome: 'refused', reason, details };
}
