import type { FoldedStream } from './folded-stream.js';
import type { Ledger, LedgerAlert } from './ledger.js';

/** Which acknowledged alerts have been shown on the streams of their recipients. */
export class Arrivals {
  /** Those of the ledger's alerts that somebody still waits for, and how many of the alerts were looked at so far. */
  #open: LedgerAlert[] = [];
  #looked = 0;

  constructor(
    private readonly ledger: Ledger,
    /** One of each user. */
    private readonly streams: ReadonlyMap<string, FoldedStream>,
  ) {}

  /** How many alerts are not shown to everybody, of those that were acknowledged before then. */
  missing(before = Infinity): number {
    const { list } = this.ledger;
    for (; this.#looked < list.length; this.#looked += 1) this.#open.push(list[this.#looked]!);
    this.#open = this.#open.filter(
      (alert) =>
        !this.ledger.mayBeGone(alert) &&
        [...alert.must].some((userId) => this.streams.get(userId)?.seen.has(alert.alertId) !== true),
    );
    return this.#open.filter(({ acknowledgedAt }) => acknowledgedAt <= before).length;
  }
}
