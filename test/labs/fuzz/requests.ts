import grpc from '@grpc/grpc-js';
import { type Method, METHODS } from './api.js';
import { CROWD, PROBES } from './people.js';
import type { Random } from './random.js';
import { type Known, VALID } from './valid.js';
import { wildField, wildMessage } from './wire.js';

export interface Request {
  readonly method: Method;
  readonly path: string;
  readonly body: Buffer;
  readonly metadata: grpc.Metadata;
  /** How it was made, for the table. */
  readonly kind: string;
  /** OK: a well-formed request of somebody who may send it. */
  readonly expect: 'ok' | 'any' | 'unimplemented' | 'unauthenticated' | 'too large';
}

/** Made as often as said: those that store something, and those that cost more than the others, seldom. */
const WEIGHTS: Record<string, number> = { CreateAlert: 8, BatchCreateAlerts: 2, StreamAlerts: 3, SetRoutingRules: 1 };
const WEIGHTED = METHODS.flatMap((method) => Array.from({ length: WEIGHTS[method.name] ?? 2 }, () => method));

const MESSAGE_MAX = 1_048_576;
const SERVICE_METADATA = { 'x-caller': 'fuzz' };

/** Any request: well-formed, with one field wrong, wild, or bytes that are no message. */
export function anyRequest(random: Random, known: Known): Request {
  const request = made(random, known);
  return request.body.length > MESSAGE_MAX ? { ...request, expect: 'too large' } : request;
}

function made(random: Random, known: Known): Request {
  const method = random.pick(WEIGHTED);
  const { request: type } = method;
  const base = { method, path: method.path };
  const plain = { ...base, metadata: metadataOf(SERVICE_METADATA) };
  const valid = () => Buffer.from(type.encode(type.fromObject(VALID[type.name]!(random, known))).finish());
  const dice = random.next();
  if (dice < 0.25) return { ...plain, body: valid(), kind: 'well-formed', expect: 'ok' };
  if (dice < 0.45) return { ...plain, body: oneWrong(method, valid(), random), kind: 'one field wrong', expect: 'any' };
  if (dice < 0.68) return { ...plain, body: wildMessage(type, random), kind: 'wild', expect: 'any' };
  if (dice < 0.76) return { ...plain, body: random.mutate(valid()), kind: 'bytes changed', expect: 'any' };
  if (dice < 0.82) return { ...plain, body: random.bytes(random.int(0, 300)), kind: 'random bytes', expect: 'any' };
  if (dice < 0.85) return { ...plain, body: Buffer.alloc(0), kind: 'empty', expect: 'any' };
  if (dice < 0.851) return { ...plain, body: tooLarge(random), kind: 'above 1 MiB', expect: 'too large' };
  if (dice < 0.852) return { ...plain, body: large(random), kind: 'almost 1 MiB', expect: 'any' };
  if (dice < 0.88)
    return { ...plain, path: unknownPath(random), body: valid(), kind: 'no such method', expect: 'unimplemented' };
  if (dice < 0.9) {
    return { ...base, metadata: new grpc.Metadata(), body: valid(), kind: 'no identity', expect: 'unauthenticated' };
  }
  return { ...base, metadata: anyMetadata(random), body: valid(), kind: 'any metadata', expect: 'any' };
}

/** A well-formed message followed by one field with anything in it: the last one counts, and lists grow. */
function oneWrong({ request }: Method, valid: Buffer, random: Random): Buffer {
  const { fieldsArray } = request;
  return fieldsArray.length === 0 ? valid : Buffer.concat([valid, wildField(random.pick(fieldsArray), random)]);
}

/** A string in field 1, whatever that is, of more than a message may have. */
function tooLarge(random: Random): Buffer {
  return stringField(random, random.pick([MESSAGE_MAX, 2 * MESSAGE_MAX]));
}

/** A string in some field, or a list of very many items, just within the limit. */
function large(random: Random): Buffer {
  if (random.chance(0.5)) return stringField(random, MESSAGE_MAX - 16);
  const field = random.int(1, 10);
  return Buffer.alloc(
    MESSAGE_MAX - 16,
    random.pick([Buffer.from([(field << 3) | 2, 0]), Buffer.from([(field << 3) | 2, 1, 0x78])]),
  );
}

function stringField(random: Random, length: number): Buffer {
  const size = Buffer.from([(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, (length >> 14) & 0x7f]);
  return Buffer.concat([
    Buffer.from([(random.int(1, 10) << 3) | 2]),
    size,
    Buffer.alloc(length, random.pick(['x', '\0', '%', '이'])),
  ]);
}

function unknownPath(random: Random): string {
  return random.pick([
    '/ssom.alert.v1.AlertService/NoSuchMethod',
    '/ssom.alert.v1.AlertService/createAlert',
    '/ssom.alert.v1.AlertService/',
    '/ssom.alert.v2.AlertService/CreateAlert',
    '/AlertService/CreateAlert',
    '/',
    '//',
    `/${'x'.repeat(2000)}/y`,
  ]);
}

function metadataOf(entries: Record<string, string>): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
  return metadata;
}

/** Identities and other headers, most of them wrong. */
function anyMetadata(random: Random): grpc.Metadata {
  const metadata = new grpc.Metadata();
  const subject = () =>
    random.pick([
      random.pick(PROBES),
      random.pick(CROWD),
      'nobody',
      '',
      ' ',
      '%00%ff',
      "'; DROP TABLE users; --",
      '__proto__',
      'x'.repeat(128),
      'x'.repeat(129),
      'x'.repeat(2000),
    ]);
  if (random.chance(0.6)) metadata.add('x-user-id', subject());
  if (random.chance(0.5)) metadata.add('x-caller', subject());
  if (random.chance(0.1)) metadata.add('x-caller', subject());
  if (random.chance(0.3)) metadata.add('anything-bin', random.bytes(random.int(0, 500)));
  if (random.chance(0.3)) {
    metadata.add(
      'traceparent',
      random.pick(['', 'x', '00-0-0-00', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'f'.repeat(1000)]),
    );
  }
  if (random.chance(0.1)) for (let count = 0; count < 50; count += 1) metadata.add(`h-${count}`, 'v'.repeat(50));
  return metadata;
}
