import { LRUCache } from 'lru-cache';
import { AlertError } from '../../domain/errors.js';

/** Callers that are remembered, some 150 bytes each; who is forgotten has its whole burst again. */
const CALLERS_MAX = 50_000;

export interface RateOptions {
  /** What is counted, in the plural. */
  readonly what: string;
  /** How many a caller may have in a second; 0: as many as it likes. */
  readonly perS: (caller: string) => number;
  /** What a caller has left unused for so long it may have at once. */
  readonly burstMs: number;
  readonly onRefused: () => void;
}

/**
 * How much each caller may have in a second. The generic cell rate algorithm (ITU-T I.371, virtual scheduling): of a
 * caller only the time is kept at which all that it has had would be even with its rate.
 */
export class Rate {
  readonly #evenAt = new LRUCache<string, number>({ max: CALLERS_MAX });

  constructor(private readonly options: RateOptions) {}

  /** Callers that are remembered. */
  get size(): number {
    return this.#evenAt.size;
  }

  /**
   * What a caller is refused with (RATE_LIMITED), and counts, with a RetryInfo after which it gets as much; undefined:
   * it may have it. More than a burst may have who has nothing outstanding, since it never could otherwise.
   */
  refusal(caller: string, amount = 1): AlertError | undefined {
    const perS = this.options.perS(caller);
    if (perS === 0) return undefined;
    const takesMs = (amount * 1000) / perS;
    const waitMs = this.#outstandingMs(caller) + takesMs - Math.max(this.options.burstMs, takesMs);
    return waitMs > 0 ? this.#refusal(caller, perS, waitMs) : undefined;
  }

  /** Notes what a caller has. */
  take(caller: string, amount = 1): void {
    const perS = this.options.perS(caller);
    if (perS > 0) this.#evenAt.set(caller, performance.now() + this.#outstandingMs(caller) + (amount * 1000) / perS);
  }

  #outstandingMs(caller: string): number {
    return Math.max(0, (this.#evenAt.get(caller) ?? 0) - performance.now());
  }

  #refusal(caller: string, perS: number, waitMs: number): AlertError {
    const { what, onRefused } = this.options;
    onRefused();
    const retryAfterMs = Math.ceil(waitMs);
    const message = `${caller} may have ${perS} ${what} a second at this server; try again in ${retryAfterMs} ms`;
    const metadata = { limit: `${what}_per_s`, max: String(perS), subject: caller };
    return new AlertError('RESOURCE_EXHAUSTED', 'RATE_LIMITED', message, { retryAfterMs, metadata });
  }
}
