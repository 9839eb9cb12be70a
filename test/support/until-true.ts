import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Of the time on a machine of its own, the most that a busy one is given. */
const SLOWEST = 5;

/**
 * How long to wait here for what takes at most `ms` where nothing else runs. A machine whose processors are wanted by n
 * times as many threads as it has gives each an nth of its time. A whole number, as timers want.
 */
export function patience(ms: number): number {
  return Math.round(ms * Math.min(Math.max(loadavg()[0]! / availableParallelism(), 1), SLOWEST));
}

/**
 * For roles that share their process with a test: the test compiles, and other roles start, while a connection to
 * PostgreSQL is being made, and a busy machine can hold them up for longer than the time after which the database
 * counts as away.
 */
export function patientDatabase(): Record<string, string> {
  return { DATABASE_ACQUIRE_TIMEOUT_MS: String(patience(3000)) };
}

export interface UntilOptions {
  /**
   * On a machine of its own, see `patience`. Default 30 s: a machine whose host is busy is slow and does not know it.
   */
  readonly timeoutMs?: number;
  /** Default 20 ms. */
  readonly intervalMs?: number;
  /** What is waited for, for the failure's message; a function is asked at the end, so it can say how far it came. */
  readonly what: string | (() => string);
}

/**
 * Asks until the condition holds, and returns its (truthy) answer.
 * @throws when the time is over; an error of the last try is its cause
 */
export async function untilTrue<T>(condition: () => T | Promise<T>, options: UntilOptions): Promise<NonNullable<T>> {
  const { timeoutMs = 30_000, intervalMs = 20, what } = options;
  const started = performance.now();
  let failure: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer) return answer;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    const waited = performance.now() - started;
    if (waited >= patience(timeoutMs)) {
      throw new Error(`after ${Math.round(waited)} ms still not: ${typeof what === 'string' ? what : what()}`, {
        cause: failure,
      });
    }
    await sleep(intervalMs);
  }
}

/** untilTrue with the patience that rebalances and restarting brokers need on two busy cores. */
export function until<T>(
  what: string | (() => string),
  condition: () => T | Promise<T>,
  timeoutMs = 45_000,
): Promise<NonNullable<T>> {
  return untilTrue(condition, { what, timeoutMs, intervalMs: 50 });
}
