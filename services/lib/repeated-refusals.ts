/** What is not heard again for so long has ended; tries come every few seconds. */
const QUIET_MS = 60_000;
/** Of one thing; with more the oldest is forgotten. */
const CAUSES_MAX = 20;

/** A refusal comes with each try: each of its causes is to be said once, and how often it came when it is over. */
export class RepeatedRefusals {
  /** When each was heard last, by performance.now(). */
  readonly #heardAt = new Map<string, number>();
  #count = 0;

  /** @returns whether it is to be said: nobody has heard of it yet, or not lately */
  note(reason: string, now = performance.now()): boolean {
    // Ports and times differ from try to try.
    const cause = reason.replace(/\d+/g, '#');
    const before = this.#heardAt.get(cause) ?? -Infinity;
    this.#heardAt.delete(cause);
    this.#heardAt.set(cause, now);
    const [oldest] = this.#heardAt.keys();
    if (this.#heardAt.size > CAUSES_MAX) this.#heardAt.delete(oldest!);
    this.#count += 1;
    return now > before + QUIET_MS;
  }

  /** It is over. @returns how many there were */
  end(): number {
    const count = this.#count;
    this.#heardAt.clear();
    this.#count = 0;
    return count;
  }
}
