import type { Http2Session } from 'node:http2';
import grpc from '@grpc/grpc-js';
import { AlertError } from '../../domain/errors.js';
import { streamOf } from './reset-call.js';
import { toStatus } from './status.js';

const RETRY_MS = 5000;

export interface OpenStreamsOptions {
  /** The methods that it counts, by the beginning of their path. */
  readonly prefix: string;
  readonly perConnection: number;
  readonly max: number;
  readonly onRefused: () => void;
}

/**
 * Bounds streams that need no identity, for each connection and in all. From their headers on: a client that sends
 * nothing more holds one as well.
 */
export class OpenStreams {
  readonly #sessions = new WeakMap<Http2Session, number>();
  #open = 0;

  constructor(private readonly options: OpenStreamsOptions) {}

  get open(): number {
    return this.#open;
  }

  readonly interceptor: grpc.ServerInterceptor = ({ path }, call) => {
    const { prefix, perConnection, max, onRefused } = this.options;
    const stream = path.startsWith(prefix) ? streamOf(call) : undefined;
    const session = stream?.session;
    if (session === undefined) return pass(call);
    const here = this.#sessions.get(session) ?? 0;
    if (here >= perConnection || this.#open >= max) {
      onRefused();
      const message = `at most ${perConnection} of these streams run on a connection, and ${max} in all; try again later`;
      const error = new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS', message, { retryAfterMs: RETRY_MS });
      return new grpc.ServerInterceptingCall(call, { start: () => call.sendStatus(toStatus(error)) });
    }
    this.#count(session, 1);
    stream!.once('close', () => this.#count(session, -1));
    return pass(call);
  };

  #count(session: Http2Session, change: 1 | -1): void {
    this.#open += change;
    this.#sessions.set(session, (this.#sessions.get(session) ?? 0) + change);
  }
}

/** Leaves a call as it is. */
export function pass(call: grpc.ServerInterceptingCallInterface): grpc.ServerInterceptingCall {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- grpc-js passes its own calls so
  return call as grpc.ServerInterceptingCall;
}
