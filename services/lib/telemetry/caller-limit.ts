/** So many a second, with as many in reserve. */
export class CallerLimit {
  #left: number;
  #at = performance.now();

  constructor(private readonly perSecond: number) {
    this.#left = perSecond;
  }

  /** Whether one more is within the limit. */
  take(now = performance.now()): boolean {
    this.#left = Math.min(this.perSecond, this.#left + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
