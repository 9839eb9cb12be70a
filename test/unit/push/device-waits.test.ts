import assert from 'node:assert/strict';
import test from 'node:test';
import { DeviceWaits, type Refused } from '../../../services/push/device-waits.js';

const PHONE = 1;
const OTHER = 2;
const THROTTLED: Refused = { failure: 'throttled', platform: 'IOS', retryAfterMs: undefined, alertId: 1 };

const UNREFUSED = { refusals: 0, inRow: 0, ownInRow: 0, waitsMs: 0 };

/** Refuses a message to the phone that is sent now. */
function refuse(devices: DeviceWaits, now: number, more: Partial<Refused> = {}) {
  return devices.refused(PHONE, now, { sentAt: now, taken: devices.taken }, { ...THROTTLED, ...more })!;
}

test('a device that is refused while others are served waits twice as long each time, five minutes at most', () => {
  const devices = new DeviceWaits();
  let now = 0;
  refuse(devices, now);
  for (let refusals = 2; refusals <= 20; refusals += 1) {
    now += 600_000;
    devices.served(OTHER, 'IOS');
    const wait = refuse(devices, now);
    assert.deepEqual([wait.refusals, wait.ownFault, wait.fresh], [refusals, true, false]);
    const longest = Math.min(300_000, 2000 * 2 ** (refusals - 1));
    assert.ok(wait.waitMs >= longest / 2 && wait.waitMs <= longest, `${refusals}: ${wait.waitMs}`);
    assert.equal(Math.round(devices.waitsMs(PHONE, now)), Math.round(wait.waitMs));
  }
  assert.equal(devices.waitsMs(OTHER, now), 0);
});

test('while nobody else is served it waits for 16 s at most: it may be FCM', () => {
  const devices = new DeviceWaits();
  devices.served(PHONE, 'IOS');
  let now = 0;
  for (let count = 0; count < 20; count += 1) {
    const wait = refuse(devices, now);
    assert.equal(wait.ownFault, null);
    assert.ok(wait.waitMs <= 16_000);
    now += wait.waitMs;
  }
});

test('what it was served itself is no proof that others are', () => {
  const devices = new DeviceWaits();
  devices.served(OTHER, 'IOS');
  const taken = devices.taken;
  for (let count = 0; count < 10; count += 1) devices.served(PHONE, 'IOS');
  assert.equal(devices.refused(PHONE, 0, { sentAt: 0, taken }, THROTTLED)!.ownFault, null);
  devices.served(OTHER, 'IOS');
  devices.served(PHONE, 'IOS');
  assert.equal(devices.refused(PHONE, 1, { sentAt: 1, taken }, THROTTLED)!.ownFault, true);
});

test('messages that were on their way together count once', () => {
  const devices = new DeviceWaits();
  assert.ok(devices.refused(PHONE, 100, { sentAt: 50, taken: 0 }, THROTTLED) !== undefined);
  assert.equal(devices.refused(PHONE, 110, { sentAt: 60, taken: 0 }, THROTTLED), undefined);
  assert.ok(devices.refused(PHONE, 120, { sentAt: 115, taken: 0 }, THROTTLED) !== undefined);
});

test('Retry-After is waited for, five minutes at most', () => {
  const devices = new DeviceWaits();
  assert.equal(refuse(devices, 0, { retryAfterMs: 30_000 }).waitMs, 30_000);
  assert.equal(refuse(new DeviceWaits(), 0, { retryAfterMs: 3_600_000 }).waitMs, 300_000);
});

test('as often as it was refused it is asked with one message, then it is as others are', () => {
  const devices = new DeviceWaits();
  for (let now = 0; now < 3; now += 1) {
    devices.served(OTHER, 'IOS');
    refuse(devices, now);
  }
  assert.deepEqual([devices.served(PHONE, 'IOS'), devices.isTried(PHONE)], [2, true]);
  assert.deepEqual([devices.served(PHONE, 'IOS'), devices.isTried(PHONE)], [1, true]);
  assert.deepEqual([devices.served(PHONE, 'IOS'), devices.isTried(PHONE)], [0, false]);
  assert.equal(devices.served(PHONE, 'IOS'), undefined);
});

test('only a 429 or a refused token, while others of its platform are served, is the fault of a device itself', () => {
  const cases: [Partial<Refused>, boolean | null][] = [
    [{}, true],
    [{ platform: 'ANDROID' }, null],
    [{ failure: 'token' }, true],
    [{ failure: 'token', platform: 'ANDROID' }, null],
    [{ failure: 'unavailable' }, null],
    [{ failure: 'transient' }, null],
    [{ failure: 'rejected' }, null],
    [{ failure: 'rejected', alertId: undefined }, null],
    [{ failure: 'credentials' }, false],
  ];
  const devices = new DeviceWaits();
  refuse(devices, 0);
  for (const [index, [more, ownFault]] of cases.entries()) {
    devices.served(OTHER, 'IOS');
    const wait = refuse(devices, 1 + index, more);
    assert.deepEqual([wait.ownFault, wait.refusals], [ownFault, 2 + index], JSON.stringify(more));
  }
});

test('a message that was taken for another device of the platform is wrong for this one by its own fault', () => {
  const devices = new DeviceWaits();
  const wrong = { failure: 'rejected' } as const;
  devices.served(OTHER, 'ANDROID', 1);
  assert.equal(refuse(devices, 0, wrong).ownFault, null, 'it may be wrong for the platform');
  devices.served(OTHER, 'IOS', 2);
  assert.equal(refuse(devices, 1, wrong).ownFault, null, 'another alert');
  devices.served(OTHER, 'IOS', 1);
  assert.equal(refuse(devices, 2, { ...wrong, alertId: undefined }).ownFault, null, 'a dismissal');
  const wait = refuse(devices, 3, wrong);
  assert.deepEqual([wait.ownFault, wait.inRow, wait.ownInRow], [true, 4, 1]);
});

test('a success begins the refusals in a row anew; one that is not known to be its own fault is not counted as such', () => {
  const devices = new DeviceWaits();
  const counts = (now: number, more: Partial<Refused> = {}) => {
    devices.served(OTHER, 'IOS');
    const { refusals, inRow, ownInRow } = refuse(devices, now, more);
    return [refusals, inRow, ownInRow];
  };
  refuse(devices, 0);
  assert.deepEqual(counts(1), [2, 1, 1]);
  assert.deepEqual(counts(2), [3, 2, 2]);
  assert.deepEqual(counts(3, { failure: 'unavailable' }), [4, 3, 2]);
  assert.deepEqual(counts(4, { failure: 'credentials' }), [5, 4, 0]);
  assert.deepEqual(counts(5), [6, 5, 1]);
  devices.served(PHONE, 'IOS');
  assert.equal(devices.inRow(PHONE), 0);
  refuse(devices, 6);
  assert.deepEqual(counts(7), [6, 1, 1]);
});

test('an outage, in which nobody is served, leaves the refusals in a row as they are', () => {
  const devices = new DeviceWaits();
  for (let now = 0; now < 20; now += 1) assert.equal(refuse(devices, now, { failure: 'unavailable' }).inRow, 0);
});

test('what other instances have learned of it is taken from the table, unless it was refused here a moment ago', () => {
  const devices = new DeviceWaits();
  devices.learn(PHONE, 0, { refusals: 3, inRow: 2, ownInRow: 1, waitsMs: 5000, readAt: 0 });
  assert.equal(devices.waitsMs(PHONE, 1000), 4000);
  devices.learn(PHONE, 1000, { ...UNREFUSED, readAt: 1000 });
  assert.equal(devices.waitsMs(PHONE, 1000), 4000);
  devices.learn(PHONE, 6000, { ...UNREFUSED, readAt: 6000 });
  assert.equal(devices.isTried(PHONE), false);
});

test('a row that was read before the last refusal was stored says nothing new', () => {
  const devices = new DeviceWaits();
  const { waitMs } = refuse(devices, 0);
  // PostgreSQL is away: the refusal is not stored when the wait is over.
  devices.learn(PHONE, waitMs + 10, { ...UNREFUSED, readAt: waitMs + 5 });
  assert.equal(devices.isTried(PHONE), true);
  devices.stored([PHONE], waitMs + 20);
  devices.learn(PHONE, waitMs + 30, { ...UNREFUSED, readAt: waitMs + 15 });
  const again = refuse(devices, waitMs + 40);
  assert.deepEqual([again.refusals, again.fresh], [2, false]);
  // Of two refusals one was taken back, which is to be stored as well.
  devices.stored([PHONE], waitMs + 50);
  assert.equal(devices.served(PHONE, 'IOS'), 1);
  devices.learn(PHONE, waitMs + 70, { ...UNREFUSED, readAt: waitMs + 60 });
  assert.equal(devices.isTried(PHONE), true);
  devices.stored([PHONE], waitMs + 80);
  // Another instance has served it since.
  devices.learn(PHONE, waitMs + 100, { ...UNREFUSED, readAt: waitMs + 90 });
  assert.equal(devices.isTried(PHONE), false);
});

test('of 10,000 devices it is known here; which was asked for least recently is forgotten', () => {
  const devices = new DeviceWaits();
  const refuseAll = (from: number, to: number) => {
    for (let deviceId = from; deviceId <= to; deviceId += 1)
      devices.refused(deviceId, 0, { sentAt: 0, taken: 0 }, THROTTLED);
  };
  refuseAll(1, 10_000);
  assert.ok(devices.waitsMs(1, 0) > 0);
  refuseAll(10_001, 10_001);
  assert.deepEqual(
    [1, 2, 3, 10_001].map((deviceId) => devices.isTried(deviceId)),
    [true, false, true, true],
  );
});
