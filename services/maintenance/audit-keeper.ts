import { every } from '../lib/lifecycle.js';
import type { RuntimeParts } from '../runtime/runtime.js';
import {
  beginSettling,
  chainState,
  type Head,
  headText,
  isSettled,
  removeOldEntries,
  sealEntries,
  type Settling,
} from '../store/audit-chain.js';
import { LOCKS } from '../store/locks.js';

const SEAL_INTERVAL_MS = 5000;
/** What is too old is looked for, and the head of the chain is logged, no more often. */
const HOUR_MS = 3_600_000;

/** Keeps the account of who did what: seals its entries in their chain, and removes those that are old enough. */
export class AuditKeeper {
  /** Undefined: not known yet. */
  #state: { readonly headId: number; readonly unsealedS: number } | undefined;
  #settling: Settling | undefined;
  /** Up to which number this process has sealed, or found nothing. */
  #sealedTo = 0;
  #removedAt = -Infinity;
  #loggedAt = -Infinity;

  constructor(private readonly deps: RuntimeParts<'bulkDatabase' | 'config' | 'jobs' | 'logger' | 'metrics'>) {
    const { metrics } = deps;
    metrics.gauge(
      'ssom.audit.unsealed_age',
      'Seconds for which the oldest entry of the account of who did what waits for its seal.',
      () => shown(this.#state?.unsealedS),
    );
    metrics.gauge('ssom.audit.head', 'Number of the last entry of that account that is sealed.', () =>
      shown(this.#state?.headId),
    );
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { bulkDatabase: database, jobs, logger } = this.deps;
    await Promise.all([
      every(
        SEAL_INTERVAL_MS,
        signal,
        async () => {
          this.#state = await chainState(database);
        },
        (error) => logger.debug({ err: error }, 'the end of the audit chain could not be read'),
      ),
      jobs.every('audit', SEAL_INTERVAL_MS, signal, () => this.keep(signal)),
    ]);
  }

  /** One run, if no other instance is at it: what was settled in the last one is sealed. */
  async keep(until: AbortSignal): Promise<void> {
    const { bulkDatabase: database } = this.deps;
    await database.withAdvisoryLock(
      LOCKS.sealAudit,
      async (signal) => {
        await this.#seal(signal);
        if (performance.now() < this.#removedAt + HOUR_MS) return;
        await this.#remove(signal);
        this.#removedAt = performance.now();
      },
      until,
    );
  }

  /** A number that others have not passed is waited for by the next run. */
  async #seal(signal: AbortSignal): Promise<void> {
    const { bulkDatabase: database } = this.deps;
    const settled = this.#settling;
    if (settled !== undefined) {
      if (!(await isSettled(database, settled))) return;
      for (let isDone = false; !isDone && !signal.aborted;) {
        const page = await sealEntries(database, settled.upTo);
        isDone = page.isDone;
        if (isDone) this.#logHead(page.head);
      }
      if (signal.aborted) return;
      this.#sealedTo = settled.upTo;
    }
    this.#settling = await beginSettling(database, this.#sealedTo);
  }

  /** The log may be kept where nobody who can change the tables can change it. */
  #logHead(head: Head): void {
    if (performance.now() < this.#loggedAt + HOUR_MS) return;
    this.#loggedAt = performance.now();
    this.deps.logger.info({ head: headText(head) }, 'the audit chain ends here');
  }

  async #remove(signal: AbortSignal): Promise<void> {
    const { bulkDatabase: database, config, logger } = this.deps;
    const days = config.auditRetentionDays;
    let entries = 0;
    for (let removed = 1; removed > 0 && !signal.aborted;) {
      removed = await removeOldEntries(database, days);
      entries += removed;
    }
    if (entries > 0) logger.info({ entries, days }, 'audit entries that are older than their retention were removed');
  }
}

function shown(value: number | undefined) {
  return value === undefined ? [] : [{ value, attributes: {} }];
}
