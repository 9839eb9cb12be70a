import { actorOf } from '../api/audit-actor.js';
import type { Handlers } from '../api/handlers.js';
import { toTimestamp } from '../api/messages.js';
import { userInactive } from '../api/user-errors.js';
import { Violations } from '../api/violations.js';
import { DEVICE_PLATFORMS } from '../domain/device.js';
import { AlertError, invalidArgument } from '../domain/errors.js';
import type {
  Device as DeviceMessage,
  DeviceServiceDefinition,
  RegisterDeviceRequest__Output,
  UnregisterDeviceRequest__Output,
} from '../gen/types.js';
import type { AdminReads } from '../runtime/admin-reads.js';
import { accountOf } from '../store/audit.js';
import { type Device, listDevices, registerDevice, unregisterDevice } from '../store/devices.js';
import { activeOwner } from './active-user.js';
import { adminAccount } from './admin-account.js';

/** FCM's are of some 140 characters. What is much shorter is none, and would be shown whole by its last characters. */
const TOKEN = /^[\x21-\x7e]{20,4096}$/;
const APP_VERSION_MAX = 64;
const LOCALE_MAX = 35;

/** The handlers of ssom.alert.v1.DeviceService. */
export function deviceService(reads: AdminReads): Handlers<DeviceServiceDefinition> {
  return {
    async RegisterDevice(request, call) {
      const { identity, database } = call;
      const userId = await activeOwner(database, identity, request.userId);
      const account = accountOf(actorOf(call), 'device.registered', userId);
      const renewal = adminAccount(call, 'device.registered', userId);
      const device = await registerDevice(database, { userId, ...readDevice(request) }, account, renewal);
      // Made inactive since we looked.
      if (device === undefined) throw userInactive(userId);
      return { device: toMessage(device) };
    },

    async UnregisterDevice(request, call) {
      const { identity, database } = call;
      const userId = await activeOwner(database, identity, request.userId);
      const account = accountOf(actorOf(call), 'device.unregistered', userId);
      if (await unregisterDevice(database, userId, readReference(request), account)) return {};
      throw new AlertError('NOT_FOUND', 'DEVICE_NOT_FOUND', `user '${userId}' has no such device`);
    },

    async ListDevices(request, call) {
      const { identity, database } = call;
      const userId = await activeOwner(database, identity, request.userId);
      await reads.note(call, 'devices.read', userId);
      const devices = await listDevices(database, userId);
      return { devices: devices.map(toMessage) };
    },
  };
}

function readDevice({ platform, token, appVersion, locale }: RegisterDeviceRequest__Output) {
  const violations = new Violations();
  const known = violations.choice('platform', platform, DEVICE_PLATFORMS, 'DEVICE_PLATFORM');
  if (!TOKEN.test(token)) violations.add('token', describeToken(token));
  violations.text('app_version', appVersion, APP_VERSION_MAX);
  violations.text('locale', locale, LOCALE_MAX);
  violations.throwIfAny();
  return { platform: known!, token, appVersion, locale };
}

/** Says nothing of what the token is: messages are logged. */
function describeToken(token: string): string {
  if (token === '') return "is required: FCM's registration token";
  if (!/^[\x21-\x7e]*$/.test(token)) return 'must have printable ASCII without spaces alone, as FCM gives it';
  return `must have 20 to 4096 characters, as FCM gives it; this one has ${token.length}`;
}

function readReference(request: UnregisterDeviceRequest__Output): { deviceId: number } | { token: string } {
  if (request.device === 'token' && request.token !== undefined && TOKEN.test(request.token))
    return { token: request.token };
  if (request.device === 'deviceId' && Number.isSafeInteger(request.deviceId) && request.deviceId! > 0)
    return { deviceId: request.deviceId! };
  if (request.device === 'token')
    throw invalidArgument([{ field: 'token', description: describeToken(request.token ?? '') }]);
  throw invalidArgument([
    { field: 'device_id', description: 'must be a number that RegisterDevice gave, or token set' },
  ]);
}

function toMessage(device: Device): DeviceMessage {
  return {
    deviceId: device.deviceId,
    platform: `DEVICE_PLATFORM_${device.platform}`,
    tokenEnding: device.tokenEnding,
    appVersion: device.appVersion,
    locale: device.locale,
    registeredAt: toTimestamp(device.registeredAt),
    refreshedAt: toTimestamp(device.refreshedAt),
  };
}
