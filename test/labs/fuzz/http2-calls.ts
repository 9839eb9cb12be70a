import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';
import grpc from '@grpc/grpc-js';
import { api, messageType } from '../../../services/api/protos.js';
import { PROBES } from './people.js';
import type { Random } from './random.js';
import { validAlert } from './valid.js';

export interface Outcome {
  /** What came back, for the table. */
  readonly outcome: string;
  readonly wrong: string | undefined;
  readonly input: unknown;
}

interface Call {
  readonly headers?: http2.OutgoingHttpHeaders;
  readonly body?: Buffer;
  /** Resets the call after the body instead of ending it. */
  readonly reset?: number;
  /** The only right gRPC status; absent: any that HTTP or gRPC-js has for a broken call. */
  readonly status?: number;
}

/** Without an answer for this long it hangs. */
const PATIENCE_MS = 10_000;
const HANGS = 'hangs';
const CREATE_ALERT = api.AlertService.service.CreateAlert.path;
const MIB = 1_048_576;
const OK: number = grpc.status.OK;
const RESOURCE_EXHAUSTED: number = grpc.status.RESOURCE_EXHAUSTED;
const UNIMPLEMENTED: number = grpc.status.UNIMPLEMENTED;

/**
 * What may come of a call whose frames or headers are broken. INTERNAL is grpc-js's own word for frames that it cannot
 * put together (a message that is cut off or does not unpack, two messages or none): no code of ours has seen the call
 * then.
 */
const PROPER: readonly number[] = [
  OK,
  grpc.status.CANCELLED,
  grpc.status.INVALID_ARGUMENT,
  grpc.status.DEADLINE_EXCEEDED,
  RESOURCE_EXHAUSTED,
  UNIMPLEMENTED,
  grpc.status.INTERNAL,
  grpc.status.UNAUTHENTICATED,
];

function framed(message: Buffer, { length = message.length, flag = 0 } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag);
  prefix.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([prefix, message]);
}

function alert(random: Random): Buffer {
  const type = messageType('ssom.alert.v1.CreateAlertRequest');
  return Buffer.from(
    type.encode(type.fromObject({ ...validAlert(random), recipients: { userIds: [random.pick(PROBES)] } })).finish(),
  );
}

const BOMB = gzipSync(Buffer.alloc(64 * MIB));
const gzip = { 'grpc-encoding': 'gzip' };

/** Calls that are wrong in their frames or headers, by name. */
export const CALLS: Record<string, (random: Random) => Call> = {
  'right, by hand': (random) => ({ body: framed(alert(random)), status: OK }),
  'right, compressed': (random) => ({ headers: gzip, body: framed(gzipSync(alert(random)), { flag: 1 }), status: OK }),
  'length longer than the message': (random) => ({ body: framed(alert(random), { length: 5000 }) }),
  'length shorter than the message': (random) => ({ body: framed(alert(random), { length: 3 }) }),
  'length of 4 GiB': (random) => ({ body: framed(alert(random), { length: 2 ** 32 - 1 }), status: RESOURCE_EXHAUSTED }),
  'no message': () => ({}),
  'half a prefix': (random) => ({ body: random.bytes(random.int(1, 4)) }),
  'two messages': (random) => ({ body: Buffer.concat([framed(alert(random)), framed(alert(random))]) }),
  'many empty messages': (random) => ({ body: Buffer.alloc(5 * random.pick([2, 100, 5000])) }),
  'compressed flag alone': (random) => ({ body: framed(alert(random), { flag: 1 }) }),
  'compressed garbage': (random) => ({ headers: gzip, body: framed(random.bytes(100), { flag: 1 }) }),
  'compressed and cut': (random) => ({
    headers: gzip,
    body: framed(gzipSync(alert(random)).subarray(0, 20), { flag: 1 }),
  }),
  'gzip bomb': () => ({ headers: gzip, body: framed(BOMB, { flag: 1 }), status: RESOURCE_EXHAUSTED }),
  'odd flag': (random) => ({ body: framed(alert(random), { flag: random.int(2, 255) }) }),
  'unknown encoding': (random) => ({
    headers: { 'grpc-encoding': random.pick(['br', 'x', 'snappy', '', 'identity,gzip']) },
    body: framed(alert(random), { flag: 1 }),
  }),
  'random body': (random) => ({ body: random.bytes(random.int(1, 2000)) }),
  'above 1 MiB': () => ({ body: framed(Buffer.alloc(MIB + 1)), status: RESOURCE_EXHAUSTED }),
  'wrong content type': (random) => ({
    headers: {
      'content-type': random.pick(['application/json', 'text/plain', '', 'application/grpc-web', 'application/grpcx']),
    },
    body: framed(alert(random)),
  }),
  'wrong HTTP method': (random) => ({
    headers: { ':method': random.pick(['GET', 'PUT', 'DELETE', 'OPTIONS', 'X']) },
    body: framed(alert(random)),
  }),
  'wrong path': (random) => ({
    headers: {
      ':path': random.pick(['/', '*', 'no-slash', '//', '/a', `${CREATE_ALERT}/`, '/%00', '/이체', '/x'.repeat(3000)]),
    },
    body: framed(alert(random)),
  }),
  'odd time-out': (random) => ({
    headers: {
      'grpc-timeout': random.pick([
        '',
        '1',
        'abc',
        '-1S',
        '0n',
        '0S',
        '1n',
        '99999999H',
        '999999999999999999S',
        '1.5S',
        'S',
        'NaNS',
      ]),
    },
    body: framed(alert(random)),
  }),
  'large headers': (random) => ({
    headers: { 'x-large': 'x'.repeat(random.pick([1000, 8000, 16_000, 60_000])) },
    body: framed(alert(random)),
  }),
  'many headers': (random) => ({
    headers: Object.fromEntries(Array.from({ length: random.pick([50, 100, 500]) }, (_, index) => [`h-${index}`, 'v'])),
    body: framed(alert(random)),
  }),
  'odd header values': (random) => ({
    headers: {
      'x-caller': random.pick(['\u00ff\u00fe', 'é', '\t', ' x ', '', 'x'.repeat(5000)]),
      'data-bin': random.pick(['!!!', '====', 'a', '']),
    },
    body: framed(alert(random)),
  }),
  'reset in the middle': (random) => ({
    body: framed(alert(random)).subarray(0, random.int(1, 20)),
    reset: random.pick([0, 1, 2, 7, 8, 11, 13]),
  }),
  'reset behind the message': (random) => ({ body: framed(alert(random)), reset: http2.constants.NGHTTP2_CANCEL }),
  'reset without a message': () => ({ reset: http2.constants.NGHTTP2_CANCEL }),
};

/** Makes one broken call over a connection of its own and sees what becomes of it. */
export async function brokenCall(kind: string, address: string, random: Random): Promise<Outcome> {
  const call = CALLS[kind]!(random);
  const session = http2.connect(`http://${address}`);
  session.on('error', () => undefined);
  try {
    const outcome = await answerTo(session, call);
    return { outcome, wrong: verdict(call, outcome), input: call };
  } finally {
    session.destroy();
  }
}

/** A role without the method refuses it by name, whatever else is wrong. */
function verdict({ status }: Call, outcome: string): string | undefined {
  if (outcome === HANGS) return 'no answer';
  const code = /^grpc-status (\d+)$/.exec(outcome)?.[1];
  if (code === undefined) return status === undefined ? undefined : `must be grpc-status ${status}, not ${outcome}`;
  if (Number(code) === UNIMPLEMENTED) return undefined;
  if (status !== undefined) return Number(code) === status ? undefined : `must be grpc-status ${status}, not ${code}`;
  return PROPER.includes(Number(code)) ? undefined : `was answered with ${outcome}`;
}

function answerTo(session: http2.ClientHttp2Session, { headers, body, reset }: Call): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': CREATE_ALERT,
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-caller': 'fuzz',
      ...headers,
    });
    let status: string | undefined;
    const note = (fields: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader) => {
      const code = fields['grpc-status'];
      if (code !== undefined) status = `grpc-status ${String(code)}`;
      else if (fields[':status'] !== undefined && fields[':status'] !== 200) status = `HTTP ${fields[':status']}`;
    };
    const timer = setTimeout(() => resolve(HANGS), PATIENCE_MS);
    const done = (otherwise: string) => {
      clearTimeout(timer);
      resolve(status ?? otherwise);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', () => undefined);
    stream.on('close', () => done(reset === undefined ? `reset with ${stream.rstCode}` : 'reset by us'));
    session.on('close', () => done('connection closed'));
    stream.resume();
    if (reset === undefined) stream.end(body);
    else {
      if (body !== undefined) stream.write(body);
      setImmediate(() => stream.close(reset));
    }
  });
}
