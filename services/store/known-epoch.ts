import type { Queryable } from '../lib/postgres.js';
import { readEpoch } from './state.js';

const NONE: ReadonlySet<number> = new Set();

/**
 * The database's epoch as a reader of records knows it: asked for again only when a record has another one. That the
 * known one is outdated is found where the record is written (store/inbox-delivery.ts).
 */
export class KnownEpoch {
  #epoch = 0;

  /** @param onChange told when the database has another epoch than it had: what is remembered of the one before goes */
  constructor(
    private readonly database: Queryable,
    private readonly onChange: () => void = () => undefined,
  ) {}

  /** 0: not known yet. */
  get current(): number {
    return this.#epoch;
  }

  /** Asks the database. */
  async refresh(): Promise<number> {
    const epoch = await readEpoch(this.database);
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== 0 && before !== epoch) this.onChange();
    return epoch;
  }

  /** Those of these epochs that are not the database's. 0, not known, is never among them. */
  async others(epochs: Iterable<number | undefined>): Promise<ReadonlySet<number | undefined>> {
    const named = new Set<number | undefined>(epochs);
    named.delete(0);
    named.delete(undefined);
    if (named.size === 0 || (named.size === 1 && named.has(this.#epoch))) return NONE;
    named.delete(await this.refresh());
    return named;
  }
}
