import assert from 'node:assert/strict';
import test from 'node:test';
import { DeviceWaits } from '../../../services/push/device-waits.js';

const PHONE = 1;
const OTHER = 2;

/** Refuses a message to the phone that is sent now. */
function refuse(devices: DeviceWaits, now: number, retryAfterMs?: number) {
  return devices.refused(PHONE, now, { sentAt: now, taken: devices.taken }, retryAfterMs)!;
}

test('a device that is refused while others are served waits twice as long each time, five minutes at most', () => {
  const devices = new DeviceWaits();
  let now = 0;
  refuse(devices, now);
  for (let refusals = 2; refusals <= 20; refusals += 1) {
    now += 600_000;
    devices.served(OTHER);
    const wait = refuse(devices, now);
    assert.deepEqual([wait.refusals, wait.proven, wait.fresh], [refusals, true, false]);
    const longest = Math.min(300_000, 2000 * 2 ** (refusals - 1));
    assert.ok(wait.waitMs >= longest / 2 && wait.waitMs <= longest, `${refusals}: ${wait.waitMs}`);
    assert.equal(Math.round(devices.waitsMs(PHONE, now)), Math.round(wait.waitMs));
  }
  assert.equal(devices.waitsMs(OTHER, now), 0);
});

test('while nobody else is served it waits for 16 s at most: it may be FCM', () => {
  const devices = new DeviceWaits();
  devices.served(PHONE);
  let now = 0;
  for (let count = 0; count < 20; count += 1) {
    const wait = refuse(devices, now);
    assert.equal(wait.proven, false);
    assert.ok(wait.waitMs <= 16_000);
    now += wait.waitMs;
  }
});

test('what it was served itself is no proof that others are', () => {
  const devices = new DeviceWaits();
  devices.served(OTHER);
  const taken = devices.taken;
  for (let count = 0; count < 10; count += 1) devices.served(PHONE);
  assert.equal(devices.refused(PHONE, 0, { sentAt: 0, taken }, undefined)!.proven, false);
  devices.served(OTHER);
  devices.served(PHONE);
  assert.equal(devices.refused(PHONE, 1, { sentAt: 1, taken }, undefined)!.proven, true);
});

test('messages that were on their way together count once', () => {
  const devices = new DeviceWaits();
  assert.ok(devices.refused(PHONE, 100, { sentAt: 50, taken: 0 }, undefined) !== undefined);
  assert.equal(devices.refused(PHONE, 110, { sentAt: 60, taken: 0 }, undefined), undefined);
  assert.ok(devices.refused(PHONE, 120, { sentAt: 115, taken: 0 }, undefined) !== undefined);
});

test('Retry-After is waited for, five minutes at most', () => {
  const devices = new DeviceWaits();
  assert.equal(refuse(devices, 0, 30_000).waitMs, 30_000);
  assert.equal(refuse(new DeviceWaits(), 0, 3_600_000).waitMs, 300_000);
});

test('as often as it was refused it is asked with one message, then it is as others are', () => {
  const devices = new DeviceWaits();
  for (let now = 0; now < 3; now += 1) {
    devices.served(OTHER);
    refuse(devices, now);
  }
  assert.deepEqual([devices.served(PHONE), devices.isTried(PHONE)], [2, true]);
  assert.deepEqual([devices.served(PHONE), devices.isTried(PHONE)], [1, true]);
  assert.deepEqual([devices.served(PHONE), devices.isTried(PHONE)], [0, false]);
  assert.equal(devices.served(PHONE), undefined);
});

test('what other instances have learned of it is taken from the table, unless it was refused here a moment ago', () => {
  const devices = new DeviceWaits();
  devices.learn(PHONE, 0, { refusals: 3, waitsMs: 5000 });
  assert.equal(devices.waitsMs(PHONE, 1000), 4000);
  devices.learn(PHONE, 1000, { refusals: 0, waitsMs: 0 });
  assert.equal(devices.waitsMs(PHONE, 1000), 4000);
  devices.learn(PHONE, 6000, { refusals: 0, waitsMs: 0 });
  assert.equal(devices.isTried(PHONE), false);
});
