import type { Logger } from '../logging.js';
import type { ConsumerClient } from './consumer-client.js';
import { partitionName, type PartitionOffset } from './incoming-record.js';

/**
 * A consumer commits at most this often: one a batch made 600 appends/s at 200 alerts/s, more than the alerts
 * themselves. What was handled and not committed comes again after a crash, without effect.
 */
const COMMIT_INTERVAL_MS = 100;

/** A group's positions on their way to the broker. */
export class OffsetCommits {
  /** Positions that wait for the next commit, by partition. */
  readonly #waiting = new Map<string, PartitionOffset>();
  #timer: NodeJS.Timeout | undefined;
  #sentAt = -Infinity;
  #last: Promise<void> = Promise.resolve();
  #sent = 0;
  #failed = 0;

  constructor(
    private readonly client: ConsumerClient,
    private readonly logger: Logger,
  ) {}

  /** Commits that were sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Those of them that failed. */
  get failed(): number {
    return this.#failed;
  }

  /**
   * Commits positions at once, or together with those of the next COMMIT_INTERVAL_MS if there was a commit just before.
   * A failure is logged: the records will come again.
   */
  add(offsets: readonly PartitionOffset[]): void {
    for (const position of offsets) this.#waiting.set(partitionName(position), position);
    if (this.#timer !== undefined || this.#waiting.size === 0) return;
    const waitMs = this.#sentAt + COMMIT_INTERVAL_MS - performance.now();
    if (waitMs <= 0) void this.flush();
    else this.#timer = setTimeout(() => void this.flush(), waitMs);
  }

  /** Sends what waits; resolves when it and earlier commits are answered. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const offsets = [...this.#waiting.values()];
    this.#waiting.clear();
    if (offsets.length > 0) {
      this.#sentAt = performance.now();
      this.#sent += 1;
      this.#last = this.client.native.commit(offsets).catch((error: Error) => {
        this.#failed += 1;
        this.logger.warn({ err: error }, 'offsets could not be committed; the records will come again');
      });
    }
    await this.#last;
  }

  /** Forgets what waits: its partitions belong to somebody else. */
  drop(): void {
    this.#waiting.clear();
  }
}
