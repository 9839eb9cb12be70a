import type { AlertClientError } from './errors.js';

export interface Backoff {
  /** The most that the first wait may be, in milliseconds; it doubles with every failure. */
  readonly baseMs: number;
  /** The most that any may be. */
  readonly capMs: number;
}

/**
 * Milliseconds before the next try: the service's RetryInfo, and a random time on top of at least the same length. So
 * those who were sent away together do not come back together, and nobody comes before it was told to.
 * @param failures before this one
 */
export function retryDelayMs(error: AlertClientError, failures: number, { baseMs, capMs }: Backoff): number {
  const least = error.retryAfterMs ?? 0;
  const spread = Math.max(least, Math.min(capMs, baseMs * 2 ** Math.min(failures, 30)));
  return Math.round(least + Math.random() * spread);
}
