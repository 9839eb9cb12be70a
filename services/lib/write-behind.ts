import { wait } from './retry.js';

const RETRY_CAP_MS = 1000;

export interface WriteBehindOptions<T> {
  /** How long items gather before they are written together. */
  readonly gatherMs: number;
  /** Items of one write. */
  readonly batchMax?: number;
  /** If it fails the same items are written again, with what has come behind them. */
  readonly write: (items: readonly T[]) => Promise<void>;
  readonly onFailure?: (error: Error) => void;
}

/**
 * Writes together what gathers for a moment, one write at a time. After a failure it gathers twice as long each time,
 * up to 1 s. What need not be kept until it is written, `write` gives up by not failing.
 */
export class WriteBehind<T> {
  #items: T[] = [];
  #writing: Promise<void> | undefined;
  readonly #stopped = new AbortController();

  constructor(private readonly options: WriteBehindOptions<T>) {}

  /** Items that are not written yet, those of a write under way among them. */
  get waiting(): number {
    return this.#items.length;
  }

  add(items: Iterable<T>): void {
    for (const item of items) this.#items.push(item);
    if (this.#items.length > 0) this.#writing ??= this.#run();
  }

  /** Writes what is left, in so many milliseconds at most; then gives up. */
  async stop(withinMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#writing, wait(withinMs, over.signal)]);
    over.abort();
    this.#stopped.abort();
  }

  async #run(): Promise<void> {
    const { gatherMs, batchMax, write, onFailure } = this.options;
    const { signal } = this.#stopped;
    for (let failures = 0; this.#items.length > 0 && !signal.aborted;) {
      await wait(Math.min(RETRY_CAP_MS, gatherMs * 2 ** failures), signal);
      const batch = this.#items.slice(0, batchMax);
      try {
        await write(batch);
        this.#items = this.#items.slice(batch.length);
        failures = 0;
      } catch (error) {
        failures += 1;
        onFailure?.(error as Error);
      }
    }
    // Before the promise resolves, or what is added in between starts no new run.
    this.#writing = undefined;
  }
}
