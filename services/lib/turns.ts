import { FairQueue } from './fair-queue.js';
import { wait } from './retry.js';

/** Lets work begin while less than so much runs; what comes beyond waits, its callers served in turn. */
class Place {
  readonly #waiting = new FairQueue<() => void>();
  #running = 0;

  constructor(private readonly max: number) {}

  get isEmpty(): boolean {
    return this.#running === 0;
  }

  /** @throws the signal's reason if it aborts before the turn comes */
  enter(caller: string, signal: AbortSignal | undefined, cost: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#running < this.max) {
        this.#running += cost;
        return resolve();
      }
      if (signal?.aborted) return reject(signal.reason as Error);
      const gone = () => remove() && reject(signal!.reason as Error);
      const begin = () => {
        // A signal may outlive all that has waited with it.
        signal?.removeEventListener('abort', gone);
        resolve();
      };
      const remove = this.#waiting.push(caller, begin, cost);
      signal?.addEventListener('abort', gone, { once: true });
    });
  }

  leave(cost: number): void {
    this.#running -= cost;
    while (this.#running < this.max) {
      const next = this.#waiting.take();
      if (next === undefined) return;
      this.#running += next.cost;
      next.item();
    }
  }
}

/**
 * Lets so much run at once for each key; what comes beyond waits for its turn, for who has much waiting behind itself.
 */
export class Turns {
  readonly #places = new Map<string, Place>();

  constructor(private readonly max: number) {}

  /**
   * @param signal undefined: it waits as long as it has to
   * @param cost how much it is of what may run at once
   * @throws what `work` throws; the signal's reason if it aborts before the turn comes
   */
  async run<T>(
    key: string,
    caller: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    cost = 1,
  ): Promise<T> {
    const place = this.#places.get(key) ?? new Place(this.max);
    this.#places.set(key, place);
    await place.enter(caller, signal, cost);
    try {
      return await work();
    } finally {
      place.leave(cost);
      if (place.isEmpty) this.#places.delete(key);
    }
  }
}

/** No timer is shorter. What is owed below it is carried over, or 50 us of work would cost 1 ms of waiting. */
const TIMER_MS = 1;

/**
 * Long computations, one at a time, the callers in turn, and as long a pause after them: so half of the time is for
 * what others have sent.
 */
export class EventLoopTurns {
  readonly #place = new Place(1);
  /** Milliseconds of pause that are to follow. */
  #owed = 0;

  /** @throws what `work` throws; the signal's reason if it aborts before the turn comes */
  async run<T>(caller: string, signal: AbortSignal, work: () => T): Promise<T> {
    await this.#place.enter(caller, signal, 1);
    const started = performance.now();
    try {
      return work();
    } finally {
      this.#owed += performance.now() - started;
      void this.#pause().then(() => this.#place.leave(1));
    }
  }

  async #pause(): Promise<void> {
    const started = performance.now();
    await (this.#owed < TIMER_MS ? new Promise(setImmediate) : wait(this.#owed));
    this.#owed = Math.max(0, this.#owed - (performance.now() - started));
  }
}
