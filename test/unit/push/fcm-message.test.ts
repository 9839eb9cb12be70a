import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import test from 'node:test';
import type { Message } from 'firebase-admin/messaging';
import type { AlertLevel } from '../../../services/domain/alert.js';
import { Fcm as FcmClient } from '../../../services/push/fcm.js';
import { alertMessage, dismissMessage, type Notice } from '../../../services/push/fcm-message.js';
import { type Fcm, startFcm } from '../../fakes/fcm/client.js';
import { serviceAccountFile } from '../../fakes/fcm/client.js';

const TOKEN = 'abcdefghijklmnopqrstuvwxyz';
const NOW = Date.parse('2026-11-22T10:00:00Z');
const HOUR_MS = 3_600_000;

function notice(alert: Partial<Notice['alert']> = {}, more: Partial<Notice> = {}): Notice {
  return {
    token: TOKEN,
    alertId: 17,
    alert: {
      kind: 'GRAFANA',
      level: 'ERROR',
      appName: 'ssok-bank-api',
      title: 'p99 above 1 s',
      message: 'for 5 minutes',
      createdAt: NOW,
      traceparent: null,
      ...alert,
    },
    sequence: 42,
    unreadCount: 3,
    ttlMs: 24 * HOUR_MS,
    expiresAt: NOW + 24 * HOUR_MS,
    apnsCritical: 'time-sensitive',
    ...more,
  };
}

/** The real firebase-admin and the stand-in, which checks every field. @returns the message as it arrived */
async function sender(t: TestContext): Promise<(message: Message) => Promise<Record<string, unknown>>> {
  const fcm: Fcm = await startFcm(t);
  const client = new FcmClient({
    credentials: serviceAccountFile(t, fcm),
    projectId: '',
    url: fcm.url,
    connections: 1,
  });
  t.after(() => client.close());
  return async (message) => {
    await client.send(message);
    return (await fcm.received(TOKEN)).at(-1)!.message as Record<string, unknown>;
  };
}

test('an alert says what the app needs, on each platform, by its level', async (t) => {
  const send = await sender(t);
  assert.deepEqual(await send(alertMessage(notice())), {
    token: TOKEN,
    notification: { title: 'p99 above 1 s', body: 'for 5 minutes' },
    data: {
      type: 'alert',
      alert_id: '17',
      kind: 'GRAFANA',
      level: 'ERROR',
      app_name: 'ssok-bank-api',
      sequence: '42',
      unread_count: '3',
    },
    android: {
      collapse_key: 'alert-17',
      priority: 'HIGH',
      ttl: '86400s',
      notification: {
        tag: 'alert-17',
        notification_count: 3,
        channel_id: 'alerts-error',
        notification_priority: 'PRIORITY_HIGH',
      },
    },
    apns: {
      headers: {
        'apns-collapse-id': 'alert-17',
        'apns-priority': '10',
        'apns-expiration': String((NOW + 24 * HOUR_MS) / 1000),
        'apns-push-type': 'alert',
      },
      payload: { aps: { badge: 3, sound: 'default', 'thread-id': 'ssok-bank-api' } },
    },
    webpush: {
      headers: { TTL: '86400', Urgency: 'high', Topic: 'alert-17' },
      notification: { tag: 'alert-17' },
    },
  });
  const calm = await send(alertMessage(notice({ level: 'INFO', message: '' }, { ttlMs: 4 * HOUR_MS })));
  assert.deepEqual(calm['notification'], { title: 'p99 above 1 s' });
  assert.equal((calm['android'] as { priority: string }).priority, 'NORMAL');
  assert.equal((calm['android'] as { ttl: string }).ttl, '14400s');
  assert.equal((calm['apns'] as { headers: Record<string, string> }).headers['apns-priority'], '5');
});

interface Shown {
  readonly android: { readonly priority: string; readonly notification: Record<string, unknown> };
  readonly apns: {
    readonly headers: Record<string, string>;
    readonly payload: { readonly aps: Record<string, unknown> };
  };
  readonly webpush: { readonly headers: Record<string, string>; readonly notification: Record<string, unknown> };
}

test('each level has its own channel on Android, and a CRITICAL one breaks through on every platform', async (t) => {
  const send = await sender(t);
  const shown = async (level: AlertLevel, more: Partial<Notice> = {}) => {
    const { android, apns, webpush } = (await send(alertMessage(notice({ level }, more)))) as unknown as Shown;
    const { aps } = apns.payload;
    return [
      [android.priority, android.notification['channel_id'], android.notification['notification_priority']],
      [apns.headers['apns-priority'], aps['interruption-level'], aps['sound']],
      [webpush.headers['Urgency'], webpush.notification['requireInteraction']],
    ];
  };
  const whole = { critical: 1, name: 'default', volume: 1 };
  assert.deepEqual(await shown('INFO'), [
    ['NORMAL', 'alerts-info', 'PRIORITY_LOW'],
    ['5', undefined, 'default'],
    ['normal', undefined],
  ]);
  assert.deepEqual(await shown('WARNING'), [
    ['NORMAL', 'alerts-warning', 'PRIORITY_DEFAULT'],
    ['5', undefined, 'default'],
    ['normal', undefined],
  ]);
  assert.deepEqual(await shown('ERROR'), [
    ['HIGH', 'alerts-error', 'PRIORITY_HIGH'],
    ['10', undefined, 'default'],
    ['high', undefined],
  ]);
  assert.deepEqual(await shown('CRITICAL'), [
    ['HIGH', 'alerts-critical', 'PRIORITY_MAX'],
    ['10', 'time-sensitive', 'default'],
    ['high', true],
  ]);
  const [, entitled] = await shown('CRITICAL', { apnsCritical: 'critical' });
  assert.deepEqual(entitled, ['10', 'critical', whole]);
  const [, calm] = await shown('ERROR', { apnsCritical: 'critical' });
  assert.deepEqual(calm, ['10', undefined, 'default']);
});

test('a dismissal shows nothing, wakes the app and sets the badge', async (t) => {
  const send = await sender(t);
  const some = await send(dismissMessage(TOKEN, { alertIds: [3, 5] }, 1));
  assert.deepEqual(some['data'], { type: 'dismiss', alert_ids: '3,5', unread_count: '1' });
  assert.equal(some['notification'], undefined);
  assert.deepEqual((some['apns'] as { payload: unknown }).payload, { aps: { 'content-available': 1, badge: 1 } });
  const all = await send(dismissMessage(TOKEN, { upTo: 9, sequence: 12 }, 0));
  assert.deepEqual(all['data'], { type: 'read_up_to', alert_id: '9', sequence: '12', unread_count: '0' });
  const many = Array.from({ length: 100 }, (_, index) => Number.MAX_SAFE_INTEGER - index);
  await send(dismissMessage(TOKEN, { alertIds: many }, 0));
});

const graphemes = (text: string) =>
  [...new Intl.Segmenter('ko', { granularity: 'grapheme' }).segment(text)].map((each) => each.segment);

for (const [name, unit] of [
  ['Korean', '결제 지연 경보, '],
  ['decomposed Korean', '결제'.normalize('NFD')],
  ['emoji of several characters', '👩‍👩‍👧‍👦🇰🇷👍🏽'],
  ['quotes, which JSON escapes', '"\\\n\u0001'],
  ['ASCII', 'x'],
] as const) {
  test(`a long body of ${name} is shortened between characters, by no more than it must`, async (t) => {
    const send = await sender(t);
    const whole = unit.repeat(Math.ceil(4096 / unit.length)).slice(0, 4096);
    const message = await send(
      alertMessage(notice({ title: '🇰🇷'.repeat(50), appName: 'a'.repeat(128), message: whole })),
    );
    const { body } = message['notification'] as { body: string };
    assert.ok(body.endsWith('…'));
    const kept = graphemes(body.slice(0, -1).trimEnd());
    assert.deepEqual(kept, graphemes(whole.trim()).slice(0, kept.length));
    const bytes = Buffer.byteLength(
      JSON.stringify({
        ...alertMessage(notice({ title: '🇰🇷'.repeat(50), appName: 'a'.repeat(128), message: whole })),
        token: '',
      }),
    );
    assert.ok(bytes <= 4000 && bytes > 3900, String(bytes));
  });
}

test('the largest title, names and ids that there can be are sent, if without a body', async (t) => {
  const send = await sender(t);
  const worst = notice(
    { title: '\u0001'.repeat(200), appName: '\u0001'.repeat(128), message: '👩‍👩‍👧‍👦'.repeat(300) },
    { alertId: Number.MAX_SAFE_INTEGER, sequence: Number.MAX_SAFE_INTEGER, unreadCount: 2 ** 31 - 1 },
  );
  await send(alertMessage(worst));
});
