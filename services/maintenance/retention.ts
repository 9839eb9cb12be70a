import { isOutage } from '../lib/postgres-errors.js';
import { wait } from '../lib/retry.js';
import type { RuntimeParts } from '../runtime/runtime.js';
import { LOCKS } from '../store/locks.js';
import {
  type AlertRows,
  beginRetention,
  closeAlerts,
  closedAlerts,
  closedAlertsOf,
  inboxPage,
  pruneInbox,
  removeAlerts,
  removeRows,
} from '../store/retention.js';

const INTERVAL_MS = 3_600_000;
/** Users, or alerts, of one query. */
const PAGE = 1000;
/** Rows about alerts that one statement removes, or alerts of one user that it reads. */
const ROWS = 10_000;
/** Closed alerts of each of a page of users that one statement reads; few have more. */
const FEW = 100;

/** Removes what is older than ALERT_RETENTION_DAYS: entries from inboxes, and then the alerts that nobody has. */
export class Retention {
  readonly #removed;

  constructor(private readonly deps: RuntimeParts<'bulkDatabase' | 'config' | 'jobs' | 'logger' | 'metrics'>) {
    this.#removed = deps.metrics.counter(
      'ssom.retention.removed',
      'Entries of inboxes, pushes and alerts that were removed because of their age, by what they were.',
    );
  }

  /** Once an hour, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.deps.config.alertRetentionDays === 0) return;
    await wait((INTERVAL_MS / 10) * Math.random(), signal);
    await this.deps.jobs.every('retention', INTERVAL_MS, signal, () => this.remove(signal));
  }

  /** One run, if no other instance is at it or has just been. */
  async remove(until: AbortSignal): Promise<void> {
    const { config, bulkDatabase: database, logger } = this.deps;
    const days = config.alertRetentionDays;
    await database.withAdvisoryLock(
      LOCKS.retention,
      async (signal) => {
        const closedTo = await beginRetention(database);
        if (closedTo === undefined) return;
        while (!signal.aborted && (await closeAlerts(database, days)));
        const { entries, held, failure } = await this.#pruneInboxes(days, closedTo, signal);
        const alerts = await this.#removeAlerts(closedTo, held, signal);
        if (entries + alerts > 0)
          logger.info({ entries, alerts, days }, 'what is older than the retention was removed');
        if (failure !== undefined) throw failure;
      },
      until,
    );
  }

  /**
   * One inbox that cannot be pruned keeps no other one.
   * @returns how many entries were removed, the alerts up to `closedTo` that are still in some inbox, and what failed
   */
  async #pruneInboxes(
    days: number,
    closedTo: number,
    signal: AbortSignal,
  ): Promise<{ entries: number; held: ReadonlySet<number>; failure: Error | undefined }> {
    const { bulkDatabase: database } = this.deps;
    let entries = 0;
    let failure: Error | undefined;
    const held = new Set<number>();
    for (let last: string | undefined = ''; last !== undefined && !signal.aborted;) {
      const { users, expired } = await inboxPage(database, last, PAGE);
      for (const userId of expired) {
        try {
          entries += await this.#pruneInbox(days, userId, signal);
        } catch (error) {
          if (isOutage(error)) throw error;
          failure ??= new Error(`an inbox could not be pruned: ${(error as Error).message}`, { cause: error });
        }
      }
      await this.#hold(held, users, closedTo, signal);
      last = users.length < PAGE ? undefined : users.at(-1);
    }
    return { entries, held, failure };
  }

  async #pruneInbox(days: number, userId: string, signal: AbortSignal): Promise<number> {
    let entries = 0;
    for (let removed = 1; removed > 0 && !signal.aborted;) {
      removed = await pruneInbox(this.deps.bulkDatabase, days, userId, PAGE);
      entries += removed;
      this.#removed.add(removed, { what: 'entry' });
    }
    return entries;
  }

  /** Notes which closed alerts these users still have. */
  async #hold(held: Set<number>, users: readonly string[], closedTo: number, signal: AbortSignal): Promise<void> {
    const { bulkDatabase: database } = this.deps;
    for (const [userId, first] of await closedAlertsOf(database, users, closedTo, 0, FEW)) {
      let [page, full] = [first, FEW];
      for (const alertId of page) held.add(alertId);
      while (page.length === full && !signal.aborted) {
        full = ROWS;
        page = (await closedAlertsOf(database, [userId], closedTo, page.at(-1)!, full)).get(userId) ?? [];
        for (const alertId of page) held.add(alertId);
      }
    }
  }

  async #removeAlerts(closedTo: number, held: ReadonlySet<number>, signal: AbortSignal): Promise<number> {
    const { bulkDatabase: database } = this.deps;
    let alerts = 0;
    // A run that was cut short has not seen every inbox.
    for (let after = 0, page: number[] = []; !signal.aborted; after = page.at(-1)!) {
      page = await closedAlerts(database, closedTo, after, PAGE);
      if (page.length === 0) break;
      const free = page.filter((alertId) => !held.has(alertId));
      if (free.length === 0) continue;
      this.#removed.add(await this.#removeRows('push_deliveries', free, signal), { what: 'push' });
      await this.#removeRows('alert_recipients', free, signal);
      await this.#removeRows('dead_letters', free, signal);
      if (signal.aborted) break;
      await removeAlerts(database, free);
      alerts += free.length;
      this.#removed.add(free.length, { what: 'alert' });
    }
    return alerts;
  }

  async #removeRows(table: AlertRows, alertIds: readonly number[], signal: AbortSignal): Promise<number> {
    let rows = 0;
    for (let removed = ROWS; removed === ROWS && !signal.aborted;) {
      removed = await removeRows(this.deps.bulkDatabase, table, alertIds, ROWS);
      rows += removed;
    }
    return rows;
  }
}
