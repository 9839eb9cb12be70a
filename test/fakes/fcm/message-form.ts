// The form of a request to messages:send: every field and its type, from Google's discovery document of fcm:v1
// (revision 20241112) and, for the two satellite fields, from what firebase-admin 13 sends. JSON names may be camelCase
// or snake_case.
import type { FieldViolation } from './google-errors.js';

type Type =
  | { readonly kind: 'string' | 'bool' | 'int32' | 'float' | 'duration' | 'timestamp' | 'struct' | 'string-map' }
  | { readonly kind: 'enum'; readonly name: string; readonly values: readonly string[] }
  | { readonly kind: 'list'; readonly of: Type }
  | { readonly kind: 'object'; readonly fields: Readonly<Record<string, Type>> };

export type Fields = Record<string, unknown>;

const string: Type = { kind: 'string' };
const bool: Type = { kind: 'bool' };
const duration: Type = { kind: 'duration' };
const stringMap: Type = { kind: 'string-map' };
const struct: Type = { kind: 'struct' };
const float: Type = { kind: 'float' };
const list = (of: Type): Type => ({ kind: 'list', of });
const object = (fields: Record<string, Type>): Type => ({ kind: 'object', fields });
const oneOf = (name: string, ...values: string[]): Type => ({ kind: 'enum', name, values });

const ANDROID_NOTIFICATION = object({
  title: string,
  body: string,
  icon: string,
  color: string,
  sound: string,
  tag: string,
  click_action: string,
  body_loc_key: string,
  body_loc_args: list(string),
  title_loc_key: string,
  title_loc_args: list(string),
  channel_id: string,
  ticker: string,
  sticky: bool,
  event_time: { kind: 'timestamp' },
  local_only: bool,
  notification_priority: oneOf(
    'AndroidNotification.NotificationPriority',
    'PRIORITY_UNSPECIFIED',
    'PRIORITY_MIN',
    'PRIORITY_LOW',
    'PRIORITY_DEFAULT',
    'PRIORITY_HIGH',
    'PRIORITY_MAX',
  ),
  default_sound: bool,
  default_vibrate_timings: bool,
  default_light_settings: bool,
  vibrate_timings: list(duration),
  visibility: oneOf('AndroidNotification.Visibility', 'VISIBILITY_UNSPECIFIED', 'PRIVATE', 'PUBLIC', 'SECRET'),
  notification_count: { kind: 'int32' },
  light_settings: object({
    color: object({ red: float, green: float, blue: float, alpha: float }),
    light_on_duration: duration,
    light_off_duration: duration,
  }),
  image: string,
  bypass_proxy_notification: bool,
  proxy: oneOf('AndroidNotification.Proxy', 'PROXY_UNSPECIFIED', 'ALLOW', 'DENY', 'IF_PRIORITY_LOWERED'),
});

const REQUEST = object({
  validate_only: bool,
  message: object({
    name: string,
    data: stringMap,
    notification: object({ title: string, body: string, image: string }),
    android: object({
      collapse_key: string,
      priority: oneOf('AndroidMessagePriority', 'NORMAL', 'HIGH'),
      ttl: duration,
      restricted_package_name: string,
      data: stringMap,
      notification: ANDROID_NOTIFICATION,
      fcm_options: object({ analytics_label: string }),
      direct_boot_ok: bool,
      bandwidth_constrained_ok: bool,
      restricted_satellite_ok: bool,
    }),
    webpush: object({
      headers: stringMap,
      data: stringMap,
      notification: struct,
      fcm_options: object({ link: string, analytics_label: string }),
    }),
    apns: object({
      headers: stringMap,
      payload: struct,
      fcm_options: object({ analytics_label: string, image: string }),
      live_activity_token: string,
    }),
    fcm_options: object({ analytics_label: string }),
    token: string,
    topic: string,
    condition: string,
  }),
});

/** Of a oneof only one field may be set, even to the same value. */
const TARGETS = ['token', 'topic', 'condition'];
/** Half of a character beyond the basic plane: what is left when a text is cut between its two UTF-16 units. */
const HALF_CHARACTER = /\p{Surrogate}/u;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** The request with all its field names in snake_case, and everything about it that is not of the API's form. */
export function readRequest(json: unknown): { request: Fields; violations: FieldViolation[] } {
  const violations: FieldViolation[] = [];
  const request = readValue(REQUEST, json, '', violations);
  return { request: isObject(request) ? request : {}, violations };
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that a field holds; an empty one when it holds none. */
export function section(holder: Fields, name: string): Fields {
  const value = holder[name];
  return isObject(value) ? value : {};
}

function readValue(type: Type, value: unknown, path: string, violations: FieldViolation[]): unknown {
  if (type.kind === 'object') {
    if (isObject(value)) return readObject(type.fields, value, path, violations);
  } else if (type.kind === 'list') {
    if (Array.isArray(value)) return value.map((item, at) => readValue(type.of, item, `${path}[${at}]`, violations));
  } else if (type.kind === 'string-map') {
    if (isObject(value)) return readStrings(value, path, violations);
  } else if (fits(type, value)) {
    return type.kind === 'enum' ? (value as string).toUpperCase() : value;
  }
  violations.push(invalidValue(type, value, path));
  return undefined;
}

function readObject(
  fields: Readonly<Record<string, Type>>,
  json: Fields,
  path: string,
  violations: FieldViolation[],
): Fields {
  const read: Fields = {};
  for (const [key, value] of Object.entries(json)) {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const at = path === '' ? name : `${path}.${name}`;
    if (type === undefined) {
      const where = path === '' ? '' : ` at '${path}'`;
      const description = `Invalid JSON payload received. Unknown name "${key}"${where}: Cannot find field.`;
      violations.push({ ...(path !== '' && { field: path }), description });
    } else if (value !== null) {
      if (TARGETS.includes(name) && TARGETS.some((target) => target in read)) {
        const description = `Invalid value at '${path}' (oneof), oneof field 'target' is already set. Cannot set '${key}'`;
        violations.push({ field: path, description });
      }
      read[name] = readValue(type, value, at, violations);
    }
  }
  return read;
}

function readStrings(json: Fields, path: string, violations: FieldViolation[]): Fields {
  Object.entries(json).forEach(([key, value], index) => {
    if (!fits(string, key)) violations.push(invalidValue(string, key, `${path}[${index}].key`));
    if (!fits(string, value)) violations.push(invalidValue(string, value, `${path}[${index}].value`));
  });
  return json;
}

function fits(type: Type, value: unknown): boolean {
  switch (type.kind) {
    case 'string':
      return typeof value === 'string' && !HALF_CHARACTER.test(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'int32':
      return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;
    case 'float':
      return typeof value === 'number';
    case 'duration':
      return typeof value === 'string' && /^-?\d{1,12}(\.\d{1,9})?s$/.test(value);
    case 'timestamp':
      return typeof value === 'string' && RFC_3339.test(value) && !Number.isNaN(Date.parse(value));
    case 'enum':
      // firebase-admin sends 'high', and Google takes it.
      return typeof value === 'string' && type.values.includes(value.toUpperCase());
    case 'struct':
      return isObject(value) && isWhole(value);
    default:
      return false;
  }
}

/** No half characters anywhere in a JSON value. */
function isWhole(value: unknown): boolean {
  if (typeof value === 'string') return !HALF_CHARACTER.test(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, inner]) => !HALF_CHARACTER.test(key) && isWhole(inner));
}

function invalidValue(type: Type, value: unknown, path: string): FieldViolation {
  const description = `Invalid value at '${path}' (${typeName(type)}), ${JSON.stringify(value)}`;
  return { field: path, description };
}

function typeName(type: Type): string {
  switch (type.kind) {
    case 'enum':
      return `type.googleapis.com/google.firebase.fcm.v1.${type.name}`;
    case 'duration':
      return 'type.googleapis.com/google.protobuf.Duration';
    case 'timestamp':
      return 'type.googleapis.com/google.protobuf.Timestamp';
    case 'struct':
      return 'type.googleapis.com/google.protobuf.Struct';
    case 'string-map':
      return 'map';
    case 'object':
      return 'object';
    default:
      return `TYPE_${type.kind.toUpperCase()}`;
  }
}
