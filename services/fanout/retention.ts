import { every } from '../lib/lifecycle.js';
import { wait } from '../lib/retry.js';
import type { Runtime } from '../runtime.js';
import { closeAlerts, inboxPage, pruneInbox, removeAlerts } from '../store/retention.js';

/** One instance at a time: the holder of this advisory lock. */
const LOCK = 7_200_004;
const INTERVAL_MS = 3_600_000;
/** Users of one query. */
const USERS = 1000;
/** Rows that one statement removes. */
const ROWS = 1000;

/** Removes what is older than ALERT_RETENTION_DAYS: entries from inboxes, and then the alerts themselves. */
export class Retention {
  readonly #removed;

  constructor(private readonly runtime: Runtime) {
    this.#removed = runtime.metrics.counter(
      'ssom.retention.removed',
      'Entries of inboxes and alerts that were removed because of their age, by what they were.',
    );
  }

  /** Once an hour, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.runtime.config.alertRetentionDays === 0) return;
    await wait((INTERVAL_MS / 10) * Math.random(), signal);
    await every(
      INTERVAL_MS,
      signal,
      () => this.remove(signal),
      (error) => this.runtime.logger.warn({ err: error }, 'old alerts could not be removed; trying again in an hour'),
    );
  }

  /** One run, if no other instance is at it. */
  async remove(signal: AbortSignal): Promise<void> {
    const { config, database, logger } = this.runtime;
    const days = config.alertRetentionDays;
    await database.withAdvisoryLock(LOCK, async () => {
      await closeAlerts(database, days);
      const { entries, firstAlert } = await this.#pruneInboxes(days, signal);
      let alerts = 0;
      for (let removed = ROWS; removed === ROWS && !signal.aborted;) {
        removed = await removeAlerts(database, days, firstAlert, ROWS);
        alerts += removed;
      }
      this.#removed.add(entries, { what: 'entry' });
      this.#removed.add(alerts, { what: 'alert' });
      if (entries + alerts > 0) logger.info({ entries, alerts, days }, 'what is older than the retention was removed');
    });
  }

  /** @returns how many entries were removed, and the lowest alert id that an inbox still has */
  async #pruneInboxes(days: number, signal: AbortSignal): Promise<{ entries: number; firstAlert: number | null }> {
    const { database } = this.runtime;
    let entries = 0;
    let firstAlert: number | null = null;
    for (let last: string | undefined = ''; last !== undefined;) {
      const page = await inboxPage(database, days, last, USERS);
      for (const userId of page.expired) {
        for (let removed = ROWS; removed === ROWS && !signal.aborted;) {
          removed = await pruneInbox(database, days, userId, ROWS);
          entries += removed;
        }
      }
      // Of before the pruning, so an alert whose last entry went now stays until the next run.
      if (page.firstAlert !== null) firstAlert = Math.min(firstAlert ?? Infinity, page.firstAlert);
      last = signal.aborted ? undefined : page.last;
    }
    // A run that was cut short has not seen every inbox.
    return { entries, firstAlert: signal.aborted ? 0 : firstAlert };
  }
}
