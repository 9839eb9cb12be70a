/**
 * The time of day, in milliseconds since 1970: for times that people read, that are stored, or that are compared with
 * those of another machine. It may step, back as well, so no wait and no duration is measured by it: performance.now()
 * is for that.
 */
export function wallClock(): number {
  // The only place that may: eslint.config.js forbids it elsewhere.
  // eslint-disable-next-line no-restricted-syntax
  return Date.now();
}
