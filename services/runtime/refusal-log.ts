import { GatheredLog } from '../lib/gathered-log.js';
import type { Logger } from '../lib/logging.js';

/** Causes that have lines of their own; more share one. */
export const CAUSES_MAX = 50;
const INTERVAL_MS = 60_000;

/**
 * Says what is refused: a new cause at once, the same one again at most once a minute, with how often. So nobody who is
 * refused fills the log.
 */
export class RefusalLog {
  readonly #causes = new Map<string, GatheredLog>();
  readonly #others: GatheredLog;

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly message: string,
  ) {
    this.#others = this.#create(`${message}: one of more than ${CAUSES_MAX} causes in a minute`);
  }

  /** @param cause who is refused, and why */
  note(cause: string, fields: () => object): void {
    this.#of(cause).warn(1, fields);
  }

  #of(cause: string): GatheredLog {
    const known = this.#causes.get(cause);
    if (known !== undefined) return known;
    if (this.#causes.size >= CAUSES_MAX) return this.#others;
    const log = this.#create(this.message, () => this.#causes.delete(cause));
    this.#causes.set(cause, log);
    return log;
  }

  #create(message: string, onQuiet?: () => void): GatheredLog {
    return new GatheredLog(this.logger, message, 'attempts', { intervalMs: INTERVAL_MS, ...(onQuiet && { onQuiet }) });
  }

  /** Says what is not said yet: the process ends. */
  close(): void {
    for (const log of [...this.#causes.values(), this.#others]) log.flush();
  }
}
