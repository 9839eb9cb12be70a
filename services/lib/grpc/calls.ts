import { setMaxListeners } from 'node:events';
import type grpc from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { AlertError } from '../../domain/errors.js';
import type { Logger } from '../logging.js';
import type { Database } from '../postgres.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Tracing } from '../telemetry/tracing.js';
import { CallContext } from './call-context.js';
import type { RefusedCall } from './call-origin.js';
import { endCallSpan, failCallSpan, startCallSpan } from './call-span.js';
import type { Amounts, CallerLimits } from './caller-limits.js';
import { callerKey, type Identity } from './identity.js';
import { type LargeRequests, UnreadRequest } from './large-requests.js';
import type { RunningCalls } from './running-calls.js';
import { toStatus } from './status.js';

export type UnaryHandler<Request, Response> = (request: Request, call: CallContext) => Promise<Response>;
export type StreamHandler<Request, Response> = (
  call: grpc.ServerWritableStream<Request, Response>,
  context: CallContext,
) => void | Promise<void>;

/** What looks, by the identity, whether a call of a method may go on, and throws an AlertError if not. */
export type Guard = (identity: Identity) => void;

export interface CallsDeps {
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly limits: CallerLimits;
  /** Told of each call that is answered with an AlertError. */
  readonly onRefused?: (call: RefusedCall, error: AlertError) => void;
  /** Of a call that was let in. */
  readonly identityOf: (metadata: grpc.Metadata) => Identity | undefined;
  /** Those of its kind: of services, or of users. */
  readonly callsOf: (identity: Identity) => RunningCalls;
  readonly large: LargeRequests;
}

export interface MethodOptions {
  readonly guard: Guard;
  /** As how many calls a request counts. */
  readonly weigh: (request: never) => number;
  /** What a request takes of its caller's rates besides being one. */
  readonly costOf: ((request: never) => Amounts) | undefined;
  /** With what a large request is refused before it is decoded, if what it needs is away. */
  readonly refusal: () => Error | undefined;
}

type Call = grpc.ServerUnaryCall<unknown, unknown> | grpc.ServerWritableStream<unknown, unknown>;

/** The least that a request costs which says so, for when it is not decoded yet. */
const ONE_ALERT: Amounts = { alerts: 1 };

/** What calls are refused with, or cut off, while the process ends: another instance may be asked at once. */
const shuttingDown = (message: string) =>
  new AlertError('UNAVAILABLE', 'SHUTTING_DOWN', message, { retryAfterMs: 200 });

/**
 * Wraps each handler once: it gets the caller's identity, a span that continues the caller's trace, its bounds, and one
 * translation of errors (CallContext.translate).
 */
export class Calls {
  /** Of the calls that run, to be aborted when they are cut off. */
  readonly #running = new Set<AbortController>();
  #isEnding = false;

  constructor(private readonly deps: CallsDeps) {}

  /** How many unary calls, and openings of streams, run. */
  get running(): number {
    return this.#running.size;
  }

  /** Refuses those that come from now on. */
  refuse(): void {
    this.#isEnding = true;
  }

  /** Cuts off those that run. */
  abort(): void {
    const reason = shuttingDown('this server shuts down, and the call took longer than it may; try again');
    for (const running of this.#running) running.abort(reason);
  }

  unary(
    path: string,
    handler: UnaryHandler<unknown, unknown>,
    options: MethodOptions,
  ): grpc.handleUnaryCall<unknown, unknown> {
    return (call, callback) => {
      const started = performance.now();
      const running = this.#begin(call);
      const context = this.#open(path, call, running.signal);
      const finish = (code: status) => {
        this.#running.delete(running);
        this.deps.metrics.rpc(path, code, performance.now() - started);
      };
      if (context instanceof AlertError) {
        finish(toStatus(context).code);
        return callback(toStatus(context));
      }
      this.#serve(context, call.request, options, (request) => handler(request, context)).then(
        (response) => {
          endCallSpan(context.span);
          finish(status.OK);
          callback(null, response);
        },
        (error: Error) => {
          const failed = this.#failed(error, context);
          finish(failed.code);
          callback(failed);
        },
      );
    };
  }

  stream(
    path: string,
    handler: StreamHandler<unknown, unknown>,
    guard: Guard,
  ): grpc.handleServerStreamingCall<unknown, unknown> {
    return (call) => {
      const running = this.#begin(call);
      const context = this.#open(path, call, running.signal);
      if (context instanceof AlertError) {
        this.#running.delete(running);
        return void call.emit('error', toStatus(context));
      }
      // The span of a stream is its opening: a stream may live for days.
      const opened = async () => {
        guard(context.identity);
        await handler(call, context);
      };
      opened()
        .then(
          () => endCallSpan(context.span),
          (error: Error) => call.emit('error', this.#failed(error, context)),
        )
        .finally(() => this.#running.delete(running));
    };
  }

  async #serve<T>(
    context: CallContext,
    given: unknown,
    { guard, weigh, costOf, refusal }: MethodOptions,
    work: (request: unknown) => Promise<T>,
  ): Promise<T> {
    const { identity, signal } = context;
    const { limits, large } = this.deps;
    guard(identity);
    const serve = (request: unknown) =>
      this.#bounded(context, weigh(request as never), () => {
        const refused = costOf === undefined ? undefined : limits.take(identity, costOf(request as never));
        if (refused !== undefined) throw refused;
        return work(request);
      });
    if (!(given instanceof UnreadRequest)) return serve(given);
    const refused = () => refusal() ?? (costOf === undefined ? undefined : limits.refusal(identity, ONE_ALERT));
    return large.run(callerKey(identity), given, signal, serve, refused);
  }

  /** Runs a call, unless its caller has as many running as it may. */
  async #bounded<T>({ identity }: CallContext, weight: number, work: () => Promise<T>): Promise<T> {
    const leave = this.deps.callsOf(identity).enter(identity.subject, weight);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** What a call that failed ends with; its span ends as well. */
  #failed(error: Error, context: CallContext) {
    if (error instanceof AlertError) this.deps.onRefused?.(context.refused, error);
    const failed = toStatus(context.translate(error));
    failCallSpan(context.span, failed.code, error);
    return failed;
  }

  /** What ends when nobody waits for the call any more. */
  #begin(call: Call): AbortController {
    const running = new AbortController();
    // Each item of a batch listens.
    setMaxListeners(0, running.signal);
    this.#running.add(running);
    const gone = () => new AlertError('CANCELLED', 'CALL_ENDED', 'the caller has gone, or its deadline is over');
    // Also fires after an answer, when nobody listens any more.
    call.once('cancelled', () => this.#running.has(running) && running.abort(gone()));
    return running;
  }

  #open(path: string, call: Call, signal: AbortSignal): CallContext | AlertError {
    if (this.#isEnding) return shuttingDown('this server shuts down; try again');
    const { metadata } = call;
    const identity = this.deps.identityOf(metadata);
    if (identity === undefined)
      return new AlertError('UNAUTHENTICATED', 'NO_IDENTITY', 'the caller could not be identified');
    const { span, traceparent, statements } = startCallSpan(this.deps.tracing, path, metadata) ?? {};
    return new CallContext(path, identity, call.getPeer(), metadata, signal, this.deps, span, traceparent, statements);
  }
}
