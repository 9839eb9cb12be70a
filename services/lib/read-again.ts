import { every } from './lifecycle.js';
import type { Logger } from './logging.js';

/** How often files are looked at that nobody reads for a connection. */
const LOOK_MS = 10_000;

export interface Source<T> {
  /** What it is, for the log: a variable, or files. */
  readonly what: string;
  /**
   * What it says now; `last` itself if that is as it was.
   * @throws Error naming the file, with what is wrong and what would be right
   */
  readonly read: (last: T | undefined) => T;
  /** Has others use what it says now. */
  readonly onChange?: (current: T) => void;
}

/**
 * What files say that may be replaced while we run: what cannot be used is not taken, and said once, until something
 * else is wrong.
 */
export class ReadAgain<T> {
  #current: T;
  /** Said last of what is wrong. */
  #problem: string | undefined;

  /** @throws what the source throws */
  constructor(
    private readonly source: Source<T>,
    private readonly logger: Pick<Logger, 'info' | 'error'>,
  ) {
    this.#current = source.read(undefined);
  }

  /** What was said last that could be used. */
  get current(): T {
    return this.#current;
  }

  /** Reads again. @returns what is used from now on: what was there before, if this cannot be */
  look(): T {
    const { what, read, onChange } = this.source;
    try {
      const found = read(this.#current);
      if (found !== this.#current) {
        onChange?.(found);
        this.#current = found;
        this.logger.info({ what }, `${what} has changed, and is used`);
      }
      this.#problem = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem)
        this.logger.error({ what, reason: message }, `${what} cannot be used as it is now; what was there before is`);
      this.#problem = message;
    }
    return this.#current;
  }

  /** Looks until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    await every(
      LOOK_MS,
      signal,
      async () => void this.look(),
      () => undefined,
    );
  }
}
