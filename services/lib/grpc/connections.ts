import http2, {
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Server } from '@grpc/grpc-js';
import { Handshakes, type RefusedHandshake } from './handshakes.js';

/** What of a connection is bounded. */
export const CONNECTION_BOUNDS = [
  'connections',
  'connections_of_address',
  'handshakes',
  'slow_requests',
  'resets',
  'frames',
  'protocol',
] as const;
export type ConnectionBound = (typeof CONNECTION_BOUNDS)[number];

export interface ConnectionsOptions {
  readonly max: number;
  /** From one remote address; 0: as many as there are in all. */
  readonly perAddressMax: number;
  /** A request that is no larger has room. */
  readonly maxMessageBytes: number;
  /** From the connection, or from TLS, to the client's first SETTINGS frame; default 10 s. */
  readonly handshakeMs?: number;
  /** From a call's headers to the end of its request; default 20 s. */
  readonly requestMs?: number;
  readonly onRefused: (bound: ConnectionBound) => void;
  readonly onRefusedHandshake: (refused: RefusedHandshake) => void;
}

export const HANDSHAKE_MS = 10_000;
const REQUEST_MS = 20_000;
/** Reflection asks and is answered on one stream, as long as its client likes (server.ts bounds it). */
const CONVERSATIONS = '/grpc.reflection.';
/**
 * Calls that a client takes back on one connection: so many at once, and a second. nghttp2 takes 1,000 and 33 of any
 * age, and sends GOAWAY (CVE-2023-44487). Node 20 cannot change that.
 */
const RESETS_MAX = 800;
const RESETS_PER_S = 30;
/** Who has sent a whole request and waited longer met a deadline, or we ended the call: neither is a flood. */
const WAITED_MS = 1000;
/**
 * Bytes of one connection that are no requests, at once and a second: PING, SETTINGS, WINDOW_UPDATE and what nobody
 * knows. The client of 100,000 alerts a second sends a tenth of it.
 */
const OTHER_BYTES_MAX = 1_048_576;
const OTHER_BYTES_PER_S = 131_072;
/** Beyond its message a request has headers and frames. */
const HEADERS_BYTES = 65_536;
/** What nghttp2 and Node end: a thousand PINGs or SETTINGS unanswered, or empty DATA; endless headers; no HTTP/2. */
const PROTOCOL_ERRORS: ReadonlySet<string> = new Set(['ERR_HTTP2_ERROR', 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES']);
const LOOK_MS = 1000;
/** Connections that are looked at in one go, some 2 ms. */
const LOOK_AT_ONCE = 1000;

/** What is known of one connection. */
interface Session {
  readonly socket: Socket;
  /** Calls whose request has not come whole, the oldest first, with when they began by performance.now(). */
  readonly receiving: Map<ServerHttp2Stream, number>;
  /** Requests of which bytes may have come since the last look: those begun since, and those that were not whole. */
  requests: number;
  resets: number;
  bytesRead: number;
  otherBytesLeft: number;
}

interface Listeners {
  readonly http2Servers: ReadonlyMap<Http2Server, { readonly sessions: ReadonlySet<unknown> }>;
}

/**
 * Bounds what the connections of a server that listens take: their number, and what each does besides calls. grpc-js
 * has no public way to what it listens with, which are HTTP/2 servers of Node.
 */
export class Connections {
  /** Those of TLS. */
  readonly handshakes: Handshakes;
  readonly #listeners: Listeners['http2Servers'];
  readonly #ofAddress = new Map<string, number>();
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  readonly #looking: NodeJS.Timeout;
  #lookedAt = performance.now();

  constructor(
    server: Server,
    private readonly options: ConnectionsOptions,
  ) {
    this.handshakes = new Handshakes(options.onRefusedHandshake);
    this.#listeners = (server as unknown as Listeners).http2Servers;
    for (const listener of this.#listeners.keys()) this.#bound(listener);
    this.#looking = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  /** How many there are. */
  get open(): number {
    return [...this.#listeners.values()].reduce((sum, { sessions }) => sum + sessions.size, 0);
  }

  close(): void {
    clearInterval(this.#looking);
  }

  #bound(listener: Http2Server): void {
    const { max, onRefused } = this.options;
    listener.maxConnections = max;
    listener.on('drop', () => onRefused('connections'));
    listener.on('connection', (socket: Socket) => this.#count(socket));
    this.handshakes.watch(listener);
    // TLS has its own time for the handshake (tls-files.ts).
    listener.on('tlsClientError', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') onRefused('handshakes');
    });
    listener.on('session', (session) => this.#begin(session));
    listener.on('stream', (stream, headers) => this.#receive(stream, headers));
    listener.on('sessionError', ({ code = '' }: NodeJS.ErrnoException) => {
      if (PROTOCOL_ERRORS.has(code)) onRefused('protocol');
    });
  }

  #count(socket: Socket): void {
    const { perAddressMax, onRefused } = this.options;
    const { remoteAddress } = socket;
    if (perAddressMax === 0 || remoteAddress === undefined) return;
    const count = (this.#ofAddress.get(remoteAddress) ?? 0) + 1;
    if (count > perAddressMax) {
      onRefused('connections_of_address');
      socket.destroy();
      return;
    }
    this.#ofAddress.set(remoteAddress, count);
    socket.once('close', () => {
      const left = this.#ofAddress.get(remoteAddress)! - 1;
      if (left > 0) this.#ofAddress.set(remoteAddress, left);
      else this.#ofAddress.delete(remoteAddress);
    });
  }

  #begin(session: ServerHttp2Session): void {
    const { handshakeMs = HANDSHAKE_MS } = this.options;
    const silent = setTimeout(() => this.#cut(session, 'handshakes'), handshakeMs).unref();
    session.once('remoteSettings', () => clearTimeout(silent));
    session.once('close', () => {
      clearTimeout(silent);
      this.#sessions.delete(session);
    });
    this.#sessions.set(session, {
      socket: session.socket,
      receiving: new Map(),
      requests: 0,
      resets: 0,
      bytesRead: 0,
      otherBytesLeft: OTHER_BYTES_MAX,
    });
  }

  #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const session = stream.session as ServerHttp2Session | undefined;
    const known = session === undefined ? undefined : this.#sessions.get(session);
    if (known === undefined) return;
    known.requests += 1;
    const since = performance.now();
    stream.once('close', () => {
      const isWhole = !known.receiving.delete(stream);
      if (stream.rstCode === http2.constants.NGHTTP2_NO_ERROR) return;
      if (isWhole && performance.now() - since > WAITED_MS) return;
      known.resets += 1;
      if (known.resets > RESETS_MAX) this.#cut(session!, 'resets');
    });
    if (headers[':path']?.startsWith(CONVERSATIONS)) return;
    known.receiving.set(stream, since);
    // One that is taken back ends too.
    stream.once('end', () => {
      if (!stream.closed) known.receiving.delete(stream);
    });
  }

  async #look(): Promise<void> {
    const now = performance.now();
    const seconds = (now - this.#lookedAt) / 1000;
    this.#lookedAt = now;
    let looked = 0;
    for (const [session, known] of this.#sessions) {
      this.#lookAt(session, known, now, seconds);
      looked += 1;
      if (looked % LOOK_AT_ONCE === 0) await turn();
    }
  }

  #lookAt(session: ServerHttp2Session, known: Session, now: number, seconds: number): void {
    if (session.destroyed) return;
    const { maxMessageBytes, requestMs = REQUEST_MS } = this.options;
    for (const [stream, since] of known.receiving) {
      if (now - since < requestMs) break;
      this.options.onRefused('slow_requests');
      known.receiving.delete(stream);
      stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    known.resets = Math.max(0, known.resets - RESETS_PER_S * seconds);
    const { bytesRead } = known.socket;
    const ofRequests = known.requests * (maxMessageBytes + HEADERS_BYTES);
    const others = Math.max(0, bytesRead - known.bytesRead - ofRequests);
    known.otherBytesLeft = Math.min(OTHER_BYTES_MAX, known.otherBytesLeft + OTHER_BYTES_PER_S * seconds) - others;
    known.bytesRead = bytesRead;
    known.requests = known.receiving.size;
    if (known.otherBytesLeft < 0) this.#cut(session, 'frames');
  }

  /** Ends a connection. Its client hears ENHANCE_YOUR_CALM, unless it has sent more than it waits to hear. */
  #cut(session: ServerHttp2Session, bound: ConnectionBound): void {
    if (!this.#sessions.delete(session)) return;
    this.options.onRefused(bound);
    // Never within an event of the session: nghttp2 may be reading from it, and would go on in freed memory.
    const end = () => session.destroy(new Error(`bounded: ${bound}`), http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    setImmediate(end);
  }
}
