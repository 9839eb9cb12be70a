import { wait } from './retry.js';

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

/** Long computations, one at a time, and as long a pause after each: so half of the time is for what others have sent. */
export class EventLoopTurns {
  #free = Promise.resolve();

  async run<T>(work: () => T): Promise<T> {
    const before = this.#free;
    let end: ((pause: Promise<void>) => void) | undefined;
    this.#free = new Promise((resolve) => (end = resolve));
    await before;
    const started = performance.now();
    try {
      return work();
    } finally {
      end!(wait(performance.now() - started));
    }
  }
}
