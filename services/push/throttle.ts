/** First pause after FCM said that it is too much, without saying for how long; it doubles. */
const PAUSE_MS = 1000;
const PAUSE_MAX_MS = 60_000;
/** How much of a place each success gives back. */
const STEP = 0.1;

/**
 * How many messages may be on their way, and when none may: additive increase, multiplicative decrease, as TCP does it
 * (Chiu and Jain, 1989). Times are of performance.now().
 */
export class Throttle {
  #limit: number;
  #pausedUntil = 0;
  /** Pauses in a row, with no success between them. */
  #pauses = 0;

  constructor(private readonly max: number) {
    this.#limit = max;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** Milliseconds for which nothing may be sent. */
  pausedMs(now: number): number {
    return Math.max(0, this.#pausedUntil - now);
  }

  succeeded(): void {
    this.#limit = Math.min(this.max, this.#limit + STEP);
    this.#pauses = 0;
  }

  /** FCM asks to wait. @param ms by its Retry-After */
  pause(now: number, ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, now + ms);
  }

  /** FCM refused one because there are too many. All that were refused in one pause count once. */
  refused(now: number): void {
    if (this.#lastRefusal >= 0 && now < this.#lastRefusal) return;
    this.#limit = Math.max(1, this.#limit / 2);
    const ms = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** this.#pauses);
    this.#pauses += 1;
    this.pause(now, ms * (0.5 + Math.random() / 2));
    this.#lastRefusal = this.#pausedUntil;
  }

  #lastRefusal = -1;
}
