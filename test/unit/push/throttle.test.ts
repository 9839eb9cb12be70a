import assert from 'node:assert/strict';
import test from 'node:test';
import { Throttle } from '../../../services/push/throttle.js';

/** Three devices are refused, and nothing is taken in between. */
function refuseAll(throttle: Throttle, now: number, retryAfterMs?: number): void {
  for (let device = 0; device < 3; device += 1) throttle.refused(now, retryAfterMs);
}

test('one or two devices that are refused pause nobody; three in a row halve the limit and pause', () => {
  const throttle = new Throttle(100);
  throttle.refused(1000);
  throttle.refused(1000);
  assert.equal(throttle.pausedMs(1000), 0);
  assert.equal(throttle.limit, 100);
  for (let count = 0; count < 50; count += 1) throttle.refused(1000);
  assert.equal(throttle.limit, 50);
  const paused = throttle.pausedMs(1000);
  assert.ok(paused >= 500 && paused <= 1000, String(paused));
  assert.equal(throttle.pausedMs(1000 + paused), 0);
});

test('devices that are refused while others are served pause nobody; more than one in ten halve the limit', () => {
  const few = new Throttle(100);
  for (let message = 1; message <= 1000; message += 1) {
    if (message % 20 === 0) few.refused(message);
    else few.succeeded();
    assert.equal(few.pausedMs(message), 0);
  }
  assert.equal(few.limit, 100);
  const many = new Throttle(100);
  for (let message = 1; message <= 50; message += 1) {
    if (message % 4 === 0) many.refused(message);
    else many.succeeded();
    assert.equal(many.pausedMs(message), 0);
  }
  assert.ok(many.limit < 60, String(many.limit));
});

test('pauses become longer while nothing succeeds, up to a minute, and the limit never goes below one', () => {
  const throttle = new Throttle(8);
  let now = 0;
  for (let count = 0; count < 20; count += 1) {
    refuseAll(throttle, now);
    now += throttle.pausedMs(now);
  }
  refuseAll(throttle, now);
  const last = throttle.pausedMs(now);
  assert.ok(last >= 30_000 && last <= 60_000, String(last));
  assert.equal(throttle.limit, 1);
  throttle.succeeded();
  now += last;
  refuseAll(throttle, now);
  assert.ok(throttle.pausedMs(now) <= 1000);
});

test("the shortest Retry-After of those that were refused is waited for: a longer one is its device's", () => {
  const throttle = new Throttle(8);
  throttle.refused(0, 600_000);
  throttle.refused(0, 30_000);
  throttle.refused(0, 40_000);
  assert.equal(throttle.pausedMs(0), 30_000);
  assert.equal(throttle.pausedMs(30_000), 0);
});

test('ten successes give back one place, up to the maximum', () => {
  const throttle = new Throttle(10);
  refuseAll(throttle, 0);
  assert.equal(throttle.limit, 5);
  for (let count = 0; count < 11; count += 1) throttle.succeeded();
  assert.equal(throttle.limit, 6);
  for (let count = 0; count < 1000; count += 1) throttle.succeeded();
  assert.equal(throttle.limit, 10);
});
