/**
 * What is known of the records that librdkafka has fetched: whether there may be any, and the wait for some when there
 * are none. Times are of performance.now().
 */
export class WakeUps {
  #expected = true;
  #wake: (() => void) | undefined;
  #askedAt = -Infinity;
  #drainedAt = -Infinity;

  /** When somebody last asked for records. */
  get askedAt(): number {
    return this.#askedAt;
  }

  /** When everything that was fetched had last been handed out. */
  get drainedAt(): number {
    return this.#drainedAt;
  }

  noteAsked(): void {
    this.#askedAt = performance.now();
  }

  /** Whether there may be some. */
  get expected(): boolean {
    return this.#expected;
  }

  /** There may be some. A wait in progress goes on. */
  expect(): void {
    this.#expected = true;
  }

  /** They are about to be taken: what comes from now on is announced. */
  take(): void {
    this.#expected = false;
  }

  /** @param all whether less was there than was wanted */
  noteTaken(all: boolean): void {
    if (all) this.#drainedAt = performance.now();
    else this.#expected = true;
  }

  /** There are some, or who waits has to look again: ends a wait in progress. */
  announce(): void {
    this.#expected = true;
    this.#wake?.();
  }

  /** Ends a wait in progress. */
  interrupt(): void {
    this.#wake?.();
  }

  /** Resolves when it is ended, or after `ms`. */
  wait(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
    });
  }
}
