import type { ClaimedPush } from '../store/pushes.js';
import type { Message } from './fcm.js';
import { alertMessage, type ApnsCritical, DISMISSED_MAX, dismissMessage } from './fcm-message.js';

/** One message to a device, and the claims that it settles: one alert, or dismissals. */
export interface PushJob {
  readonly deviceId: number;
  readonly dismiss: boolean;
  readonly claims: readonly ClaimedPush[];
  readonly message: Message;
}

/** Why a claimed push is not sent. */
export type EndReason = 'expired' | 'read' | 'deleted' | 'gone';

/** A push that is not to be sent any more; undefined: it is. */
function endOf({ expiresAt, now, alert, device, entry }: ClaimedPush): EndReason | undefined {
  if (alert === null || device === null || entry === null) return 'gone';
  if (entry.isDeleted) return 'deleted';
  if (entry.isRead) return 'read';
  return now >= expiresAt ? 'expired' : undefined;
}

export interface Ended {
  readonly claim: ClaimedPush;
  readonly reason: EndReason;
}

export interface Prepared {
  readonly jobs: readonly PushJob[];
  readonly ended: readonly Ended[];
}

/** The messages that claimed pushes of alerts need, one each. */
export function alertJobs(claims: readonly ClaimedPush[], apnsCritical: ApnsCritical): Prepared {
  const jobs: PushJob[] = [];
  const ended: Ended[] = [];
  for (const claim of claims) {
    const { deviceId, alertId, alert, device, entry, expiresAt, now, unreadCount } = claim;
    const reason = endOf(claim);
    if (reason !== undefined) {
      ended.push({ claim, reason });
      continue;
    }
    const message = alertMessage({
      token: device!.token,
      alertId,
      alert: alert!,
      sequence: entry!.sequence,
      unreadCount,
      ttlMs: expiresAt - now,
      expiresAt,
      apnsCritical,
    });
    jobs.push({ deviceId, dismiss: false, claims: [claim], message });
  }
  return { jobs, ended };
}

/**
 * The messages that claimed dismissals need: one a device where that is possible, as "read up to".
 * @param firstShown for devices with several dismissals, the lowest alert that they still show, if any
 */
export function dismissalJobs(claims: readonly ClaimedPush[], firstShown: ReadonlyMap<number, number>): Prepared {
  const jobs: PushJob[] = [];
  const ended: Ended[] = [];
  for (const [deviceId, group] of byDevice(claims)) {
    const { device, unreadCount } = group[0]!;
    if (device === null) {
      ended.push(...group.map((claim) => ({ claim, reason: 'gone' as const })));
      continue;
    }
    const upTo = group.at(-1)!.alertId;
    if (group.length > 1 && (firstShown.get(deviceId) ?? Infinity) > upTo) {
      const sequence = Math.max(...group.map(({ entry }) => entry?.sequence ?? 0));
      const message = dismissMessage(device.token, { upTo, sequence }, unreadCount);
      jobs.push({ deviceId, dismiss: true, claims: group, message });
      continue;
    }
    for (let from = 0; from < group.length; from += DISMISSED_MAX) {
      const some = group.slice(from, from + DISMISSED_MAX);
      const alertIds = some.map(({ alertId }) => alertId);
      const message = dismissMessage(device.token, { alertIds }, unreadCount);
      jobs.push({ deviceId, dismiss: true, claims: some, message });
    }
  }
  return { jobs, ended };
}

/** Devices with more than one dismissal among these. */
export function devicesWithSeveral(claims: readonly ClaimedPush[]): number[] {
  return [...byDevice(claims)].filter(([, group]) => group.length > 1).map(([deviceId]) => deviceId);
}

/** By device, each by alert id. */
function byDevice(claims: readonly ClaimedPush[]): Map<number, ClaimedPush[]> {
  const groups = new Map<number, ClaimedPush[]>();
  for (const claim of [...claims].sort((a, b) => a.alertId - b.alertId)) {
    const group = groups.get(claim.deviceId);
    if (group === undefined) groups.set(claim.deviceId, [claim]);
    else group.push(claim);
  }
  return groups;
}
