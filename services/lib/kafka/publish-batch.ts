/** Told what became of a record; librdkafka hands it back with every delivery report. */
export interface Outcome {
  settleOne(error: Error | null | undefined): void;
}

/** What the outcome of one `publish` is gathered in. */
export class Batch implements Outcome {
  /** When it was handed over, or a record of it was last acknowledged. */
  heardAt = performance.now();
  remaining: number;
  error: Error | undefined;
  readonly done: Promise<void>;
  #settle!: (error?: Error) => void;

  constructor(size: number) {
    this.remaining = size;
    this.done = new Promise((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    // It may fail while its records are still being handed over, when nobody awaits it yet.
    this.done.catch(() => undefined);
  }

  /** What is told of the record at this place. */
  outcomeOf(_index: number): Outcome {
    return this;
  }

  /** No more reports will come. */
  abandon(error: Error): void {
    this.remaining = 0;
    this.#settle(error);
  }

  settleOne(error: Error | null | undefined): void {
    if (this.remaining === 0) return;
    this.heardAt = performance.now();
    this.error ??= error ?? undefined;
    this.remaining -= 1;
    if (this.remaining === 0) this.#settle(this.error);
  }
}

/** Also gathers what became of each record. */
export class EachBatch extends Batch {
  /** Of those that were not acknowledged; null: nothing was heard of it. */
  readonly failures: (Error | null | undefined)[];

  constructor(size: number) {
    super(size);
    this.failures = new Array<null>(size).fill(null);
  }

  override outcomeOf(index: number): Outcome {
    return {
      settleOne: (error) => {
        if (this.remaining > 0) this.failures[index] = error ?? undefined;
        this.settleOne(error);
      },
    };
  }
}
