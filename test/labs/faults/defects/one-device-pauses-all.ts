import { DeviceWaits } from '../../../../services/push/device-waits.js';
import { Throttle } from '../../../../services/push/throttle.js';
import { runWired } from './wired.js';

// FCM's 429 for one device is taken for one that the whole project gets: nothing is sent until its Retry-After is over.
const refusedDevice = DeviceWaits.prototype.refused;
DeviceWaits.prototype.refused = function (...args) {
  const wait = refusedDevice.apply(this, args);
  return wait === undefined ? undefined : { ...wait, fresh: true };
};
const { refused } = Throttle.prototype;
Throttle.prototype.refused = function (now, retryAfterMs) {
  for (let device = 0; device < 3; device += 1) refused.call(this, now, retryAfterMs);
};
await runWired();
