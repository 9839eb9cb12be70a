import { LRUCache } from 'lru-cache';
import type { DevicePlatform } from '../domain/device.js';
import { PUSH_WAIT_MAX_MS } from '../store/pushes.js';
import type { FcmFailure } from './fcm.js';

/** First wait of a device that FCM refused without saying for how long; it doubles with each refusal. */
const WAIT_MS = 2000;
/** Refusals that count while nobody else is served either: it may be FCM, and then nobody is to wait for long. */
const UNPROVEN_MAX = 4;
/** Devices, and alerts that FCM took, that are remembered here. What is forgotten of a device is in the table. */
const REMEMBERED = 10_000;

interface Waiting {
  refusals: number;
  /** Those since it was served last; and the last of them in a row that were by its own fault. */
  inRow: number;
  ownInRow: number;
  /** When it was refused last, and until when it waits. */
  since: number;
  until: number;
  /** Since when the table has this; infinite: it is still to be stored. */
  storedAt: number;
}

/** The last message that FCM took, and the last one that it took for another device: by their number. */
interface Taken {
  readonly last: { readonly deviceId: number; readonly number: number };
  readonly lastOther: { readonly deviceId: number; readonly number: number };
}

const NOBODY = { deviceId: -1, number: 0 };
const NOTHING: Taken = { last: NOBODY, lastOther: NOBODY };

/** What FCM said, and of which platform the device is. */
export interface Refused {
  readonly failure: FcmFailure;
  readonly platform: DevicePlatform;
  readonly retryAfterMs: number | undefined;
  /** The alert that the message is; undefined: it is a dismissal. */
  readonly alertId: number | undefined;
}

/** What the table says of a device. */
export interface Known {
  readonly refusals: number;
  readonly inRow: number;
  readonly ownInRow: number;
  readonly waitsMs: number;
  /** Before it was read. */
  readonly readAt: number;
}

/** What follows for a device from a refusal. */
export interface Wait {
  readonly waitMs: number;
  readonly refusals: number;
  /** How often since it was served last, and how often of these by its own fault. */
  readonly inRow: number;
  readonly ownInRow: number;
  /** Whether this one was; null: not known. */
  readonly ownFault: boolean | null;
  /** Whether it was served before this one. */
  readonly fresh: boolean;
}

/**
 * Devices that FCM refuses. Each waits by itself, twice as long each time, and then gets one message at a time until as
 * many were taken as were refused. Times are of performance.now().
 */
export class DeviceWaits {
  readonly #waiting = new LRUCache<number, Waiting>({ max: REMEMBERED });
  #taken = 0;
  #ofAll = NOTHING;
  readonly #ofPlatform = new Map<DevicePlatform, Taken>();
  /** How many messages were taken when a device was refused last. */
  readonly #refusedAt = new LRUCache<number, number>({ max: REMEMBERED });
  /** Alerts that FCM took, each with the platform of a device that got it. */
  readonly #takenAlerts = new LRUCache<string, true>({ max: REMEMBERED });

  /** Messages that FCM has taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** How many devices wait. */
  waiting(now: number): number {
    return [...this.#waiting.values()].filter(({ until }) => until > now).length;
  }

  /** Whether it is asked with one message at a time. */
  isTried(deviceId: number): boolean {
    return this.#waiting.has(deviceId);
  }

  /** Whether it is tried while others are served: its failures say nothing of FCM. @param taken when it was sent */
  isAlone(deviceId: number, taken: number): boolean {
    return this.isTried(deviceId) && othersServed(this.#ofAll, deviceId, this.#refusedAt.get(deviceId) ?? taken);
  }

  /** How often it was refused in a row, as far as is known here. */
  inRow(deviceId: number): number {
    return this.#waiting.get(deviceId)?.inRow ?? 0;
  }

  /** Milliseconds for which it gets nothing. */
  waitsMs(deviceId: number, now: number): number {
    return Math.max(0, (this.#waiting.get(deviceId)?.until ?? 0) - now);
  }

  /** What the table said of it, where that is newer: other instances serve it as well. */
  learn(deviceId: number, now: number, table: Known): void {
    const { refusals, inRow, ownInRow, waitsMs, readAt } = table;
    const known = this.#waiting.get(deviceId);
    if (known !== undefined && (known.until > now || known.storedAt > readAt)) return;
    if (refusals === 0 && waitsMs === 0) this.#waiting.delete(deviceId);
    else {
      const since = known?.since ?? -Infinity;
      this.#waiting.set(deviceId, { refusals, inRow, ownInRow, since, until: now + waitsMs, storedAt: readAt });
    }
  }

  /** The table has what is known of these devices. */
  stored(deviceIds: readonly number[], now: number): void {
    for (const deviceId of deviceIds) {
      const known = this.#waiting.get(deviceId);
      if (known !== undefined) known.storedAt = now;
    }
  }

  /** @param alertId undefined: it was a dismissal @returns the refusals that are left, if it had any */
  served(deviceId: number, platform: DevicePlatform, alertId?: number): number | undefined {
    this.#taken += 1;
    const last = { deviceId, number: this.#taken };
    this.#ofAll = withLast(this.#ofAll, last);
    this.#ofPlatform.set(platform, withLast(this.#ofPlatform.get(platform) ?? NOTHING, last));
    this.#refusedAt.delete(deviceId);
    if (alertId !== undefined) this.#takenAlerts.set(alertOf(platform, alertId), true);
    const known = this.#waiting.get(deviceId);
    if (known === undefined) return undefined;
    known.refusals = Math.max(0, known.refusals - 1);
    known.inRow = 0;
    known.ownInRow = 0;
    known.until = 0;
    known.storedAt = Infinity;
    if (known.refusals === 0) this.#waiting.delete(deviceId);
    return known.refusals;
  }

  /**
   * @param message when it was sent, and what was `taken` then
   * @returns undefined if it was refused already since then: what was on its way together counts once
   */
  refused(
    deviceId: number,
    now: number,
    message: { sentAt: number; taken: number },
    { failure, platform, retryAfterMs, alertId }: Refused,
  ): Wait | undefined {
    const known = this.#waiting.get(deviceId);
    if (known !== undefined && known.since >= message.sentAt) return undefined;
    const refusedAt = this.#refusedAt.get(deviceId) ?? message.taken;
    const proven = othersServed(this.#ofAll, deviceId, refusedAt);
    const alone = othersServed(this.#ofPlatform.get(platform) ?? NOTHING, deviceId, refusedAt);
    this.#refusedAt.set(deviceId, this.#taken);
    const before = known?.refusals ?? 0;
    // Who says what is wrong is no outage.
    const certain = proven || failure === 'rejected' || failure === 'token';
    const refusals = certain ? before + 1 : Math.max(before, Math.min(before + 1, UNPROVEN_MAX));
    const backoff = Math.min(PUSH_WAIT_MAX_MS, WAIT_MS * 2 ** Math.min(refusals - 1, 30)) * (0.5 + Math.random() / 2);
    const waitMs = Math.min(PUSH_WAIT_MAX_MS, Math.max(backoff, retryAfterMs ?? 0));
    const inRow = (known?.inRow ?? 0) + (certain ? 1 : 0);
    const taken = alertId !== undefined && this.#takenAlerts.has(alertOf(platform, alertId));
    const ownFault = isOwnFault(failure, alone, taken);
    const ownInRow = ownFault === false ? 0 : (known?.ownInRow ?? 0) + (ownFault === true ? 1 : 0);
    this.#waiting.set(deviceId, { refusals, inRow, ownInRow, since: now, until: now + waitMs, storedAt: Infinity });
    return { waitMs, refusals, inRow, ownInRow, ownFault, fresh: before === 0 };
  }
}

function withLast(taken: Taken, last: Taken['last']): Taken {
  return { last, lastOther: taken.last.deviceId === last.deviceId ? taken.lastOther : taken.last };
}

function othersServed({ last, lastOther }: Taken, deviceId: number, since: number): boolean {
  return (last.deviceId === deviceId ? lastOther : last).number > since;
}

function alertOf(platform: DevicePlatform, alertId: number): string {
  return `${platform} ${alertId}`;
}

/**
 * Whether a device was refused by its own fault; null: not known. Refused credentials are our fault or their
 * platform's, an outage says nothing, a wrong message is the device's if FCM took the alert for another one.
 * @param alone whether others of its platform were served since it was refused last
 * @param taken whether this alert was taken for one of its platform
 */
function isOwnFault(failure: FcmFailure, alone: boolean, taken: boolean): boolean | null {
  if (failure === 'credentials') return false;
  if (failure === 'rejected') return taken ? true : null;
  return (failure === 'throttled' || failure === 'token') && alone ? true : null;
}
