/** First pause after FCM said that it is too much, without saying for how long; it doubles. */
const PAUSE_MS = 1000;
const PAUSE_MAX_MS = 60_000;
/** How much of a place each success gives back. */
const STEP = 0.1;
/** Devices that FCM has to refuse before it is FCM: up to here each is over a quota of its own. */
const DEVICES = 3;
/** How much of such a device each success makes up for: refusals count where they are more than one in ten. */
const FORGIVEN = 0.1;
/** Messages that were on their way together count once. */
const TOGETHER_MS = 1000;

/**
 * How many messages may be on their way: additive increase, multiplicative decrease (Chiu and Jain, 1989). A 429 is the
 * project's when several devices that were served before are refused; if nothing was taken in between, all pause.
 */
export class Throttle {
  #limit: number;
  #pausedUntil = 0;
  /** Pauses in a row, with no success between them. */
  #pauses = 0;
  /** Devices that were refused, less what was taken since. */
  #refused = 0;
  #refusedSinceSuccess = 0;
  /** The shortest Retry-After of these. */
  #retryAfterMs = Infinity;
  #halvedAt = -Infinity;

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
    this.#refused = Math.max(0, this.#refused - FORGIVEN);
    this.#refusedSinceSuccess = 0;
    this.#retryAfterMs = Infinity;
  }

  /** FCM refused a device that it had served before. @param retryAfterMs by its Retry-After */
  refused(now: number, retryAfterMs = 0): void {
    if (now < this.#pausedUntil) return;
    this.#refused += 1;
    this.#refusedSinceSuccess += 1;
    this.#retryAfterMs = Math.min(this.#retryAfterMs, retryAfterMs);
    if (this.#refusedSinceSuccess >= DEVICES) this.#pause(now);
    else if (this.#refused >= DEVICES) this.#halve(now);
  }

  #pause(now: number): void {
    const backoff = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** this.#pauses) * (0.5 + Math.random() / 2);
    this.#pauses += 1;
    this.#pausedUntil = now + Math.max(backoff, this.#retryAfterMs);
    this.#halve(now);
  }

  #halve(now: number): void {
    if (now - this.#halvedAt >= TOGETHER_MS) {
      this.#limit = Math.max(1, this.#limit / 2);
      this.#halvedAt = now;
    }
    this.#refused = 0;
    this.#refusedSinceSuccess = 0;
    this.#retryAfterMs = Infinity;
  }
}
