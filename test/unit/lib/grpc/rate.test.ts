import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Rate } from '../../../../services/lib/grpc/rate.js';

function rateOf(t: TestContext, perS: number, burstMs: number) {
  let now = 1000;
  let refused = 0;
  t.mock.method(performance, 'now', () => now);
  const rate = new Rate({ what: 'alerts', perS: () => perS, burstMs, onRefused: () => (refused += 1) });
  /** How long to wait, or undefined. */
  const ask = (caller: string, amount = 1) => {
    const refusal = rate.refusal(caller, amount);
    if (refusal === undefined) rate.take(caller, amount);
    return refusal;
  };
  return { ask, rate, refused: () => refused, pass: (ms: number) => (now += ms) };
}

test('a caller has its burst at once and its rate from then on, and the wait that it is told is the true one', (t) => {
  const { ask, pass, refused } = rateOf(t, 10, 2000);
  for (let count = 0; count < 20; count += 1) assert.equal(ask('one'), undefined, `${count}`);
  const refusal = ask('one')!;
  assert.deepEqual([refusal.code, refusal.reason, refusal.retryAfterMs], ['RESOURCE_EXHAUSTED', 'RATE_LIMITED', 100]);
  assert.deepEqual(refusal.metadata, { limit: 'alerts_per_s', max: '10', subject: 'one' });
  assert.equal(ask('other'), undefined, 'another has its own');
  pass(99);
  assert.equal(ask('one')!.retryAfterMs, 1);
  pass(1);
  assert.equal(ask('one'), undefined);
  assert.equal(ask('one', 5)!.retryAfterMs, 500);
  pass(500);
  assert.equal(ask('one', 5), undefined);
  pass(60_000);
  let had = 0;
  while (ask('one') === undefined) had += 1;
  assert.equal(had, 20, 'what is left unused for longer than a burst is gone');
  assert.equal(refused(), 4);
});

test('more than a burst is had when nothing is outstanding, and paid for afterwards', (t) => {
  const { ask, pass } = rateOf(t, 10, 1000);
  assert.equal(ask('one'), undefined);
  assert.equal(ask('one', 500)!.retryAfterMs, 100);
  pass(100);
  assert.equal(ask('one', 500), undefined);
  assert.equal(ask('one')!.retryAfterMs, 49_100);
});

test('0 is no limit, and what a caller may is looked up anew', (t) => {
  const { ask, rate } = rateOf(t, 0, 1000);
  for (let count = 0; count < 1000; count += 1) assert.equal(ask('one', 1000), undefined);
  assert.equal(rate.size, 0);
});

test('callers are remembered up to a number', () => {
  const rate = new Rate({ what: 'alerts', perS: () => 1, burstMs: 1000, onRefused: () => undefined });
  for (let count = 0; count < 60_000; count += 1) rate.take(`caller-${count}`);
  assert.equal(rate.size, 50_000);
});
