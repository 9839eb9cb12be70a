export interface BatchWorkersOptions<T> {
  /** Batches at work at once, as of now. */
  readonly workersMax: () => number;
  /** Takes the next batch out of the caller's queue; an empty one ends the worker. */
  readonly take: () => readonly T[];
  /** Must not fail: it answers, or keeps, what could not be done. */
  readonly work: (batch: readonly T[]) => Promise<void>;
}

/** Works on what is queued in batches. What comes while all workers are busy gathers for the next; no timer runs. */
export class BatchWorkers<T> {
  #workers = 0;

  constructor(private readonly options: BatchWorkersOptions<T>) {}

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

export interface BatcherOptions<T, R> {
  readonly workersMax: number;
  /** Items that may wait. */
  readonly waitingMax: number;
  /** What is thrown beyond that. */
  readonly full: () => Error;
  /** Items of one batch. */
  readonly batchMax: number;
  /** Besides, what they may cost together: as bytes. An item that costs more goes alone. */
  readonly cost?: { readonly max: number; readonly of: (item: T) => number };
  /** @returns a result for each item, in their order; what it throws is the answer to all of them */
  readonly work: (items: readonly T[]) => Promise<readonly R[]>;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/** Answers calls in batches: one takes what came while the earlier ones were at work, so nobody waits without load. */
export class Batcher<T, R> {
  readonly #waiting: Waiting<T, R>[] = [];
  readonly #workers: BatchWorkers<Waiting<T, R>>;

  constructor(private readonly options: BatcherOptions<T, R>) {
    this.#workers = new BatchWorkers({
      workersMax: () => options.workersMax,
      take: () => this.#waiting.splice(0, this.#batchSize),
      work: (batch) => this.#answer(batch),
    });
  }

  /** Items that no worker has taken yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @throws at once what `full` returns, if too many wait */
  add(item: T): Promise<R> {
    if (this.#waiting.length >= this.options.waitingMax) throw this.options.full();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#workers.wake();
    });
  }

  get #batchSize(): number {
    const { batchMax, cost } = this.options;
    const most = Math.min(batchMax, this.#waiting.length);
    if (cost === undefined) return most;
    let size = 0;
    for (let sum = 0; size < most; size += 1) {
      sum += cost.of(this.#waiting[size]!.item);
      if (sum > cost.max && size > 0) break;
    }
    return size;
  }

  async #answer(batch: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const results = await this.options.work(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
