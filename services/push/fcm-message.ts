import type { AlertLevel } from '../domain/alert.js';
import type { PushedAlert } from '../store/pushes.js';
import type { Message } from './fcm.js';

/** How old an alert may become before it is not pushed any more, in milliseconds. */
export const TTL_MS: Readonly<Record<AlertLevel, number>> = {
  INFO: 4 * 3_600_000,
  WARNING: 12 * 3_600_000,
  ERROR: 24 * 3_600_000,
  CRITICAL: 24 * 3_600_000,
};

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

function compose({ token, alertId, alert, sequence, unreadCount, ttlMs, expiresAt }: Notice, body: string): Message {
  const key = collapseKey(alertId);
  const urgent = alert.level === 'ERROR' || alert.level === 'CRITICAL';
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
      priority: urgent ? 'high' : 'normal',
      ttl: ttlSeconds * 1000,
      notification: { tag: key, notificationCount: unreadCount },
    },
    apns: {
      headers: {
        'apns-collapse-id': key,
        'apns-priority': urgent ? '10' : '5',
        'apns-expiration': String(Math.floor(expiresAt / 1000)),
        'apns-push-type': 'alert',
      },
      payload: {
        aps: { badge: unreadCount, sound: 'default', threadId: alert.appName },
      },
    },
    webpush: {
      headers: { TTL: String(ttlSeconds), Urgency: urgent ? 'high' : 'normal', Topic: key },
      notification: { tag: key },
    },
  };
}

/**
 * What disappears from a device: some alerts, or all up to one that are not newer than the change that made them read: an alert
 * with a lower id may come later.
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
