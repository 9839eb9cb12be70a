import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { type ConnectionBound, Connections } from '../../../services/lib/grpc/connections.js';
import type { TestApi } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { storeDirectory } from '../../support/directory.js';
import { FLAG, FRAME, frame, PREFACE, requestOf } from '../../support/http2-frames.js';
import { startTestCluster } from '../../support/in-process.js';
import { patience, untilTrue } from '../../support/until-true.js';

const GET_COUNT = requestOf('/ssom.alert.v1.InboxService/GetUnreadCount');
const KNOWN_CALL = requestOf('/ssom.alert.v1.InboxService/GetUnreadCount', { 'x-user-id': 'op1' });
const NO_BYTES = Buffer.alloc(0);
const CANCEL = Buffer.from([0, 0, 0, 8]);
const ENHANCE_YOUR_CALM = 11;
const ping = () => frame(FRAME.PING, 0, 0, Buffer.alloc(8));
const unknown = () => frame(0x55, 0, 0, Buffer.alloc(1000));
const headers = (stream: number) => frame(FRAME.HEADERS, FLAG.END_HEADERS, stream, GET_COUNT);

interface Flood {
  readonly begin?: Buffer;
  readonly frame: (index: number) => Buffer;
  /** Frames of one write; 500. */
  readonly atOnce?: number;
  /** What must have been refused. */
  readonly bound: ConnectionBound;
}

const FLOODS: Record<string, Flood> = {
  'PINGs that outrun their answers': { frame: ping, atOnce: 3000, bound: 'protocol' },
  // After what a connection may send at once.
  'PINGs whose answers are read': {
    begin: Buffer.concat(Array.from({ length: 1000 }, unknown)),
    frame: ping,
    atOnce: 100,
    bound: 'frames',
  },
  'SETTINGS that outrun their answers': { frame: () => frame(FRAME.SETTINGS, 0, 0), atOnce: 3000, bound: 'protocol' },
  WINDOW_UPDATEs: { frame: () => frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])), bound: 'frames' },
  'frames of no known type': { frame: unknown, bound: 'frames' },
  'empty DATA of one call': {
    begin: frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, KNOWN_CALL),
    frame: () => frame(FRAME.DATA, 0, 1),
    bound: 'protocol',
  },
  'headers without an end': {
    begin: frame(FRAME.HEADERS, 0, 1, GET_COUNT),
    frame: () => frame(FRAME.CONTINUATION, 0, 1, Buffer.from([0x00, 1, 0x61, 1, 0x62])),
    bound: 'protocol',
  },
  'calls that are taken back at once': {
    frame: (index) => Buffer.concat([headers(2 * index + 1), frame(FRAME.RST_STREAM, 0, 2 * index + 1, CANCEL)]),
    bound: 'resets',
  },
  'more calls than a connection may have': { frame: (index) => headers(2 * index + 1), bound: 'protocol' },
};

/** Writes frames as fast as they are taken, and reads the answers, until the server closes. */
async function flood(address: string, { begin = NO_BYTES, frame: next, atOnce = 500 }: Flood): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  let isClosed = false;
  socket.resume();
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  socket.write(Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), frame(FRAME.SETTINGS, FLAG.ACK, 0), begin]));
  for (let sent = 0; !isClosed; sent += atOnce) {
    if (socket.writableLength < 1_000_000)
      socket.write(Buffer.concat(Array.from({ length: atOnce }, (_, index) => next(sent + index))));
    await setTimeout(1);
  }
}

/** Somebody who calls all the while, one call after the other. */
class GoodClient {
  readonly #done: Promise<void>;
  #isEnding = false;
  answered = 0;

  constructor(private readonly api: TestApi) {
    this.#done = this.#loop();
  }

  async #loop(): Promise<void> {
    while (!this.#isEnding) {
      await this.api.call('GetUnreadCount', {}, { user: 'op1' });
      this.answered += 1;
      await setTimeout(5);
    }
  }

  /** @throws if one of its calls failed */
  end(): Promise<void> {
    this.#isEnding = true;
    return this.#done;
  }
}

test('a connection that floods is ended and counted, and others are answered meanwhile', async (t) => {
  const cluster = await startTestCluster(t, { GRPC_CALLS_PER_CONNECTION_MAX: '200', USER_REQUESTS_PER_S: '0' });
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const refused = async (bound: string) => {
    const page = await (await fetch(`http://${role.http}/metrics`)).text();
    return Number(new RegExp(`ssom_grpc_refused_total\\{[^}]*bound="${bound}"[^}]*\\} (\\d+)`).exec(page)?.[1]);
  };
  const memory = () => process.memoryUsage().rss / 1_048_576;
  const before = memory();
  for (const [what, each] of Object.entries(FLOODS)) {
    await t.test(what, async () => {
      const good = new GoodClient(cluster.api(role));
      // Node 24 ends some of them by itself, before we do.
      const counts = async () =>
        (await refused(each.bound)) + (each.bound === 'protocol' ? 0 : await refused('protocol'));
      const counted = await counts();
      const answered = good.answered;
      await flood(role.address, each);
      assert.equal(await counts(), counted + 1);
      await untilTrue(() => good.answered > answered, { what: 'the good one is answered' });
      await good.end();
    });
  }
  const grown = memory() - before;
  assert.ok(grown < 150, `${grown.toFixed()} MB more`);
});

/** A server of one method that answers and one that does not, bounded. */
async function bounded(
  t: TestContext,
  options: { handshakeMs?: number; requestMs?: number; perAddressMax?: number } = {},
): Promise<{ address: string; open: () => Socket; refusals: ConnectionBound[]; held: () => number }> {
  const server = new grpc.Server();
  defer(t, () => server.forceShutdown());
  const asIs = (bytes: Buffer) => bytes;
  const method = {
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  const Get = { path: '/one.Service/Get', requestStream: false, responseStream: false, ...method };
  const Hold = { ...Get, path: '/one.Service/Hold' };
  let held = 0;
  server.addService(
    { Get, Hold },
    { Get: (_call: unknown, done: grpc.sendUnaryData<Buffer>) => done(null, NO_BYTES), Hold: () => (held += 1) },
  );
  const port = await promisify(server.bindAsync.bind(server))('127.0.0.1:0', grpc.ServerCredentials.createInsecure());
  const refusals: ConnectionBound[] = [];
  const connections = new Connections(server, {
    max: 100,
    perAddressMax: 0,
    maxMessageBytes: 1_048_576,
    onRefusedHandshake: () => undefined,
    onRefused: (bound) => refusals.push(bound),
    ...options,
  });
  defer(t, () => connections.close());
  const open = () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    defer(t, () => socket.destroy());
    return socket;
  };
  return { address: `127.0.0.1:${port}`, open, refusals, held: () => held };
}

const HELLO = Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), frame(FRAME.SETTINGS, FLAG.ACK, 0)]);
const MESSAGE = Buffer.alloc(5);
const HOLD = requestOf('/one.Service/Hold');

/** The frames of so many calls. */
function calls(count: number, framesOf: (stream: number) => readonly Buffer[]): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => framesOf(2 * index + 1)).flat());
}

const begun = (stream: number, flags: number, message: Buffer) => [
  frame(FRAME.HEADERS, FLAG.END_HEADERS, stream, HOLD),
  frame(FRAME.DATA, flags, stream, message),
];
/** After which each connection has been looked at, and no call is young. */
const LOOKED_MS = 1100;
const takenBack = (stream: number) => [frame(FRAME.RST_STREAM, 0, stream, CANCEL)];

/** Waits until a PING is answered, and so all that was written before it has been read. */
async function pong(socket: Socket): Promise<void> {
  let heard = NO_BYTES;
  const answered = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      for (let at = 0; at + 9 <= heard.length; at += 9 + heard.readUIntBE(at, 3))
        if (heard[at + 3] === FRAME.PING) resolve();
    });
    socket.once('close', () => reject(new Error('the connection was ended')));
  });
  socket.write(ping());
  await answered;
  socket.removeAllListeners('data');
}

const closed = (socket: Socket) => {
  socket.resume();
  return once(socket, 'close', { signal: AbortSignal.timeout(patience(10_000)) });
};

test('who connects and says nothing, or not enough, is let go', async (t) => {
  const { open, refusals } = await bounded(t, { handshakeMs: 100 });
  const [silent, halfway, good] = [open(), open(), open()];
  halfway.write(PREFACE.subarray(0, 10));
  good.write(Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
  await Promise.all([closed(silent), closed(halfway)]);
  assert.deepEqual(refusals, ['handshakes', 'handshakes']);
  assert.equal(good.destroyed, false);
});

test('a call whose request does not come is ended, and its connection goes on', async (t) => {
  const { open, refusals } = await bounded(t, { requestMs: 300 });
  const socket = open();
  const request = requestOf('/one.Service/Get');
  socket.write(
    Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, request)]),
  );
  const ended = new Promise<number>((resolve) => {
    socket.on('data', (chunk) => {
      for (let at = 0; at + 9 <= chunk.length; at += 9 + chunk.readUIntBE(at, 3))
        if (chunk[at + 3] === FRAME.RST_STREAM) resolve(chunk.readUInt32BE(at + 9));
    });
  });
  assert.equal(await ended, ENHANCE_YOUR_CALM);
  assert.deepEqual(refusals, ['slow_requests']);
  const answered = once(socket, 'data');
  socket.write(ping());
  assert.equal(((await answered) as [Buffer])[0][3], FRAME.PING);
});

test('calls that are ended and taken back together, later than they began, end their connection alone', async (t) => {
  const { open, refusals } = await bounded(t);
  const [flooding, good] = [open(), open()];
  good.write(HELLO);
  flooding.write(Buffer.concat([HELLO, calls(1000, (stream) => begun(stream, 0, MESSAGE.subarray(1)))]));
  await pong(flooding);
  flooding.write(calls(1000, (stream) => [frame(FRAME.DATA, FLAG.END_STREAM, stream), ...takenBack(stream)]));
  await closed(flooding);
  await pong(good);
  assert.deepEqual(refusals, ['resets']);
});

test('a burst of deadlines leaves its connection as it is', async (t) => {
  const { open, refusals, held } = await bounded(t);
  const socket = open();
  socket.write(Buffer.concat([HELLO, calls(950, (stream) => begun(stream, FLAG.END_STREAM, MESSAGE))]));
  await untilTrue(() => held() === 950, { what: 'all calls are at work' });
  await setTimeout(LOOKED_MS);
  socket.write(calls(950, takenBack));
  await pong(socket);
  assert.deepEqual(refusals, []);
});

test('large requests that begin before a look at their connection and end before the next are no flood', async (t) => {
  const { address, refusals } = await bounded(t);
  const session = http2.connect(`http://${address}`);
  defer(t, () => session.destroy());
  const message = Buffer.alloc(600_000);
  message.writeUInt32BE(message.length - 5, 1);
  const headers = { ':method': 'POST', ':path': '/one.Service/Get', 'content-type': 'application/grpc' };
  const requests = Array.from({ length: 4 }, () => session.request(headers));
  for (const request of requests) request.write(message.subarray(0, 1000));
  await setTimeout(LOOKED_MS);
  const answers = requests.map((request) => once(request.resume(), 'end'));
  for (const request of requests) request.end(message.subarray(1000));
  await Promise.all(answers);
  await setTimeout(LOOKED_MS);
  assert.deepEqual([refusals, session.destroyed], [[], false]);
});

test('connections of one address are bounded where it is asked for', async (t) => {
  const { open, refusals } = await bounded(t, { perAddressMax: 2 });
  const hello = Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]);
  const two = [open(), open()];
  await Promise.all(
    two.map((socket) => {
      socket.write(hello);
      return once(socket, 'data');
    }),
  );
  await closed(open());
  assert.deepEqual(refusals, ['connections_of_address']);
  two[0]!.destroy();
  await untilTrue(
    async () => {
      const socket = open();
      socket.write(hello);
      return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
    },
    { what: 'there is room again' },
  );
});
