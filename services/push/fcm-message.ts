import { ALERT_LEVELS, type AlertLevel } from '../domain/alert.js';
import type { Config } from '../lib/config/load.js';
import type { PushedAlert } from '../store/pushes.js';
import type { Aps, Message } from './fcm.js';

const HOUR_MS = 3_600_000;

/** How a level shows itself on each platform. */
interface LevelForm {
  /** How old an alert may become before it is not pushed any more. */
  readonly ttlMs: number;
  /** The app makes these channels; the user sets sound and exceptions from Do Not Disturb for each. */
  readonly channelId: string;
  /** Whether Android wakes up for it, and how it stands out where there are no channels (before Android 8). */
  readonly android: readonly ['normal' | 'high', 'low' | 'default' | 'high' | 'max'];
  readonly apnsPriority: '5' | '10';
  readonly urgency: 'normal' | 'high';
}

const LEVELS: Readonly<Record<AlertLevel, LevelForm>> = {
  INFO: {
    ttlMs: 4 * HOUR_MS,
    channelId: 'alerts-info',
    android: ['normal', 'low'],
    apnsPriority: '5',
    urgency: 'normal',
  },
  WARNING: {
    ttlMs: 12 * HOUR_MS,
    channelId: 'alerts-warning',
    android: ['normal', 'default'],
    apnsPriority: '5',
    urgency: 'normal',
  },
  ERROR: {
    ttlMs: 24 * HOUR_MS,
    channelId: 'alerts-error',
    android: ['high', 'high'],
    apnsPriority: '10',
    urgency: 'high',
  },
  CRITICAL: {
    ttlMs: 24 * HOUR_MS,
    channelId: 'alerts-critical',
    android: ['high', 'max'],
    apnsPriority: '10',
    urgency: 'high',
  },
};

/** How old an alert of each level may become before it is not pushed any more, in milliseconds, INFO first. */
export const TTLS_MS: readonly number[] = ALERT_LEVELS.map((level) => LEVELS[level].ttlMs);

/**
 * How a CRITICAL alert breaks through on an iPhone: Focus alone, or silent mode too, for which Apple has to entitle the
 * app.
 */
export type ApnsCritical = Config['pushApnsCritical'];

/** What is not in it is `active`, APNs' default. */
function interruption(level: AlertLevel, critical: ApnsCritical): Aps {
  if (level !== 'CRITICAL') return { sound: 'default' };
  if (critical === 'time-sensitive') return { sound: 'default', 'interruption-level': 'time-sensitive' };
  return { sound: { critical: true, name: 'default', volume: 1 }, 'interruption-level': 'critical' };
}

/** FCM and APNs take 4,096 bytes of payload; the rest is for what they add. */
const PAYLOAD_BYTES = 4000;
const ELLIPSIS = '…';
/** Ids of one dismissal: 100 take 1,700 bytes at most. */
export const DISMISSED_MAX = 100;

const graphemes = new Intl.Segmenter('ko', { granularity: 'grapheme' });

/** What replaces what on a device: a repeated push of an alert shows once. At most 64 bytes, by APNs. */
function collapseKey(alertId: number): string {
  return `alert-${alertId}`;
}

export interface Notice {
  readonly token: string;
  readonly alertId: number;
  readonly alert: PushedAlert;
  /** The number of the entry's last change. */
  readonly sequence: number;
  readonly unreadCount: number;
  /** Milliseconds for which it makes sense to show it. */
  readonly ttlMs: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly apnsCritical: ApnsCritical;
}

/** An alert as a notification. A text that is too long is shortened between characters as people see them. */
export function alertMessage(notice: Notice): Message {
  const { alert } = notice;
  const text = alert.message.trim();
  const whole = compose(notice, text);
  let excess = payloadBytes(whole) - PAYLOAD_BYTES;
  if (excess <= 0) return whole;
  const parts = Array.from(graphemes.segment(text), ({ segment }) => segment);
  // Each step removes at least what is too much, so two or three steps do.
  while (excess > 0 && parts.length > 0) {
    for (let removed = 0; removed < excess + ELLIPSIS.length && parts.length > 0;) removed += jsonBytes(parts.pop()!);
    const shortened = compose(notice, parts.join('').trimEnd() + ELLIPSIS);
    excess = payloadBytes(shortened) - PAYLOAD_BYTES;
    if (excess <= 0) return shortened;
  }
  return compose(notice, '');
}

function compose(notice: Notice, body: string): Message {
  const { token, alertId, alert, sequence, unreadCount, ttlMs, expiresAt } = notice;
  const key = collapseKey(alertId);
  const { channelId, android, apnsPriority, urgency } = LEVELS[alert.level];
  const ttlSeconds = Math.max(0, Math.floor(ttlMs / 1000));
  return {
    token,
    notification: body === '' ? { title: alert.title } : { title: alert.title, body },
    data: {
      type: 'alert',
      alert_id: String(alertId),
      kind: alert.kind,
      level: alert.level,
      app_name: alert.appName,
      sequence: String(sequence),
      unread_count: String(unreadCount),
    },
    android: {
      collapseKey: key,
      priority: android[0],
      ttl: ttlSeconds * 1000,
      notification: { tag: key, notificationCount: unreadCount, channelId, priority: android[1] },
    },
    apns: {
      headers: {
        'apns-collapse-id': key,
        'apns-priority': apnsPriority,
        'apns-expiration': String(Math.floor(expiresAt / 1000)),
        'apns-push-type': 'alert',
      },
      payload: {
        aps: { badge: unreadCount, threadId: alert.appName, ...interruption(alert.level, notice.apnsCritical) },
      },
    },
    webpush: {
      headers: { TTL: String(ttlSeconds), Urgency: urgency, Topic: key },
      // A browser leaves it there until somebody has seen it.
      notification: { tag: key, ...(alert.level === 'CRITICAL' ? { requireInteraction: true } : {}) },
    },
  };
}

/**
 * What disappears from a device: some alerts, or all up to one that are not newer than the change that made them read:
 * an alert with a lower id may come later.
 */
export type Dismissal = { readonly alertIds: readonly number[] } | { readonly upTo: number; readonly sequence: number };

/** Has the app remove notifications. It shows nothing itself; the badge is set anew. */
export function dismissMessage(token: string, dismissal: Dismissal, unreadCount: number): Message {
  const what: Record<string, string> =
    'upTo' in dismissal
      ? { type: 'read_up_to', alert_id: String(dismissal.upTo), sequence: String(dismissal.sequence) }
      : { type: 'dismiss', alert_ids: dismissal.alertIds.join(',') };
  return {
    token,
    data: { ...what, unread_count: String(unreadCount) },
    android: { priority: 'normal' },
    apns: {
      // Not `background`: such a one may not set the badge. content-available wakes the app all the same.
      headers: { 'apns-priority': '5', 'apns-push-type': 'alert' },
      payload: { aps: { contentAvailable: true, badge: unreadCount } },
    },
    webpush: { headers: { Urgency: 'low' } },
  };
}

const jsonBytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** All of a message but its token, as it is sent: FCM counts less of it. */
function payloadBytes(message: Message): number {
  return jsonBytes({ ...message, token: '' });
}
