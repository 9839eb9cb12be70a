import assert from 'node:assert/strict';
import test from 'node:test';
import { backoffMs, untilItWorks, wait, withTimeout } from '../../../services/lib/retry.js';

test('backoff: full jitter between 0 and the doubled base, capped', () => {
  for (const attempt of [0, 1, 2, 5, 6, 7, 30, 1000]) {
    const bound = Math.min(5000, 100 * 2 ** attempt);
    const waits = Array.from({ length: 2000 }, () => backoffMs(attempt));
    assert.ok(Math.min(...waits) >= 0);
    assert.ok(Math.max(...waits) < bound, `attempt ${attempt}`);
    // Spread over the whole range, not around one value.
    assert.ok(Math.min(...waits) < bound * 0.05 && Math.max(...waits) > bound * 0.95, `attempt ${attempt}`);
  }
  assert.ok(backoffMs(10, 1, 7) <= 7);
});

test('wait ends when its signal aborts, and at once if it has', async () => {
  const controller = new AbortController();
  const started = performance.now();
  const waiting = wait(60_000, controller.signal);
  controller.abort();
  await waiting;
  await wait(60_000, controller.signal);
  assert.ok(performance.now() - started < 1000);
});

test('withTimeout: the result, the failure, or the time-out by name', async () => {
  assert.equal(await withTimeout(Promise.resolve(7), 1000, 'x'), 7);
  await assert.rejects(withTimeout(Promise.reject(new Error('own')), 1000, 'x'), /own/);
  await assert.rejects(withTimeout(new Promise(() => undefined), 10, 'the thing'), /the thing took longer than 10 ms/);
});

test('untilItWorks tries again until it works, telling of every failure', async () => {
  const failures: [string, number][] = [];
  let tries = 0;
  const result = await untilItWorks(
    () => {
      tries += 1;
      return tries < 3 ? Promise.reject(new Error(`try ${tries}`)) : Promise.resolve('done');
    },
    {
      signal: new AbortController().signal,
      capMs: 20,
      onFailure: (error, waitMs) => failures.push([error.message, waitMs]),
    },
  );
  assert.equal(result, 'done');
  assert.deepEqual(
    failures.map(([message]) => message),
    ['try 1', 'try 2'],
  );
  assert.ok(failures.every(([, waitMs]) => waitMs <= 20));
});

test('untilItWorks ends with the reason of its signal', async () => {
  const controller = new AbortController();
  const running = untilItWorks(() => Promise.reject(new Error('never')), {
    signal: controller.signal,
    onFailure: () => controller.abort(new Error('shutdown')),
  });
  await assert.rejects(running, /shutdown/);
});

test('untilItWorks tells of no failure that comes because its signal aborts', async () => {
  const controller = new AbortController();
  const giveUp = () => {
    controller.abort(new Error('shutdown'));
    return Promise.reject(new Error('given up'));
  };
  const onFailure = (error: Error) => assert.fail(`${error.message} is told`);
  await assert.rejects(untilItWorks(giveUp, { signal: controller.signal, onFailure }), /shutdown/);
});
