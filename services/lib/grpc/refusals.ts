import { CONNECTION_BOUNDS } from './connections.js';

/** What is bounded, so that others have room. */
const BOUNDS = [
  'calls_of_caller',
  'calls_of_user',
  'large_requests',
  'health_watches',
  'reflections',
  ...CONNECTION_BOUNDS,
] as const;
export type Bound = (typeof BOUNDS)[number];

/** How often each bound has refused somebody. */
export class Refusals {
  readonly #counts = new Map<Bound, number>(BOUNDS.map((bound) => [bound, 0]));

  /** @returns to be called for each refusal */
  counterOf(bound: Bound): () => void {
    return () => this.count(bound);
  }

  count(bound: Bound): void {
    this.#counts.set(bound, this.#counts.get(bound)! + 1);
  }

  get counts(): ReadonlyMap<Bound, number> {
    return this.#counts;
  }
}
