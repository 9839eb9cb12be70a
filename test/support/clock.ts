import type { TestContext } from 'node:test';

/**
 * From now on this process reads another time of day, as after its machine's clock was set; its timers go on as they
 * are.
 */
export function stepClock(t: TestContext, stepMs: number): void {
  const { now } = Date;
  t.mock.method(Date, 'now', () => now.call(Date) + stepMs);
}
