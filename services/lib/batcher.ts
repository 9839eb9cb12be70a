export interface BatcherOptions<T> {
  /** Batches at work at once, as of now. */
  readonly workersMax: () => number;
  /** Takes the next batch out of the caller's queue; an empty one ends the worker. */
  readonly take: () => readonly T[];
  /** Must not fail: it answers, or keeps, what could not be done. */
  readonly work: (batch: readonly T[]) => Promise<void>;
}

/** Works in batches on a queue, which is the caller's. What comes while all workers are busy gathers; no timer runs. */
export class Batcher<T> {
  #workers = 0;

  constructor(private readonly options: BatcherOptions<T>) {}

  /** To be called when something was queued. */
  wake(): void {
    if (this.#workers >= this.options.workersMax()) return;
    this.#workers += 1;
    // What comes in the same turn of the event loop, as from one read of a socket, shares the batch.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const { workersMax, take, work } = this.options;
    while (this.#workers <= workersMax()) {
      const batch = take();
      if (batch.length === 0) break;
      await work(batch);
    }
    this.#workers -= 1;
  }
}
