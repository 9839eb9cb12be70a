import { wait } from '../lib/retry.js';
import type { Runtime } from '../runtime.js';
import {
  beginRetention,
  closeAlerts,
  closedAlerts,
  closedAlertsOf,
  inboxPage,
  pruneInbox,
  removeAlerts,
  removePushes,
} from '../store/retention.js';

/** One instance at a time: the holder of this advisory lock. */
const LOCK = 7_200_004;
const INTERVAL_MS = 3_600_000;
/** Users, or alerts, of one query. */
const PAGE = 1000;
/** Rows of pushes that one statement removes: an alert may have hundreds of thousands. */
const PUSHES = 10_000;

/** Removes what is older than ALERT_RETENTION_DAYS: entries from inboxes, and then the alerts that nobody has. */
export class Retention {
  readonly #removed;

  constructor(private readonly runtime: Runtime) {
    this.#removed = runtime.metrics.counter(
      'ssom.retention.removed',
      'Entries of inboxes, pushes and alerts that were removed because of their age, by what they were.',
    );
  }

  /** Once an hour, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.runtime.config.alertRetentionDays === 0) return;
    await wait((INTERVAL_MS / 10) * Math.random(), signal);
    await this.runtime.jobs.every('retention', INTERVAL_MS, signal, () => this.remove(signal));
  }

  /** One run, if no other instance is at it or has just been. */
  async remove(signal: AbortSignal): Promise<void> {
    const { config, bulkDatabase: database, logger } = this.runtime;
    const days = config.alertRetentionDays;
    await database.withAdvisoryLock(LOCK, async () => {
      const closedTo = await beginRetention(database);
      if (closedTo === undefined) return;
      while (!signal.aborted && (await closeAlerts(database, days)));
      const { entries, held } = await this.#pruneInboxes(days, closedTo, signal);
      const alerts = await this.#removeAlerts(closedTo, held, signal);
      if (entries + alerts > 0) logger.info({ entries, alerts, days }, 'what is older than the retention was removed');
    });
  }

  /** @returns how many entries were removed, and the alerts up to `closedTo` that are still in some inbox */
  async #pruneInboxes(
    days: number,
    closedTo: number,
    signal: AbortSignal,
  ): Promise<{ entries: number; held: ReadonlySet<number> }> {
    const { bulkDatabase: database } = this.runtime;
    let entries = 0;
    const held = new Set<number>();
    for (let last: string | undefined = ''; last !== undefined && !signal.aborted;) {
      const { users, expired } = await inboxPage(database, days, last, PAGE);
      for (const userId of expired) {
        for (let removed = PAGE; removed === PAGE && !signal.aborted;) {
          removed = await pruneInbox(database, days, userId, PAGE);
          entries += removed;
          this.#removed.add(removed, { what: 'entry' });
        }
      }
      for (const alertId of await closedAlertsOf(database, users, closedTo)) held.add(alertId);
      last = users.length < PAGE ? undefined : users.at(-1);
    }
    return { entries, held };
  }

  async #removeAlerts(closedTo: number, held: ReadonlySet<number>, signal: AbortSignal): Promise<number> {
    const { bulkDatabase: database } = this.runtime;
    let alerts = 0;
    // A run that was cut short has not seen every inbox.
    for (let after = 0, page: number[] = []; !signal.aborted; after = page.at(-1)!) {
      page = await closedAlerts(database, closedTo, after, PAGE);
      if (page.length === 0) break;
      const free = page.filter((alertId) => !held.has(alertId));
      for (let removed = PUSHES; removed === PUSHES && free.length > 0 && !signal.aborted;) {
        removed = await removePushes(database, free, PUSHES);
        this.#removed.add(removed, { what: 'push' });
      }
      if (signal.aborted) break;
      if (free.length > 0) await removeAlerts(database, free);
      alerts += free.length;
      this.#removed.add(free.length, { what: 'alert' });
    }
    return alerts;
  }
}
