/** Exponential backoff with full jitter: a random wait between 0 and base * 2^attempt, at most `capMs`.
 *  Source: M. Brooker, "Exponential Backoff And Jitter" (2015). `attempt` counts from 0. */
export function backoffMs(attempt: number, baseMs = 100, capMs = 5000): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}

/** Waits, or returns at once when the signal aborts. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Rejects with `what` when the promise has not settled in time. The work itself is not stopped. */
export async function withTimeout<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Tries until it works or the signal aborts; `onFailure` hears of every failure before that. Waits between tries are
 * jittered, from about 0.2 s up to `capMs`.
 * @throws the signal's reason when aborted
 */
export async function untilItWorks<T>(
  attempt: () => Promise<T>,
  options: { signal: AbortSignal; onFailure: (error: Error, waitMs: number) => void; capMs?: number },
): Promise<T> {
  for (let count = 0; ; count += 1) {
    options.signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      options.signal.throwIfAborted();
      const cap = options.capMs ?? 3000;
      // At least a quarter of the step: a start that waits for a service must not spin through lucky zeros.
      const ms = Math.min(cap, 200 * 2 ** Math.min(count, 10)) / 4 + backoffMs(count, 150, (cap * 3) / 4);
      options.onFailure(error as Error, Math.round(ms));
      await wait(ms, options.signal);
    }
  }
}
