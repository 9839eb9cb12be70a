// What a message of the right form must keep to, from the documentation of FCM, APNs and Web Push. Where two pages of
// Google differ, the stricter one counts.
import type { FieldViolation } from './google-errors.js';
import { type Fields, isObject, section } from './message-form.js';

const PAYLOAD_BYTES = 4096;
const TTL_MAX_S = 2_419_200;
const TOPIC = /^[a-zA-Z0-9\-_.~%]+$/;
const ANALYTICS_LABEL = /^[a-zA-Z0-9\-_.~%]{1,50}$/;
const WHOLE_NUMBER = /^\d+$/;
const APNS_PUSH_TYPES = [
  'alert',
  'background',
  'complication',
  'controls',
  'fileprovider',
  'liveactivity',
  'location',
  'mdm',
  'pushtotalk',
  'voip',
  'widgets',
];
const APNS_COLLAPSE_ID_BYTES = 64;
const INTERRUPTION_LEVELS = ['passive', 'active', 'time-sensitive', 'critical'];

type Violation = FieldViolation | undefined;

/** The first rule that the message breaks, as FCM reports only one. */
export function brokenRule(message: Fields): Violation {
  return (
    target(message) ?? dataKeys(message) ?? android(message) ?? apns(message) ?? webpush(message) ?? labels(message)
  );
}

function target({ token, topic, condition }: Fields): Violation {
  if ([token, topic, condition].every((value) => value === undefined || value === '')) {
    return { field: 'message', description: 'Recipient of the message is not set.' };
  }
  if (typeof topic === 'string' && !TOPIC.test(topic))
    return { field: 'message.topic', description: 'Invalid topic name' };
  return undefined;
}

function dataKeys(message: Fields): Violation {
  for (const part of ['message', 'message.android', 'message.webpush']) {
    const holder = part === 'message' ? message : section(message, part.slice('message.'.length));
    const reserved = Object.keys(section(holder, 'data')).find(isReserved);
    if (reserved !== undefined) return { field: `${part}.data`, description: `Invalid data payload key: ${reserved}` };
  }
  return undefined;
}

function isReserved(key: string): boolean {
  return ['from', 'gcm', 'message_type'].includes(key) || key.startsWith('google') || key.startsWith('gcm.');
}

function android(message: Fields): Violation {
  const config = section(message, 'android');
  const notification = { ...section(message, 'notification'), ...section(config, 'notification') };
  const seconds = parseFloat(text(config, 'ttl') ?? '0');
  if (seconds < 0 || seconds > TTL_MAX_S) return { field: 'message.android.ttl', description: 'Invalid android ttl' };
  const color = text(notification, 'color');
  if (color !== undefined && !/^#[0-9a-fA-F]{6}$/.test(color)) {
    return { field: 'message.android.notification.color', description: 'Invalid color' };
  }
  const data = config['data'] ?? message['data'];
  if (bytes(data) + bytes(notification) > PAYLOAD_BYTES) return { description: 'Android message is too big' };
  return undefined;
}

/** FCM builds the payload for APNs of all parts, the more specific one first. */
function apnsPayload(message: Fields): Fields {
  const given = section(section(message, 'apns'), 'payload');
  const { title, body } = section(message, 'notification');
  const alert = title === undefined && body === undefined ? {} : { alert: { title, body } };
  return { ...section(message, 'data'), ...given, aps: { ...alert, ...section(given, 'aps') } };
}

function apns(message: Fields): Violation {
  const config = section(message, 'apns');
  if (Object.keys(config).length === 0) return undefined;
  const payload = apnsPayload(message);
  const aps = section(payload, 'aps');
  const shows = ['alert', 'badge', 'sound'].some((key) => key in aps);
  return apnsHeaders(section(config, 'headers'), shows) ?? apsFields(aps) ?? apnsSize(payload);
}

function apnsHeaders(given: Fields, shows: boolean): Violation {
  const headers = lowerCased(given);
  const violation = (name: string, description: string) => ({ field: `message.apns.headers.${name}`, description });
  const { 'apns-priority': priority, 'apns-push-type': pushType } = headers;
  if (priority !== undefined && !['1', '5', '10'].includes(priority))
    return violation('apns-priority', 'BadPriority: must be 1, 5 or 10');
  if (pushType !== undefined && !APNS_PUSH_TYPES.includes(pushType))
    return violation('apns-push-type', 'InvalidPushType');
  if ((!shows || pushType === 'background') && priority === '10')
    return violation('apns-priority', 'A message that shows nothing must have apns-priority 5');
  if (headers['apns-expiration'] !== undefined && !WHOLE_NUMBER.test(headers['apns-expiration']))
    return violation('apns-expiration', 'BadExpirationDate: must be seconds since 1970');
  if (Buffer.byteLength(headers['apns-collapse-id'] ?? '') > APNS_COLLAPSE_ID_BYTES)
    return violation('apns-collapse-id', `BadCollapseId: above ${APNS_COLLAPSE_ID_BYTES} bytes`);
  return undefined;
}

function apsFields(aps: Fields): Violation {
  const violation = (name: string) => ({ field: `message.apns.payload.aps.${name}`, description: `Invalid ${name}` });
  const known: Readonly<Record<string, (value: unknown) => boolean>> = {
    alert: (value) => typeof value === 'string' || isObject(value),
    badge: (value) => Number.isInteger(value) && (value as number) >= 0,
    sound: (value) => typeof value === 'string' || isCriticalSound(value),
    'content-available': (value) => value === 1,
    'mutable-content': (value) => value === 1,
    'thread-id': (value) => typeof value === 'string',
    category: (value) => typeof value === 'string',
    'interruption-level': (value) => INTERRUPTION_LEVELS.includes(value as string),
    'relevance-score': (value) => typeof value === 'number' && value >= 0 && value <= 1,
  };
  // Seen at Google: a payload whose aps is empty is refused.
  if (Object.keys(aps).length === 0) return { field: 'message.apns.payload', description: 'aps is empty' };
  const wrong = Object.keys(aps).find((key) => Object.hasOwn(known, key) && !known[key]!(aps[key]));
  return wrong === undefined ? undefined : violation(wrong);
}

/** Apple's dictionary for critical alerts: a name is required, the volume is from 0 to 1. */
function isCriticalSound(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { critical = 0, name, volume = 1, ...others } = value;
  const loud = typeof volume === 'number' && volume >= 0 && volume <= 1;
  return (critical === 0 || critical === 1) && typeof name === 'string' && loud && Object.keys(others).length === 0;
}

function apnsSize(payload: Fields): Violation {
  const tooBig = Buffer.byteLength(JSON.stringify(payload)) > PAYLOAD_BYTES;
  return tooBig ? { field: 'message.apns.payload', description: 'APNS payload is too big' } : undefined;
}

function webpush(message: Fields): Violation {
  const config = section(message, 'webpush');
  if (Object.keys(config).length === 0) return undefined;
  const violation = (name: string, description: string) => ({ field: `message.webpush.${name}`, description });
  const { ttl, urgency, topic } = lowerCased(section(config, 'headers'));
  if (ttl !== undefined && !WHOLE_NUMBER.test(ttl)) return violation('headers.TTL', 'Invalid TTL');
  if (urgency !== undefined && !['very-low', 'low', 'normal', 'high'].includes(urgency))
    return violation('headers.Urgency', 'Invalid Urgency');
  // RFC 8030, section 5.4.
  if (topic !== undefined && !/^[A-Za-z0-9\-_]{1,32}$/.test(topic)) return violation('headers.Topic', 'Invalid Topic');
  const link = text(section(config, 'fcm_options'), 'link');
  if (link !== undefined && !link.startsWith('https://')) return violation('fcm_options.link', 'HTTPS is required');
  const notification = { ...section(message, 'notification'), ...section(config, 'notification') };
  const size = Buffer.byteLength(JSON.stringify({ data: config['data'] ?? message['data'], notification }));
  return size > PAYLOAD_BYTES ? violation('notification', 'Web Push payload is too big') : undefined;
}

function labels(message: Fields): Violation {
  for (const part of ['message', 'message.android', 'message.webpush', 'message.apns']) {
    const holder = part === 'message' ? message : section(message, part.slice('message.'.length));
    const label = text(section(holder, 'fcm_options'), 'analytics_label');
    if (label !== undefined && !ANALYTICS_LABEL.test(label))
      return { field: `${part}.fcm_options.analytics_label`, description: 'Invalid analytics label' };
  }
  return undefined;
}

/** Keys and values, as the documentation counts them; lists and objects as JSON. */
function bytes(values: unknown): number {
  if (!isObject(values)) return 0;
  return Object.entries(values).reduce(
    (sum, [key, value]) =>
      sum + Buffer.byteLength(key) + Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value)),
    0,
  );
}

/** HTTP headers have no case. */
function lowerCased(headers: Fields): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value as string]));
}

function text(holder: Fields, name: string): string | undefined {
  const value = holder[name];
  return typeof value === 'string' ? value : undefined;
}
