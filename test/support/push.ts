import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { startFcm, type Fcm, type FcmOptions } from '../fcm/client.js';
import type { Received } from '../fcm/control-types.js';
import { defer } from './defer.js';

/** FCM's stand-in, with the settings by which the service finds it. */
export async function startPushTarget(
  t: TestContext,
  options: FcmOptions = {},
): Promise<{ fcm: Fcm; environment: Record<string, string> }> {
  const fcm = await startFcm(t, options);
  const folder = mkdtempSync(join(tmpdir(), 'ssom-fcm-'));
  defer(t, () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'service-account.json');
  writeFileSync(file, JSON.stringify(fcm.serviceAccount));
  return { fcm, environment: { FCM_CREDENTIALS: file, FCM_URL: fcm.url } };
}

/** A token as FCM would give it. */
export function newToken(): string {
  return `${randomBytes(11).toString('base64url')}:${randomBytes(70).toString('base64url')}`;
}

/** The data of the messages that a token received, in order. */
export async function dataOf(fcm: Fcm, token: string): Promise<Record<string, string>[]> {
  const accepted = (await fcm.received(token)).filter((each) => each.accepted);
  return accepted.map(({ message }: Received) => message!.data as Record<string, string>);
}
