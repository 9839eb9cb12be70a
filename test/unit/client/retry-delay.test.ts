import assert from 'node:assert/strict';
import test from 'node:test';
import { AlertClientError } from '../../../services/client/errors.js';
import { retryDelayMs } from '../../../services/client/retry-delay.js';

const BACKOFF = { baseMs: 500, capMs: 15_000 };

/** How many of 10,000 waits are in each tenth of the span. */
function tenths(retryAfterMs: number | undefined, failures: number, from: number, to: number): number[] {
  const error = new AlertClientError('UNAVAILABLE', '', '', { retryAfterMs });
  const counts = Array<number>(10).fill(0);
  for (let sample = 0; sample < 10_000; sample += 1) {
    const ms = retryDelayMs(error, failures, BACKOFF);
    assert.ok(ms >= from && ms <= to, `${ms} ms is not within ${from} to ${to}`);
    counts[Math.min(9, Math.floor(((ms - from) / (to - from)) * 10))]! += 1;
  }
  return counts;
}

test('waits are spread evenly: over the backoff, and over as much again as the service asked for', () => {
  for (const [retryAfterMs, failures, from, to] of [
    [undefined, 0, 0, 500],
    [undefined, 3, 0, 4000],
    [undefined, 1000, 0, 15_000],
    [100, 0, 100, 600],
    [5000, 0, 5000, 10_000],
    [60_000, 2, 60_000, 120_000],
  ] as const) {
    const counts = tenths(retryAfterMs, failures, from, to);
    // 1,000 are expected in each; 200 more or fewer are more than six standard deviations.
    assert.ok(Math.min(...counts) > 800 && Math.max(...counts) < 1200, counts.join(' '));
  }
});
