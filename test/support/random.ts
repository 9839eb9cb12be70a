/**
 * A seeded source of chance: the same seed gives the same run. The generator is the 32-bit xorshift with the shifts 13,
 * 17, 5 of G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003).
 */
export class Random {
  #state: number;

  /** @param seed a whole number; 0, which the generator would never leave, is taken for another */
  constructor(readonly seed: number) {
    this.#state = seed | 0 || 0x5eed;
    // Neighbouring seeds begin alike.
    for (let step = 0; step < 16; step += 1) this.next();
  }

  /** 0 <= x < 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.int(0, list.length - 1)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }

  /** A generator of its own, so that what one part draws does not shift what another gets. */
  fork(): Random {
    return new Random(this.int(1, 2 ** 31));
  }
}
