import { wallClock } from '../lib/wall-clock.js';

/** What may keep pushes that are due from being sent, the graver first. */
const REASONS = ['breaker_open', 'fcm_asked_to_wait', 'database', 'all_places_taken'] as const;
export type BackpressureReason = (typeof REASONS)[number];

/** What has kept pushes from being sent, for the trace of one that was late. */
export class Backpressure {
  readonly #lastAt = new Map<BackpressureReason, number>();

  note(reason: BackpressureReason, at = wallClock()): void {
    this.#lastAt.set(reason, at);
  }

  /** The gravest one since then; undefined if none is known, as after a start. */
  since(from: number): BackpressureReason | undefined {
    return REASONS.find((reason) => (this.#lastAt.get(reason) ?? -Infinity) >= from);
  }
}
