// StreamAlerts by hand over HTTP/2: cheap enough for tens of thousands in one process, and in full command of its
// connections.
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { api } from '../../../services/api/protos.js';
import type { StreamAlertsRequest } from '../../../services/gen/types.js';

const { path, requestSerialize } = api.AlertStreamService.service.StreamAlerts;
const PREFIX = 5;

/** A connection that carries many streams. */
export class Connection {
  readonly session: ClientHttp2Session;
  readonly socket: Socket;
  streams = 0;

  constructor(readonly address: string) {
    const at = address.lastIndexOf(':');
    this.socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
    this.session = http2.connect(`http://${address}`, { createConnection: () => this.socket });
    this.session.setMaxListeners(0);
    this.session.on('error', () => undefined);
  }

  get usable(): boolean {
    return !this.session.closed && !this.session.destroyed;
  }

  /** Its other end sees a reset, as after a crash. */
  cut(): void {
    this.socket.resetAndDestroy();
    this.session.destroy();
  }

  /** Sends the end of what we say, and nothing that gRPC knows of. */
  halfClose(): void {
    this.socket.end();
  }

  close(): void {
    this.session.destroy();
  }
}

/** Streams to one address, so many on each connection. */
export class Connections {
  readonly #connections: Connection[] = [];

  constructor(
    private readonly address: string,
    private readonly perConnection: number,
  ) {}

  /** The connection for one more stream. */
  next(): Connection {
    let last = this.#connections.at(-1);
    if (last === undefined || !last.usable || last.streams >= this.perConnection) {
      last = new Connection(this.address);
      this.#connections.push(last);
    }
    last.streams += 1;
    return last;
  }
}

export interface StreamListener {
  response(message: Buffer): void;
  /** @param status of gRPC; undefined if the connection or the stream broke */
  ended(status: number | undefined): void;
}

/** @param unfinished the request's end is not sent */
export function openStream(
  connection: Connection,
  userId: string,
  request: StreamAlertsRequest,
  listener: StreamListener,
  unfinished = false,
): ClientHttp2Stream {
  const stream = connection.session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'x-user-id': userId,
  });
  let status: number | undefined;
  const note = (headers: http2.IncomingHttpHeaders) => {
    const code = headers['grpc-status'];
    if (code !== undefined) status = Number(code);
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('data', messageReader(listener));
  stream.on('error', () => undefined);
  stream.on('close', () => listener.ended(status));
  const body = framed(requestSerialize(request));
  if (unfinished) stream.write(body);
  else stream.end(body);
  return stream;
}

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(PREFIX + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX);
  return bytes;
}

/** Puts messages together from what the frames bring. */
function messageReader({ response }: StreamListener): (chunk: Buffer) => void {
  let rest: Buffer | undefined;
  return (chunk) => {
    let bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    while (bytes.length >= PREFIX) {
      const end = PREFIX + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      response(bytes.subarray(PREFIX, end));
      bytes = bytes.subarray(end);
    }
    rest = bytes.length === 0 ? undefined : bytes;
  };
}
