/** Keys that are remembered; of one that comes again after so many others the counting begins anew. */
const REMEMBERED = 10_000;

/** Spans of one key that one process records in one stage, whatever they tell. */
export const ORDINARY_SPANS = 20;
/** Further ones that were slow or failed. */
export const EXCEPTIONAL_SPANS = 100;

/**
 * Which of the many spans of one key (an alert) a stage of a process records: the first ones, and of the others those
 * that were slow or failed, up to a bound of their own.
 */
export class SpanBudget {
  readonly #used = new Map<number | string, { ordinary: number; exceptional: number }>();

  /** Whether a span is to be recorded. @param isExceptional it was slow or failed */
  grants(key: number | string, isExceptional: boolean): boolean {
    return this.take(key) || (isExceptional && this.takeExceptional(key));
  }

  /** Whether an ordinary span of this key is to be recorded. */
  take(key: number | string): boolean {
    const used = this.#of(key);
    if (used.ordinary >= ORDINARY_SPANS) return false;
    used.ordinary += 1;
    return true;
  }

  /** Whether one is that was slow or failed, and that `take` has refused. */
  takeExceptional(key: number | string): boolean {
    const used = this.#of(key);
    if (used.exceptional >= EXCEPTIONAL_SPANS) return false;
    used.exceptional += 1;
    return true;
  }

  #of(key: number | string) {
    let used = this.#used.get(key);
    if (used === undefined) {
      used = { ordinary: 0, exceptional: 0 };
      this.#used.set(key, used);
      if (this.#used.size > REMEMBERED) this.#used.delete(this.#used.keys().next().value!);
    }
    return used;
  }
}
