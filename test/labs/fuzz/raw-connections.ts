import net from 'node:net';
import { FLAG, FRAME, frame, PREFACE, REQUEST } from '../../support/http2-frames.js';
import type { Outcome } from './http2-calls.js';
import type { Random } from './random.js';

/** For this long a connection may stay open without a word before we close it ourselves. */
const PATIENCE_MS = 300;
const CONNECT_MS = 5000;

const opened = (...frames: Buffer[]) => Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0), ...frames]);
const repeated = (count: number, make: (index: number) => Buffer) =>
  Array.from({ length: count }, (_, index) => make(index));

/** What is written to a port that expects HTTP/2, by name. */
export const CONNECTIONS: Record<string, (random: Random) => Buffer> = {
  'nothing at all': () => Buffer.alloc(0),
  'random bytes': (random) => random.bytes(random.int(1, 1000)),
  'HTTP/1.1': () =>
    Buffer.from('POST /ssom.alert.v1.AlertService/CreateAlert HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'),
  'HTTP/1.1 upgrade': () =>
    Buffer.from(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    ),
  'TLS hello': (random) => Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), random.bytes(190)]),
  'preface cut': (random) => PREFACE.subarray(0, random.int(1, PREFACE.length - 1)),
  'preface changed': (random) => random.mutate(PREFACE),
  'preface alone': () => PREFACE,
  'garbage behind the preface': (random) => Buffer.concat([PREFACE, random.bytes(random.int(1, 500))]),
  'garbage behind the settings': (random) => opened(random.bytes(random.int(1, 500))),
  'any frame': (random) =>
    opened(
      ...repeated(random.int(1, 20), () =>
        frame(random.int(0, 12), random.int(0, 255), random.int(0, 5), random.bytes(random.int(0, 40))),
      ),
    ),
  'frame longer than allowed': (random) => opened(frame(FRAME.DATA, 0, 1, random.bytes(10), 0xffffff)),
  'frame cut': (random) => opened(frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, random.bytes(10), 200)),
  'headers that do not unpack': (random) =>
    opened(frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 1, random.bytes(random.int(1, 100)))),
  'even stream': () => opened(frame(FRAME.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 2, REQUEST)),
  'data for no stream': (random) => opened(frame(FRAME.DATA, 0, random.pick([0, 1, 77]), random.bytes(20))),
  'settings of the wrong size': (random) => opened(frame(FRAME.SETTINGS, 0, 0, random.bytes(random.pick([1, 5, 7])))),
  'settings beyond reason': () =>
    opened(frame(FRAME.SETTINGS, 0, 0, Buffer.from('0004ffffffff00050000000000020000ffff', 'hex'))),
  'window update of zero': () => opened(frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.alloc(4))),
  'window overflow': () =>
    opened(...repeated(3, () => frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from('7fffffff', 'hex')))),
  'push promise': (random) => opened(frame(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, random.bytes(20))),
  'priority of itself': () => opened(frame(FRAME.PRIORITY, 0, 1, Buffer.from('0000000110', 'hex'))),
  'flood of pings': () => opened(...repeated(2000, () => frame(FRAME.PING, 0, 0, Buffer.alloc(8)))),
  'flood of settings': () => opened(...repeated(2000, () => frame(FRAME.SETTINGS, 0, 0))),
  'rapid reset': () =>
    opened(
      ...repeated(1000, (index) =>
        Buffer.concat([
          frame(FRAME.HEADERS, FLAG.END_HEADERS, 2 * index + 1, REQUEST),
          frame(FRAME.RST_STREAM, 0, 2 * index + 1, Buffer.alloc(4)),
        ]),
      ),
    ),
  'flood of continuations': (random) =>
    opened(
      frame(FRAME.HEADERS, 0, 1, REQUEST),
      ...repeated(500, () => frame(FRAME.CONTINUATION, 0, 1, random.bytes(random.int(0, 16)))),
    ),
  'many streams left open': () =>
    opened(...repeated(300, (index) => frame(FRAME.HEADERS, FLAG.END_HEADERS, 2 * index + 1, REQUEST))),
};

/**
 * Writes to a connection and looks whether it is answered or closed. One that is left open is closed here; that the
 * server lets go of it then shows in its number of sockets at the end.
 */
export async function brokenConnection(kind: string, address: string, random: Random): Promise<Outcome> {
  const bytes = CONNECTIONS[kind]!(random);
  const [host, port] = address.split(':');
  const outcome = await new Promise<string>((resolve) => {
    const socket = net.connect({ host: host!, port: Number(port) });
    let received = 0;
    let timer = setTimeout(() => end('no connection'), CONNECT_MS);
    const end = (how: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(how);
    };
    socket.on('connect', () => {
      clearTimeout(timer);
      socket.write(bytes);
      timer = setTimeout(() => end(received > 0 ? 'answered, left open' : 'left open'), PATIENCE_MS);
    });
    socket.on('data', (data) => (received += data.length));
    socket.on('close', () => end('closed'));
    // A server that resets the connection has closed it as well.
    socket.on('error', () => end('closed'));
  });
  return { outcome, wrong: outcome === 'no connection' ? 'the port takes no connection' : undefined, input: bytes };
}
