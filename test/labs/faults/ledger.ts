/*
 * What must be true, computed from what was acknowledged and from the rules as they are documented; none of the
 * service's code and none of its tables are asked.
 */

/** A user as the directory was told of it. */
export interface Person {
  readonly userId: string;
  readonly department: string;
  readonly active: boolean;
}

/** A state of the directory, and when it may have been the current one. */
interface DirectoryVersion {
  readonly people: ReadonlyMap<string, Person>;
  /** From the request that made it. */
  readonly from: number;
  /** To the answer to the request that replaced it. */
  to: number;
}

/** An alert is in its inboxes within this, unless something is wrong. */
const ON_ITS_WAY_MS = 60_000;

export interface Recipients {
  /** In the inbox of each of these it must be. */
  readonly must: ReadonlySet<string>;
  /** In nobody's but these it may be. */
  readonly may: ReadonlySet<string>;
}

export interface LedgerAlert extends Recipients {
  readonly alertId: number;
  readonly requestId: string;
  /** When the first attempt was sent, and when one was answered. */
  readonly sentAt: number;
  readonly acknowledgedAt: number;
  readonly isCritical: boolean;
}

/** How an entry of an inbox must be. `either`: two changes were under way at once, and either order is right. */
export interface EntryState {
  read: boolean | 'either';
  deleted: boolean | 'either';
  /** When a reader's last change of it was answered. */
  changedAt: number;
}

/** PostgreSQL went back to what it was at `from`; what was acknowledged from then until `to` is gone, or may be. */
interface LostCommits {
  readonly from: number;
  readonly to: number;
}

/**
 * The rule of the original system: OPERATION and EXTERNAL get everything, CORE_BANK what concerns ssok-bank, CHANNEL
 * the rest.
 */
function isRouted({ department, active }: Person, appName: string): boolean {
  if (!active) return false;
  if (department === 'OPERATION' || department === 'EXTERNAL') return true;
  const isBank = appName.toLowerCase().includes('ssok-bank');
  return department === (isBank ? 'CORE_BANK' : 'CHANNEL');
}

export class Ledger {
  readonly alerts = new Map<number, LedgerAlert>();
  /** In the order of their answers. */
  readonly list: LedgerAlert[] = [];
  readonly #directory: DirectoryVersion[] = [{ people: new Map(), from: 0, to: Infinity }];
  /** By user, by alert. */
  readonly #entries = new Map<string, Map<number, EntryState>>();
  /** By user: the end of the last MarkAllRead. */
  readonly #allReadAt = new Map<string, number>();
  readonly #lost: LostCommits[] = [];

  /**
   * The directory is being changed: from now on the new version may be the current one, and the old one until the
   * answer. One change at a time. @returns what to call then
   */
  directoryChanges(changed: readonly Person[]): (answeredAt: number) => void {
    const last = this.#directory.at(-1)!;
    const people = new Map(last.people);
    for (const person of changed) people.set(person.userId, person);
    this.#directory.push({ people, from: Date.now(), to: Infinity });
    return (answeredAt) => (last.to = answeredAt);
  }

  /** Who gets an alert that names nobody, if its transaction was committed between these times. */
  routed(appName: string, sentAt: number, answeredAt: number): Recipients {
    const sets = this.#directory
      .filter(({ from, to }) => from <= answeredAt && to >= sentAt)
      .map(({ people }) => [...people.values()].filter((person) => isRouted(person, appName)))
      .map((people) => new Set(people.map(({ userId }) => userId)));
    const may = new Set(sets.flatMap((set) => [...set]));
    return { may, must: new Set([...may].filter((userId) => sets.every((set) => set.has(userId)))) };
  }

  acknowledged(alert: LedgerAlert): void {
    this.alerts.set(alert.alertId, alert);
    this.list.push(alert);
    for (const userId of alert.may) {
      // A MarkAllRead that was still going on when the alert was sent may have met it in the inbox.
      const read = (this.#allReadAt.get(userId) ?? 0) > alert.sentAt ? 'either' : false;
      if (!this.#of(userId).has(alert.alertId))
        this.#of(userId).set(alert.alertId, { read, deleted: false, changedAt: 0 });
    }
  }

  #of(userId: string): Map<number, EntryState> {
    const known = this.#entries.get(userId);
    if (known !== undefined) return known;
    const entries = new Map<number, EntryState>();
    this.#entries.set(userId, entries);
    return entries;
  }

  marked(userId: string, alertIds: readonly number[], read: boolean): void {
    for (const alertId of alertIds) this.#change(userId, alertId, { read });
  }

  deleted(userId: string, alertIds: readonly number[]): void {
    for (const alertId of alertIds) this.#change(userId, alertId, { deleted: true });
  }

  /** @param seen the alerts that were in the inbox for certain before the request was sent */
  markedAll(userId: string, seen: ReadonlySet<number>, answeredAt: number): void {
    for (const [alertId, entry] of this.#of(userId))
      if (!seen.has(alertId) && entry.read === false) Object.assign(entry, { read: 'either', changedAt: Date.now() });
    for (const alertId of seen) this.#change(userId, alertId, { read: true });
    this.#allReadAt.set(userId, answeredAt);
  }

  #change(userId: string, alertId: number, change: Partial<EntryState>): void {
    Object.assign(this.#entry(userId, alertId), change, { changedAt: Date.now() });
    // The reader may have meant an entry that was gone and has come again since.
    const alert = this.alerts.get(alertId);
    if (alert !== undefined && this.wasOverturned(alert)) this.#forget(userId, alertId);
  }

  #forget(userId: string, alertId: number): void {
    Object.assign(this.#entry(userId, alertId), { read: 'either', deleted: 'either' });
  }

  /** A reader may be quicker than the answer to the caller. */
  #entry(userId: string, alertId: number): EntryState {
    const entries = this.#of(userId);
    let entry = entries.get(alertId);
    if (entry === undefined) entries.set(alertId, (entry = { read: false, deleted: false, changedAt: 0 }));
    return entry;
  }

  /**
   * PostgreSQL lost its last commits: of what was acknowledged between these times nothing is certain, and what is
   * older must be there all the same.
   */
  lostCommits(from: number, to: number): void {
    this.#lost.push({ from, to });
    for (const [userId, entries] of this.#entries)
      for (const [alertId, { changedAt }] of entries) if (changedAt >= from) this.#forget(userId, alertId);
  }

  get hasLostCommits(): boolean {
    return this.#lost.length > 0;
  }

  /** Whether an alert may be gone with commits that PostgreSQL lost. */
  mayBeGone({ sentAt, acknowledgedAt }: LedgerAlert): boolean {
    return this.#lost.some(({ from, to }) => acknowledgedAt >= from && sentAt <= to);
  }

  /** Whether an alert was on its way when PostgreSQL lost commits: it is delivered again, not in its first place. */
  wasOverturned({ sentAt, acknowledgedAt }: LedgerAlert): boolean {
    return this.#lost.some(({ from, to }) => acknowledgedAt >= from - ON_ITS_WAY_MS && sentAt <= to);
  }

  /** What a user's inbox must hold, by alert; an entry outside `must` may be missing. */
  inbox(userId: string): Map<number, EntryState & { readonly must: boolean }> {
    const entries = new Map<number, EntryState & { must: boolean }>();
    for (const [alertId, state] of this.#of(userId)) {
      const alert = this.alerts.get(alertId);
      const must = alert !== undefined && alert.must.has(userId) && !this.mayBeGone(alert);
      entries.set(alertId, { ...state, must });
    }
    return entries;
  }
}
