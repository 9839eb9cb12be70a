import type { InboxChangedEvent } from '../events/event-types.js';
import type { Events } from '../events/events.js';
import { countOtherEpoch, readEach, readInboxChanged } from '../events/read-records.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { DLQ_HEADER } from '../lib/kafka/dead-letters.js';
import type { Handled } from '../lib/kafka/triage.js';
import { every } from '../lib/lifecycle.js';
import { wait } from '../lib/retry.js';
import { spanTime } from '../lib/telemetry/tracing.js';
import type { RuntimeParts } from '../runtime/runtime.js';
import { pruneDevices } from '../store/devices.js';
import { KnownEpoch } from '../store/known-epoch.js';
import { LOCKS } from '../store/locks.js';
import { type PlanOptions, planPushes, usersAhead } from '../store/push-plans.js';
import { pushBacklog, retryFailedPushes } from '../store/push-records.js';
import { TTLS_MS } from './fcm-message.js';
import { showRedrive } from './push-trace.js';

/** Users of one turn of the sweep, and devices of one statement. */
const PAGE = 500;
/** Users who are caught up with; of more only the sweep knows. */
const BEHIND_MAX = 10_000;
/** Of how many a page is planned by one statement, and how long it is slept when there are none, or when it fails. */
const TOGETHER = 20;
const CATCH_UP_IDLE_MS = 60_000;
const CATCH_UP_RETRY_MS = 1000;

/**
 * Plans what is to be pushed. A record of inbox-change-topic only says whose inbox has changed; what has is read from
 * the inbox itself, behind the user's cursor. So a record that is lost, repeated or late changes nothing but the time.
 */
export class PushPlanner {
  readonly #planned;
  readonly #swept;
  readonly #pruned;
  readonly #setAside;
  readonly #epoch;
  readonly #options: PlanOptions;
  /** Users of whom more is to be planned, in the order of their turns. */
  readonly #behind = new Set<string>();
  #idle = new AbortController();
  /** As of the last sweep. */
  #backlog = { due: 0, oldestMs: 0 };

  constructor(
    private readonly deps: RuntimeParts<'config' | 'database' | 'logger' | 'metrics' | 'tracing'>,
    /** Called when something is due. */
    private readonly onPlanned: () => void,
  ) {
    const { metrics, config, database, logger } = deps;
    this.#setAside = countOtherEpoch(metrics, logger, config.topicInboxChange);
    this.#epoch = new KnownEpoch(database);
    this.#planned = metrics.counter(
      'ssom.push.planned',
      'Pushes and dismissals that were planned, by what they are; crowded: left out, as too many wait for the device.',
    );
    this.#swept = metrics.counter('ssom.push.swept', 'Users whose inbox was ahead although no record of it had come.');
    this.#pruned = metrics.counter('ssom.push.devices.pruned', 'Devices that were not renewed for too long.');
    metrics.gauge(
      'ssom.push.behind',
      'Users of whom more pushes are to be planned than one page holds.',
      () => this.#behind.size,
    );
    metrics.gauge(
      'ssom.push.due',
      'Pushes that are due, of all instances; counted up to 100,000.',
      () => this.#backlog.due,
    );
    metrics.gauge(
      'ssom.push.lag',
      'Seconds for which the oldest push has been due.',
      () => this.#backlog.oldestMs / 1000,
    );
    this.#options = { graceMs: config.pushGraceMs, ttlMs: TTLS_MS };
  }

  /** Handles a batch of records. */
  async handle(events: Events, records: readonly IncomingRecord[]): Promise<Handled> {
    const { read, refused, held } = await readEach(records, (record) => readInboxChanged(events, record));
    const others = await this.#epoch.others(read.map(({ event }) => event.epoch));
    const known = read.filter(({ event }) => !others.has(event.epoch));
    this.#setAside(read.length - known.length);
    for (const { record, event } of known) if (isRedriven(record)) await this.#retry(record, event);
    await this.#plan([...new Set(known.map(({ event }) => event.userId))]);
    return { refused, held };
  }

  async #plan(users: readonly string[]): Promise<void> {
    const { planned, dismissed, crowded, unfinished } = await planPushes(this.deps.database, users, this.#options);
    this.#planned.add(planned, { what: 'push' });
    this.#planned.add(dismissed, { what: 'dismissal' });
    this.#planned.add(crowded, { what: 'crowded' });
    if (planned + dismissed > 0) this.onPlanned();
    for (const userId of unfinished) if (this.#behind.size < BEHIND_MAX) this.#behind.add(userId);
    if (this.#behind.size > 0) this.#idle.abort();
  }

  /**
   * Plans what is left of users of whom one page was not all, a page of each in turn, until the signal aborts. What a
   * crash forgets the sweep finds.
   */
  async catchUp(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#idle.abort(), { once: true });
    while (!signal.aborted) {
      this.#idle = new AbortController();
      if (this.#behind.size === 0) await wait(CATCH_UP_IDLE_MS, this.#idle.signal);
      const users = [...this.#behind].slice(0, TOGETHER);
      for (const userId of users) this.#behind.delete(userId);
      try {
        if (users.length > 0) await this.#plan(users);
      } catch (error) {
        for (const userId of users) this.#behind.add(userId);
        this.deps.logger.warn({ err: error }, 'pushes could not be planned; trying again');
        await wait(CATCH_UP_RETRY_MS, signal);
      }
    }
  }

  /** A dead letter that was sent back: what failed is tried anew. */
  async #retry(record: IncomingRecord, { userId, changes }: InboxChangedEvent): Promise<void> {
    const alertIds = changes.map(({ alertId }) => alertId);
    const startedAt = spanTime();
    if ((await retryFailedPushes(this.deps.database, userId, alertIds)) === 0) return;
    showRedrive(this.deps.tracing, record, alertIds, startedAt);
    this.onPlanned();
  }

  /**
   * Looks for inboxes that are ahead of what was planned, whatever became of their records, and removes devices that
   * nobody renews; until the signal aborts.
   */
  async sweep(signal: AbortSignal): Promise<void> {
    const { config, database, logger } = this.deps;
    await every(
      config.pushSweepIntervalMs,
      signal,
      async () => {
        this.#backlog = await pushBacklog(database);
        await database.withAdvisoryLock(
          LOCKS.planPushes,
          async (held) => {
            for (let after: string | undefined = ''; after !== undefined && !held.aborted;) {
              const users: string[] = await usersAhead(database, after, PAGE);
              const missed = users.filter((userId) => !this.#behind.has(userId));
              if (missed.length > 0) await this.#plan(missed);
              this.#swept.add(missed.length);
              after = users.length < PAGE ? undefined : users.at(-1);
            }
            for (let pruned = PAGE; pruned === PAGE && !held.aborted;) {
              pruned = await pruneDevices(database, config.pushDeviceMaxAgeDays, PAGE);
              this.#pruned.add(pruned);
            }
          },
          signal,
        );
      },
      (error) => logger.warn({ err: error }, 'pushes that were missed could not be looked for; trying again'),
    );
  }
}

function isRedriven(record: IncomingRecord): boolean {
  return record.headers.some((header) => DLQ_HEADER.redrives in header);
}
