import { FairQueue } from './fair-queue.js';
import { wait } from './retry.js';

interface Waiting {
  readonly begin: () => void;
  readonly refuse: (reason: Error) => void;
}

/** Lets work begin while less than so much runs; what comes beyond waits, its callers served in turn. */
class Place {
  readonly #waiting = new FairQueue<Waiting>();
  #running = 0;

  constructor(
    private readonly max: number,
    private readonly refusal: () => Error | undefined,
  ) {}

  get isEmpty(): boolean {
    return this.#running === 0;
  }

  /** @throws the signal's reason if it aborts before the turn comes; why nobody may wait */
  enter(caller: string, signal: AbortSignal | undefined, cost: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#running < this.max) {
        this.#running += cost;
        return resolve();
      }
      if (signal?.aborted) return reject(signal.reason as Error);
      const refused = this.refusal();
      if (refused !== undefined) return reject(refused);
      const gone = () => remove() && reject(signal!.reason as Error);
      // A signal may outlive all that has waited with it.
      const leave = () => signal?.removeEventListener('abort', gone);
      const begin = () => {
        leave();
        resolve();
      };
      const refuse = (reason: Error) => {
        leave();
        reject(reason);
      };
      const remove = this.#waiting.push(caller, { begin, refuse }, cost);
      signal?.addEventListener('abort', gone, { once: true });
    });
  }

  refuseWaiting(reason: Error): void {
    for (const { refuse } of this.#waiting.drain()) refuse(reason);
  }

  leave(cost: number): void {
    this.#running -= cost;
    while (this.#running < this.max) {
      const next = this.#waiting.take();
      if (next === undefined) return;
      this.#running += next.cost;
      next.item.begin();
    }
  }
}

/**
 * Lets so much run at once for each key; what comes beyond waits for its turn, for who has much waiting behind itself.
 */
export class Turns {
  readonly #places = new Map<string, Place>();

  /** @param refusal why nobody may wait at the moment; undefined: who comes beyond `max` waits */
  constructor(
    private readonly max: number,
    private readonly refusal: () => Error | undefined = () => undefined,
  ) {}

  /**
   * @param signal undefined: it waits as long as it has to
   * @param cost how much it is of what may run at once
   * @throws what `work` throws; the signal's reason if it aborts before the turn comes, or why nobody may wait
   */
  async run<T>(
    key: string,
    caller: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    cost = 1,
  ): Promise<T> {
    const place = this.#places.get(key) ?? new Place(this.max, this.refusal);
    this.#places.set(key, place);
    await place.enter(caller, signal, cost);
    try {
      return await work();
    } finally {
      place.leave(cost);
      if (place.isEmpty) this.#places.delete(key);
    }
  }

  /** What waits for its turn waits no longer. */
  refuseWaiting(reason: Error): void {
    for (const place of this.#places.values()) place.refuseWaiting(reason);
  }
}

/** No timer is shorter. What is owed below it is carried over, or 50 us of work would cost 1 ms of waiting. */
const TIMER_MS = 1;

/**
 * Long computations, one at a time, the callers in turn, and as long a pause after them: so half of the time is for
 * what others have sent.
 */
export class EventLoopTurns {
  readonly #place = new Place(1, () => undefined);
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
