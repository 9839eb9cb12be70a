/**
 * The time of day, in milliseconds since 1970: for what people read, what is stored, and what is compared with another
 * machine's. It may step, so waits and durations are by performance.now().
 */
export function wallClock(): number {
  // The only place that may: eslint.config.js forbids it elsewhere.
  // eslint-disable-next-line no-restricted-syntax
  return Date.now();
}
