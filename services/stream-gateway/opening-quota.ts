/**
 * Streams that are being opened. They count against the limits already: otherwise a flood of calls would be let in
 * together, and each would ask PostgreSQL before the first of them counts.
 */
export class OpeningQuota {
  readonly #byUser = new Map<string, number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  of(userId: string): number {
    return this.#byUser.get(userId) ?? 0;
  }

  /** Notes one more. @returns what takes it off again */
  begin(userId: string): () => void {
    this.#add(userId, 1);
    return () => this.#add(userId, -1);
  }

  #add(userId: string, more: number): void {
    this.#count += more;
    const count = this.of(userId) + more;
    if (count > 0) this.#byUser.set(userId, count);
    else this.#byUser.delete(userId);
  }
}
