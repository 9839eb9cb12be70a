interface Place {
  running: number;
  readonly waiting: Set<() => void>;
}

/** Lets so much run at once for each key; what comes beyond waits for its turn, in order. */
export class Turns {
  readonly #places = new Map<string, Place>();

  constructor(private readonly max: number) {}

  /** @throws what `work` throws; the signal's reason if it aborts before the turn comes */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const place = this.#places.get(key) ?? { running: 0, waiting: new Set() };
    this.#places.set(key, place);
    if (place.running < this.max) place.running += 1;
    else await this.#turn(place, signal);
    try {
      return await work();
    } finally {
      const [next] = place.waiting;
      if (next === undefined) place.running -= 1;
      else place.waiting.delete(next);
      next?.();
      if (place.running === 0) this.#places.delete(key);
    }
  }

  #turn({ waiting }: Place, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      waiting.add(resolve);
      signal.addEventListener('abort', () => waiting.delete(resolve) && reject(signal.reason as Error), { once: true });
    });
  }
}

/** Lets long computations have a turn of the event loop each, so that what others sent is read between them. */
export class EventLoopTurns {
  #last = Promise.resolve();

  next(): Promise<void> {
    this.#last = this.#last.then(() => new Promise((resolve) => setImmediate(resolve)));
    return this.#last;
  }
}
