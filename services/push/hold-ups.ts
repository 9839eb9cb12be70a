import { wallClock } from '../lib/wall-clock.js';

/** What may keep pushes that are due from being sent, the graver first. */
const HOLD_UPS = ['breaker_open', 'fcm_asked_to_wait', 'database', 'all_places_taken'] as const;
export type HoldUp = (typeof HOLD_UPS)[number];

/** What has kept pushes from being sent, for the trace of one that was late. */
export class HoldUps {
  readonly #lastAt = new Map<HoldUp, number>();

  note(holdUp: HoldUp, at = wallClock()): void {
    this.#lastAt.set(holdUp, at);
  }

  /** The gravest one since then; undefined if none is known, as after a start. */
  since(from: number): HoldUp | undefined {
    return HOLD_UPS.find((holdUp) => (this.#lastAt.get(holdUp) ?? -Infinity) >= from);
  }
}
