/**
 * Room that callers share. Nobody may have more than is left for others: one caller has half of it, two a third each, and a
 * newcomer always finds some. As switches share their memory (A. Choudhury and E. Hahne, 1998).
 */
export class SharedRoom {
  readonly #takenBy = new Map<string, number>();
  #taken = 0;

  constructor(readonly max: number) {}

  /** What all have taken. */
  get taken(): number {
    return this.#taken;
  }

  takenBy(caller: string): number {
    return this.#takenBy.get(caller) ?? 0;
  }

  isFullFor(caller: string): boolean {
    return this.takenBy(caller) >= this.max - this.#taken;
  }

  /** Takes room, however much there is. @returns gives it back; to be called once */
  take(caller: string, amount: number): () => void {
    this.#add(caller, amount);
    return () => this.#add(caller, -amount);
  }

  #add(caller: string, amount: number): void {
    this.#taken += amount;
    const own = this.takenBy(caller) + amount;
    if (own === 0) this.#takenBy.delete(caller);
    else this.#takenBy.set(caller, own);
  }
}
