import { withTimeout } from './retry.js';

/** Work that must be over, well or badly, before what it belongs to is closed. */
export class UnderWay {
  readonly #all = new Set<Promise<unknown>>();

  /** @returns the work itself */
  track<T>(work: Promise<T>): Promise<T> {
    this.#all.add(work);
    const isOver = () => void this.#all.delete(work);
    work.then(isOver, isOver);
    return work;
  }

  /** Waits until nothing is under way, for `ms` at most. @returns whether that is so */
  async over(ms: number): Promise<boolean> {
    const all = async () => {
      while (this.#all.size > 0) await Promise.allSettled(this.#all);
    };
    return withTimeout(all(), ms, 'what is under way').then(
      () => true,
      () => false,
    );
  }
}
