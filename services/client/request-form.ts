import { types } from 'node:util';
import protobuf from 'protobufjs';
import { invalid, shown } from './check.js';
import { parseRfc3339 } from './time.js';

/*
 * protobufjs converts what it is given: a Date becomes 1970, a list the text "a,b", a name that no enum has "not set".
 * So each value must have its field's own type, by the descriptors. A number or a boolean has one text, which a text
 * field takes.
 */

interface Form {
  readonly is: string;
  readonly fits: (value: unknown) => boolean;
}

const TEXT: Form = { is: 'a string', fits: (value) => typeof value === 'string' };
/** Every scalar type of our requests; a test walks them. */
const FORMS: Readonly<Record<string, Form>> = {
  string: TEXT,
  bool: { is: 'true or false', fits: (value) => typeof value === 'boolean' },
  int32: { is: 'a whole number of 32 bits', fits: (value) => Number.isInteger(value) && value === Number(value) >> 0 },
  int64: { is: 'a whole number, above 2^53 its digits as a string', fits: isInt64 },
};

const TIME_FORM = 'a Date, a string such as 2026-01-31T09:30:00+09:00, or { seconds, nanos }';

/**
 * A request with what its type has fields for, times as Timestamps. What is undefined or null is absent.
 * @throws AlertClientError INVALID_ARGUMENT naming the first field whose value the protocol has no form for
 */
export function checkRequest<T>(type: protobuf.Type, request: T): T {
  return message(type, request, '') as T;
}

function message(type: protobuf.Type, value: unknown, path: string): object {
  checkPlain(value, path || 'request');
  const checked: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const each = value[field.name];
    if (each !== undefined && each !== null)
      checked[field.name] = whole(field.resolve(), each, path === '' ? field.name : `${path}.${field.name}`);
  }
  return checked;
}

/** All of a field: its elements or pairs, where it has many. */
function whole(field: protobuf.Field, value: unknown, path: string): unknown {
  if (field.map) {
    checkPlain(value, path);
    const given = Object.entries(value).filter(([, each]) => each !== undefined && each !== null);
    const pairs = given.map(([key, each]) => {
      const name = `${path}[${JSON.stringify(key)}]`;
      return [scalar('string', key, name), single(field, each, name)] as const;
    });
    return Object.fromEntries(pairs);
  }
  if (!field.repeated) return single(field, value, path);
  if (!Array.isArray(value)) throw invalid(path, `must be an array, not ${shown(value)}`);
  return Array.from(value, (each, index) => single(field, each, `${path}[${index}]`));
}

function single({ type, resolvedType }: protobuf.Field, value: unknown, path: string): unknown {
  if (resolvedType instanceof protobuf.Enum) return enumValue(resolvedType, value, path);
  if (resolvedType === null) return scalar(type, value, path);
  return resolvedType.fullName === '.google.protobuf.Timestamp'
    ? timestamp(resolvedType, value, path)
    : message(resolvedType, value, path);
}

function scalar(type: string, given: unknown, path: string): unknown {
  const { is, fits } = FORMS[type]!;
  const value = type === 'string' && (typeof given === 'boolean' || Number.isFinite(given)) ? String(given) : given;
  if (!fits(value)) throw invalid(path, `must be ${is}, not ${shown(value)}`);
  // Two ids that differ in such a half would be one.
  if (typeof value === 'string' && !value.isWellFormed())
    throw invalid(path.toWellFormed(), 'must be well-formed: it has half of a character (a lone surrogate)');
  return value;
}

/** Numbers are left to the service: it may know more of them. */
function enumValue({ values }: protobuf.Enum, value: unknown, path: string): unknown {
  if (FORMS['int32']!.fits(value) || (typeof value === 'string' && Object.hasOwn(values, value))) return value;
  const names = Object.keys(values).filter((name) => values[name] !== 0);
  throw invalid(path, `must be one of ${names.join(', ')}, not ${shown(value)}`);
}

function timestamp(type: protobuf.Type, value: unknown, path: string): object {
  const refused = () => invalid(path, `must be ${TIME_FORM}, not ${shown(value)}`);
  if (typeof value === 'string') {
    const parsed = parseRfc3339(value);
    if (parsed === undefined) throw refused();
    return parsed;
  }
  if (types.isDate(value)) {
    const ms = value.getTime();
    if (Number.isNaN(ms)) throw refused();
    const seconds = Math.floor(ms / 1000);
    return { seconds, nanos: (ms - seconds * 1000) * 1e6 };
  }
  // What other libraries have for times is an object, too, and would be 1970.
  if (!isPlain(value) || value['seconds'] === undefined || value['seconds'] === null) throw refused();
  return message(type, { ...value, seconds: farSeconds(value['seconds']) }, path);
}

/**
 * Seconds beyond 2^53, as of a clock that counts nanoseconds, need not be exact: the service takes now, and says so.
 */
function farSeconds(seconds: unknown): unknown {
  const isFar = Number.isInteger(seconds) && !Number.isSafeInteger(seconds) && Math.abs(Number(seconds)) < 2 ** 63;
  return isFar ? String(BigInt(seconds as number)) : seconds;
}

/** An object, and neither an array nor a Map, a Date or whatever else keeps its contents elsewhere. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

/** @throws AlertClientError INVALID_ARGUMENT unless it is a plain object */
export function checkPlain(value: unknown, path: string): asserts value is Readonly<Record<string, unknown>> {
  if (!isPlain(value)) throw invalid(path, `must be an object, not ${shown(value)}`);
}

function isInt64(value: unknown): boolean {
  if (typeof value === 'string')
    return /^-?\d{1,19}$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value);
  // A Long has two halves.
  return (
    Number.isSafeInteger(value) || (isPlain(value) && Number.isInteger(value['low']) && Number.isInteger(value['high']))
  );
}
