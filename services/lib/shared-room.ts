/**
 * Room that callers share. Nobody may have more than is left for others: one caller has half of it, who comes then half
 * of the rest. As switches share their memory (A. Choudhury and E. Hahne, 1998).
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

  /** For what is counted: whether no more is left than the caller has. */
  isFullFor(caller: string): boolean {
    return this.takenBy(caller) >= this.max - this.#taken;
  }

  /**
   * For what is large: whether as much is left afterwards as the caller then has, so that a newcomer with less finds
   * room.
   */
  hasRoomFor(caller: string, amount: number): boolean {
    return this.takenBy(caller) + amount <= this.max - this.#taken - amount;
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
