import grpc, { type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { AlertError } from '../../domain/errors.js';
import { judgeDatabaseError } from '../postgres-errors.js';
import type { StatementObserver } from '../postgres.js';
import type { Logger } from '../logging.js';
import type { Metrics } from '../telemetry/metrics.js';
import { ATTR, TRACEPARENT } from '../telemetry/names.js';
import { StatementSpans } from '../telemetry/statements.js';
import {
  failSpan,
  SpanKind,
  traceIdOf,
  traceparentOf,
  validTraceparent,
  type Span,
  type Tracing,
} from '../telemetry/tracing.js';
import { databaseStatus } from './database-status.js';
import type { Authenticate, Identity } from './identity.js';
import { reflectedFiles } from './reflection.js';
import { toStatus } from './status.js';

// A port that is taken is reported by listen(); grpc-js would print a line of its own as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** What a handler knows of its call besides the request. */
export interface CallContext {
  readonly identity: Identity;
  /** Makes spans children of this call; undefined while tracing is off. */
  readonly traceparent: string | undefined;
  readonly span: Span | undefined;
  /** For the database, so that its statements are seen below this call; undefined while the call is not recorded. */
  readonly statements: StatementObserver | undefined;
  /** Aborts when nobody waits for the answer any more: the client has gone, or its deadline is over. */
  readonly signal: AbortSignal;
}

/** Codes that say that we failed; the others are the caller's business and no errors of a server's span. */
const SERVER_ERRORS: ReadonlySet<grpc.status> = new Set([
  grpc.status.UNKNOWN,
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.UNIMPLEMENTED,
  grpc.status.INTERNAL,
  grpc.status.UNAVAILABLE,
  grpc.status.DATA_LOSS,
]);

export type UnaryHandler<Request, Response> = (request: Request, call: CallContext) => Promise<Response>;
export type StreamHandler<Request, Response> = (
  call: ServerWritableStream<Request, Response>,
  context: CallContext,
) => void | Promise<void>;

export interface GrpcServerDeps {
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly authenticate: Authenticate;
  readonly maxMessageBytes: number;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- grpc-js types a service by its untyped methods
type Definition = grpc.ServiceDefinition<any>;

/**
 * A gRPC server with health and reflection. Every handler is wrapped once: it gets the caller's identity, a span that
 * continues the caller's trace, and one translation of errors.
 */
export class GrpcServer {
  readonly #server: grpc.Server;
  readonly #health: HealthImplementation;
  readonly #services: string[] = [];

  constructor(private readonly deps: GrpcServerDeps) {
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': deps.maxMessageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.enable_channelz': 0,
      // A peer that does not answer a ping in 20 s is gone, and its streams end.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
    });
    this.#health = new HealthImplementation({ '': 'NOT_SERVING' });
    this.#health.addToServer(this.#server);
    new ReflectionService(reflectedFiles()).addToServer(this.#server);
  }

  /** Adds a service; handlers by method name, all of them. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a table of handlers of different types
  addService(definition: Definition, handlers: Record<string, UnaryHandler<any, any> | StreamHandler<any, any>>): void {
    const implementation: grpc.UntypedServiceImplementation = {};
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name];
      if (handler === undefined) throw new Error(`no handler for ${method.path}`);
      implementation[name] = method.responseStream
        ? this.#stream(method.path, handler as StreamHandler<unknown, unknown>)
        : this.#unary(method.path, handler as UnaryHandler<unknown, unknown>);
    }
    this.#server.addService(definition, implementation);
    const [first] = Object.values(definition);
    this.#services.push(first!.path.split('/')[1]!);
  }

  /** Tells clients by grpc.health.v1 whether calls make sense. */
  setServing(serving: boolean): void {
    for (const service of ['', ...this.#services]) this.#health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** @returns the port that is listened on. @throws if the port is taken, naming it */
  async listen(address: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else
          reject(
            new Error(
              `cannot listen on ${address} for gRPC: the port is taken or the address is not ours; set GRPC_LISTEN`,
              { cause: error },
            ),
          );
      });
    });
  }

  /** Lets running calls finish for up to `graceMs`, then cuts them off. Streams must have been ended before. */
  async shutdown(graceMs: number): Promise<void> {
    this.setServing(false);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #unary(path: string, handler: UnaryHandler<unknown, unknown>): grpc.handleUnaryCall<unknown, unknown> {
    return (call, callback) => {
      const started = performance.now();
      const context = this.#open(path, call);
      const finish = (status: grpc.status) => this.deps.metrics.rpc(path, status, performance.now() - started);
      if (context instanceof AlertError) {
        finish(toStatus(context).code);
        return callback(toStatus(context));
      }
      handler(call.request, context).then(
        (response) => {
          succeed(context.span);
          finish(grpc.status.OK);
          callback(null, response);
        },
        (error: Error) => {
          const status = this.#fail(path, error, context.span);
          finish(status.code);
          callback(status);
        },
      );
    };
  }

  #stream(path: string, handler: StreamHandler<unknown, unknown>): grpc.handleServerStreamingCall<unknown, unknown> {
    return (call) => {
      const fail = (error: Error, span?: Span) => {
        const { code, details, metadata } = this.#fail(path, error, span);
        call.emit('error', { code, details, metadata });
      };
      const context = this.#open(path, call);
      if (context instanceof AlertError) return fail(context);
      // The span of a stream is its opening: a stream may live for days.
      Promise.resolve(handler(call, context)).then(
        () => succeed(context.span),
        (error: Error) => fail(error, context.span),
      );
    };
  }

  #open(
    path: string,
    call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
  ): CallContext | AlertError {
    const { tracing, authenticate } = this.deps;
    try {
      const identity = authenticate(call.metadata);
      const gone = new AbortController();
      call.once('cancelled', () => gone.abort());
      const { signal } = gone;
      if (!tracing.enabled) return { identity, span: undefined, traceparent: undefined, statements: undefined, signal };
      const method = path.slice(1);
      const span = tracing.startCall(method, {
        kind: SpanKind.SERVER,
        parent: callersTraceparent(call.metadata),
        attributes: { [ATTR.rpcSystem]: 'grpc', [ATTR.rpcMethod]: method },
      });
      const traceparent = traceparentOf(span);
      const statements = span.isRecording() ? new StatementSpans(tracing, traceparent) : undefined;
      return { identity, span, traceparent, statements, signal };
    } catch (error) {
      if (error instanceof AlertError) return error;
      this.deps.logger.error({ method: path, err: error }, 'a caller could not be identified');
      return new AlertError('UNAUTHENTICATED', 'NO_IDENTITY', 'the caller could not be identified');
    }
  }

  #fail(path: string, error: Error, span: Span | undefined) {
    const status = this.#statusOf(path, error, traceIdOf(traceparentOf(span)));
    if (span?.isRecording() === true) {
      span.setAttribute(ATTR.rpcStatus, grpc.status[status.code]);
      if (SERVER_ERRORS.has(status.code)) failSpan(span, error);
      else span.end();
    }
    return status;
  }

  #statusOf(path: string, error: Error, traceId: string | undefined) {
    if (error instanceof AlertError) return toStatus(error);
    const refusal = databaseStatus(error);
    if (refusal !== undefined) {
      if (refusal.canRetry) {
        const { reason } = judgeDatabaseError(error)!;
        this.deps.logger.warn(
          { method: path, trace_id: traceId, err: error, reason },
          'the database could not do it now',
        );
      }
      return toStatus(refusal);
    }
    // What we did not foresee is logged whole, and the caller learns nothing of our insides.
    this.deps.logger.error({ method: path, trace_id: traceId, err: error }, 'a call failed unexpectedly');
    return { code: grpc.status.INTERNAL, details: 'internal error', metadata: new grpc.Metadata() };
  }
}

/** What a caller says of its trace; nothing if it says it twice, or in a way that nobody understands. */
function callersTraceparent(metadata: grpc.Metadata): string | undefined {
  const values = metadata.get(TRACEPARENT);
  return values.length === 1 ? validTraceparent(values[0]!.toString()) : undefined;
}

function succeed(span: Span | undefined): void {
  if (span?.isRecording() !== true) return;
  span.setAttribute(ATTR.rpcStatus, 'OK');
  span.end();
}
