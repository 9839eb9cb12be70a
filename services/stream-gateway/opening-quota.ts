/** How many of something each has. */
export class Counts {
  readonly #of = new Map<string, number>();

  of(key: string): number {
    return this.#of.get(key) ?? 0;
  }

  add(key: string, more: number): void {
    const count = this.of(key) + more;
    if (count > 0) this.#of.set(key, count);
    else this.#of.delete(key);
  }
}

/**
 * Streams that are being opened. They count against the limits already: otherwise a flood of calls would be let in
 * together, and each would ask PostgreSQL before the first of them counts.
 */
export class OpeningQuota {
  readonly #ofUser = new Counts();
  readonly #ofCaller = new Counts();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  of(userId: string): number {
    return this.#ofUser.of(userId);
  }

  by(caller: string): number {
    return this.#ofCaller.of(caller);
  }

  /** Notes one more. @returns what takes it off again */
  begin(userId: string, caller: string): () => void {
    this.#add(userId, caller, 1);
    return () => this.#add(userId, caller, -1);
  }

  #add(userId: string, caller: string, more: number): void {
    this.#count += more;
    this.#ofUser.add(userId, more);
    this.#ofCaller.add(caller, more);
  }
}
