import { InvalidArgumentError } from 'commander';
import { DEVICE_PLATFORMS, type DevicePlatform } from '../../domain/device.js';
import type { Device__Output } from '../../gen/types.js';
import { type AddCommands, type ConnectionFlags, examples, parseWhole, userFlags, withClient } from '../command.js';
import { type Context, OK, print, say, UsageError } from '../context.js';
import { findEnum } from '../io/fields.js';
import { dateAndClock, timeJson } from '../views/format.js';
import { jsonText, oneLine } from '../views/text.js';

interface DeviceFlags extends ConnectionFlags {
  readonly user: string;
}

interface RegisterFlags extends DeviceFlags {
  readonly platform: `DEVICE_PLATFORM_${DevicePlatform}`;
  readonly token: string;
  readonly appVersion?: string;
  readonly locale?: string;
  readonly json?: boolean;
}

export const addDevices: AddCommands = (program, context, done) => {
  const devices = program
    .command('devices')
    .summary("the devices that a user's alerts are pushed to")
    .description("The devices that a user's alerts are pushed to.");

  userFlags(devices.command('list'), 'whose devices')
    .summary('show the devices, the one registered last first')
    .description('The devices, the one registered last first. Of a token only the last six characters are known.')
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText('after', examples('ssom-alert devices list --user op01'))
    .action(async (flags: DeviceFlags & { json?: boolean }) => done(await list(context, flags)));

  userFlags(devices.command('register'), 'whose devices')
    .summary('add a device, or renew it')
    .description('Adds a device, or renews it. A token that another user has registered leaves that user.')
    .requiredOption('--platform <platform>', DEVICE_PLATFORMS.join(', '), parsePlatform)
    .requiredOption('--token <token>', "FCM's registration token")
    .option('--app-version <text>', "the app's version")
    .option('--locale <tag>', "the app's language, such as ko-KR")
    .option('--json', 'as JSON')
    .addHelpText('after', examples('ssom-alert devices register --user op01 --platform ANDROID --token cXz9...'))
    .action(async (flags: RegisterFlags) => done(await register(context, flags)));

  userFlags(devices.command('unregister'), 'whose devices')
    .summary('remove a device')
    .description('Removes a device, by its number or its token. Nothing is pushed to it any more.')
    .argument('[id]', "the device's number", parseWhole)
    .option('--token <token>', 'its token instead')
    .addHelpText('after', examples('ssom-alert devices unregister --user op01 7'))
    .action(async (id: number | undefined, flags: DeviceFlags & { token?: string }) =>
      done(await unregister(context, id, flags)),
    );
};

function parsePlatform(value: string): `DEVICE_PLATFORM_${DevicePlatform}` {
  const platform = findEnum(value, 'DEVICE_PLATFORM', DEVICE_PLATFORMS);
  if (platform === undefined) throw new InvalidArgumentError(`It must be one of ${DEVICE_PLATFORMS.join(', ')}.`);
  return platform;
}

async function list(context: Context, flags: DeviceFlags & { json?: boolean }): Promise<number> {
  return withClient(context, flags, { userId: flags.user }, async (client, signal) => {
    const { devices } = await client.listDevices({ userId: flags.user }, { signal });
    for (const device of devices) await print(context, flags.json ? toJson(device) : toLine(device));
    if (!flags.json) say(context, devices.length === 1 ? '1 device' : `${devices.length} devices`);
    return OK;
  });
}

async function register(context: Context, flags: RegisterFlags): Promise<number> {
  const { platform, token, appVersion = '', locale = '' } = flags;
  return withClient(context, flags, { userId: flags.user }, async (client, signal) => {
    const { device } = await client.registerDevice(
      { userId: flags.user, platform, token, appVersion, locale },
      { signal },
    );
    await print(context, flags.json ? toJson(device!) : toLine(device!));
    return OK;
  });
}

async function unregister(
  context: Context,
  deviceId: number | undefined,
  flags: DeviceFlags & { token?: string },
): Promise<number> {
  const { token } = flags;
  if ((deviceId === undefined) === (token === undefined))
    throw new UsageError("say which one: by the number that 'ssom-alert devices list' shows, or by --token");
  return withClient(context, flags, { userId: flags.user }, async (client, signal) => {
    const which = token === undefined ? { deviceId: deviceId! } : { token };
    await client.unregisterDevice({ userId: flags.user, ...which }, { signal });
    say(context, 'removed');
    return OK;
  });
}

function toLine({ deviceId, platform, tokenEnding, appVersion, locale, refreshedAt }: Device__Output): string {
  const name = platform.replace('DEVICE_PLATFORM_', '').padEnd(7);
  const app = [appVersion, locale].filter((text) => text !== '').map((text) => `  ${oneLine(text)}`);
  return `${String(deviceId).padStart(6)}  ${name}  …${oneLine(tokenEnding)}  ${dateAndClock(refreshedAt)}${app.join('')}`;
}

function toJson(device: Device__Output): string {
  const { registeredAt, refreshedAt } = device;
  return jsonText({ ...device, registeredAt: timeJson(registeredAt), refreshedAt: timeJson(refreshedAt) });
}
