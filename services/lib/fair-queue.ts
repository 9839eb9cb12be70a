/** What a turn of the ring gives each key: an item that costs more is paid for with later turns. */
const QUANTUM = 5000;

interface Entry<T> {
  readonly item: T;
  readonly cost: number;
}

interface Share<T> {
  readonly entries: Set<Entry<T>>;
  /** Below zero: it has had more than its turns, and waits until they have paid for it. */
  credit: number;
}

/**
 * A queue in which each key has its own, served in turn and by cost: who has put much in waits behind itself. Deficit
 * round robin (M. Shreedhar and G. Varghese, 1995), with the debt after the item.
 */
export class FairQueue<T> {
  /** The keys that have something in it or are in debt, the next one first. */
  readonly #ring = new Map<string, Share<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns takes the item out again; false if it was taken before */
  push(key: string, item: T, cost: number): () => boolean {
    const share = this.#ring.get(key) ?? { entries: new Set<Entry<T>>(), credit: 0 };
    const entry = { item, cost };
    share.entries.add(entry);
    this.#ring.set(key, share);
    this.#size += 1;
    return () => this.#remove(share, entry);
  }

  #remove(share: Share<T>, entry: Entry<T>): boolean {
    if (!share.entries.delete(entry)) return false;
    this.#size -= 1;
    // With nobody to be fair to there is no debt.
    if (this.#size === 0) this.#ring.clear();
    return true;
  }

  /** The next item, with its cost; undefined if there is none. */
  take(): Entry<T> | undefined {
    while (this.#size > 0) {
      const [key, share] = this.#ring.entries().next().value!;
      this.#ring.delete(key);
      share.credit = Math.min(QUANTUM, share.credit + QUANTUM);
      const [entry] = share.credit > 0 ? share.entries : [];
      if (entry !== undefined) share.credit -= entry.cost;
      if (share.entries.size > (entry === undefined ? 0 : 1) || share.credit < 0) this.#ring.set(key, share);
      if (entry === undefined) continue;
      this.#remove(share, entry);
      return entry;
    }
    return undefined;
  }

  /** Everything that is in it, which is then empty. */
  drain(): T[] {
    const items = [...this.#ring.values()].flatMap(({ entries }) => [...entries]);
    for (const { entries } of this.#ring.values()) entries.clear();
    this.#ring.clear();
    this.#size = 0;
    return items.map(({ item }) => item);
  }
}
