import assert from 'node:assert/strict';
import test from 'node:test';
import { Throttle } from '../../../services/push/throttle.js';

test('a refusal halves the limit and pauses; those of the same pause count once', () => {
  const throttle = new Throttle(100);
  for (let count = 0; count < 50; count += 1) throttle.refused(1000);
  assert.equal(throttle.limit, 50);
  const paused = throttle.pausedMs(1000);
  assert.ok(paused >= 500 && paused <= 1000, String(paused));
  assert.equal(throttle.pausedMs(1000 + paused), 0);
});

test('pauses become longer while nothing succeeds, up to a minute, and the limit never goes below one', () => {
  const throttle = new Throttle(8);
  let now = 0;
  for (let count = 0; count < 20; count += 1) {
    throttle.refused(now);
    now += throttle.pausedMs(now);
  }
  throttle.refused(now);
  const last = throttle.pausedMs(now);
  assert.ok(last >= 30_000 && last <= 60_000, String(last));
  assert.equal(throttle.limit, 1);
  throttle.succeeded();
  now += last;
  throttle.refused(now);
  assert.ok(throttle.pausedMs(now) <= 1000);
});

test('Retry-After is waited for even if it is longer than our own pause', () => {
  const throttle = new Throttle(8);
  throttle.pause(0, 30_000);
  throttle.refused(0);
  assert.equal(throttle.pausedMs(0), 30_000);
  assert.equal(throttle.pausedMs(30_000), 0);
});

test('ten successes give back one place, up to the maximum', () => {
  const throttle = new Throttle(10);
  throttle.refused(0);
  assert.equal(throttle.limit, 5);
  for (let count = 0; count < 11; count += 1) throttle.succeeded();
  assert.equal(throttle.limit, 6);
  for (let count = 0; count < 1000; count += 1) throttle.succeeded();
  assert.equal(throttle.limit, 10);
});
