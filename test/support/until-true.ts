import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** Default 10 s. */
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
  const { timeoutMs = 10_000, intervalMs = 20, what } = options;
  const until = Date.now() + timeoutMs;
  let failure: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer) return answer;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (Date.now() >= until) {
      throw new Error(`after ${timeoutMs} ms still not: ${typeof what === 'string' ? what : what()}`, {
        cause: failure,
      });
    }
    await sleep(intervalMs);
  }
}
