import { ATTR } from './names.js';
import type { Attributes } from './tracing.js';

/** Attempts that are recorded one by one before the gaps begin to grow; a power of two. */
const FIRST = 4;
/**
 * Keys whose failures are counted: more than the 20,000 that a relay has in flight and the 1,000 that it sweeps. If it
 * were fewer, each would push out the one that fails next, and no count would pass 1.
 */
const COUNTED_MAX = 50_000;

/**
 * Whether an attempt gets a span if it fails: the first four do, then the 8th, the 16th and so on, so that an hour of
 * one attempt each second makes a dozen. The attempt that succeeds has one in any case.
 */
export function isRecordedAttempt(attempt: number): boolean {
  return attempt <= FIRST || (attempt & (attempt - 1)) === 0;
}

/** How many attempts before this one have no span. */
export function unrecordedBefore(attempt: number): number {
  const before = attempt - 1;
  return before <= FIRST ? 0 : before - FIRST - (log2(before) - log2(FIRST));
}

/** Rounded down; of a positive integer. */
function log2(n: number): number {
  return 31 - Math.clz32(n);
}

/** What a span says of it; of the first attempt nothing. */
export function attemptAttributes(attempt: number): Attributes {
  if (attempt === 1) return {};
  const unrecorded = unrecordedBefore(attempt);
  return { [ATTR.attempt]: attempt, ...(unrecorded > 0 ? { [ATTR.unrecorded]: unrecorded } : {}) };
}

/** How often work on something, known by a number, has failed since it succeeded last. */
export class FailureCounts {
  readonly #failures = new Map<number, number>();

  /** Which attempt the next one is. */
  attemptAt(key: number): number {
    return (this.#failures.get(key) ?? 0) + 1;
  }

  note(key: number, failed: boolean): void {
    if (!failed) {
      this.#failures.delete(key);
      return;
    }
    this.#failures.set(key, this.attemptAt(key));
    if (this.#failures.size > COUNTED_MAX) this.#failures.delete(this.#failures.keys().next().value!);
  }
}
