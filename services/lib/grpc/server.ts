import { setMaxListeners } from 'node:events';
import grpc, { type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { AlertError } from '../../domain/errors.js';
import type { Logger } from '../logging.js';
import type { Database } from '../postgres.js';
import type { Metrics } from '../telemetry/metrics.js';
import { ATTR } from '../telemetry/names.js';
import { StatementSpans } from '../telemetry/statements.js';
import { failSpan, type Span, SpanKind, traceparentOf, type Tracing } from '../telemetry/tracing.js';
import type { EventLoopTurns } from '../turns.js';
import { Admission } from './admission.js';
import { CallContext } from './call-context.js';
import { callersTraceparent, type RefusedCall } from './call-origin.js';
import type { Amounts, CallerLimits } from './caller-limits.js';
import { CONNECTION_BOUNDS, Connections } from './connections.js';
import { addHealth } from './health.js';
import { type Authenticate, callerKey, type Identity } from './identity.js';
import { LargeRequests, leavingLargeUnread, UnreadRequest } from './large-requests.js';
import { OpenStreams } from './open-streams.js';
import { RunningCalls } from './running-calls.js';
import { toStatus } from './status.js';

// A port that is taken is reported by listen(); grpc-js would print a line of its own as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

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
  /**
   * What looks, by the identity, whether a call of a method may go on, and throws an AlertError if not.
   * @throws Error for a method that nobody has thought of
   */
  readonly guard: (path: string) => (identity: Identity) => void;
  /** Told of each call that is answered with an AlertError. */
  readonly onRefused?: (call: RefusedCall, error: AlertError) => void;
  readonly database: Database;
  /** What reflection tells, in the form that @grpc/reflection reads; undefined: there is none. */
  readonly reflected: PackageDefinition | undefined;
  readonly maxMessageBytes: number;
  /** TCP connections at once, and calls and streams on each. */
  readonly connectionsMax: number;
  /** From one address; 0: as many as there are in all. */
  readonly connectionsPerAddressMax: number;
  readonly callsPerConnectionMax: number;
  /** What each caller may have. */
  readonly limits: CallerLimits;
}

export interface ServiceOptions {
  /** As how many calls a request counts, for the methods that carry many. */
  readonly weights?: Readonly<Record<string, (request: never) => number>>;
  /** What a request takes of its caller's rates besides being one. */
  readonly costs?: Readonly<Record<string, (request: never) => Amounts>>;
  /** With what a large request is refused before it is decoded, if what it needs is away. */
  readonly refusal?: () => Error | undefined;
}

interface MethodOptions {
  readonly guard: (identity: Identity) => void;
  readonly weigh: (request: never) => number;
  readonly costOf: ((request: never) => Amounts) | undefined;
  readonly refusal: () => Error | undefined;
}

/** What is bounded, so that others have room. */
const BOUNDS = [
  'calls_of_caller',
  'calls_of_user',
  'large_requests',
  'health_watches',
  'reflections',
  ...CONNECTION_BOUNDS,
] as const;
type Bound = (typeof BOUNDS)[number];
/**
 * These need no identity and take 11 KB each. A client that looks after health watches each service, a tool reflects
 * once.
 */
const HEALTH_WATCHES = { prefix: '/grpc.health.v1.Health/Watch', perConnection: 20, max: 1000 };
const REFLECTIONS = { prefix: '/grpc.reflection.', perConnection: 10, max: 100 };

type Call = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

const ONE_REQUEST: Amounts = { requests: 1 };
/** The least that a request costs which says so, for when it is not decoded yet. */
const ONE_ALERT: Amounts = { alerts: 1 };

/** What calls are refused with, or cut off, while the process ends: another instance may be asked at once. */
const shuttingDown = (message: string) =>
  new AlertError('UNAVAILABLE', 'SHUTTING_DOWN', message, { retryAfterMs: 200 });
/** How long the answers of calls that are cut off may take. */
const FAREWELL_MS = 200;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- grpc-js types a service by its untyped methods
type Definition = grpc.ServiceDefinition<any>;

/**
 * A gRPC server with health and reflection. Every handler is wrapped once: it gets the caller's identity, a span that
 * continues the caller's trace, and one translation of errors (CallContext.translate).
 */
export class GrpcServer {
  readonly #server: grpc.Server;
  readonly #health: HealthImplementation;
  readonly #services: string[] = [];
  readonly #callers: RunningCalls;
  /** Calls of each user, for those who make calls for users too. */
  readonly users: RunningCalls;
  readonly #large: LargeRequests;
  readonly #watches: OpenStreams;
  readonly #reflections: OpenStreams;
  readonly #admission: Admission;
  readonly #refusals = new Map<Bound, number>(BOUNDS.map((bound) => [bound, 0]));
  /** Of the calls that run, to be aborted when they are cut off. */
  readonly #running = new Set<AbortController>();
  #connections: Connections | undefined;
  #isEnding = false;

  constructor(private readonly deps: GrpcServerDeps) {
    const refused = (bound: Bound) => () => this.#refused(bound);
    const { limits } = deps;
    const callsOf = (kind: Identity['kind']) => (subject: string) => limits.of(callerKey({ kind, subject })).calls;
    this.#callers = new RunningCalls({
      max: callsOf('service'),
      of: 'caller',
      onRefused: refused('calls_of_caller'),
    });
    this.users = new RunningCalls({ max: callsOf('user'), of: 'user', onRefused: refused('calls_of_user') });
    this.#large = new LargeRequests(refused('large_requests'));
    this.#watches = new OpenStreams({ ...HEALTH_WATCHES, onRefused: refused('health_watches') });
    this.#reflections = new OpenStreams({ ...REFLECTIONS, onRefused: refused('reflections') });
    this.#admission = new Admission({
      ...deps,
      isOurs: (path) => this.#services.includes(path.split('/')[1]!),
      refusal: (identity, isStream) =>
        (isStream ? undefined : this.#callsOf(identity).refusal(identity.subject)) ??
        limits.take(identity, ONE_REQUEST),
    });
    this.#server = new grpc.Server({
      'grpc.max_receive_message_length': deps.maxMessageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.enable_channelz': 0,
      'grpc.max_concurrent_streams': deps.callsPerConnectionMax,
      // A peer that does not answer a ping in 20 s is gone, and its streams end.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
      interceptors: [this.#watches.interceptor, this.#reflections.interceptor, this.#admission.interceptor],
    });
    this.#health = new HealthImplementation({ '': 'NOT_SERVING' });
    addHealth(this.#server, this.#health, (service) => service === '' || this.#services.includes(service));
    if (deps.reflected !== undefined) new ReflectionService(deps.reflected).addToServer(this.#server);
  }

  #refused(bound: Bound): void {
    this.#refusals.set(bound, this.#refusals.get(bound)! + 1);
  }

  /** Adds a service; handlers by method name, all of them. */
  addService(
    definition: Definition,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a table of handlers of different types
    handlers: Record<string, UnaryHandler<any, any> | StreamHandler<any, any>>,
    { weights = {}, costs = {}, refusal = () => undefined }: ServiceOptions = {},
  ): void {
    const implementation: grpc.UntypedServiceImplementation = {};
    const methods: Record<string, Definition[string]> = {};
    for (const [name, method] of Object.entries(definition)) {
      const handler = handlers[name];
      if (handler === undefined) throw new Error(`no handler for ${method.path}`);
      const guard = this.deps.guard(method.path);
      methods[name] = method.responseStream ? method : leavingLargeUnread(method);
      implementation[name] = method.responseStream
        ? this.#stream(method.path, handler as StreamHandler<unknown, unknown>, guard)
        : this.#unary(method.path, handler as UnaryHandler<unknown, unknown>, {
            guard,
            weigh: weights[name] ?? (() => 1),
            costOf: costs[name],
            refusal,
          });
    }
    this.#server.addService(methods, implementation);
    const [first] = Object.values(definition);
    const service = first!.path.split('/')[1]!;
    this.#services.push(service);
    this.#health.setStatus(service, 'NOT_SERVING');
  }

  /** For what handlers compute of large requests, one at a time with pauses, so that others are served meanwhile. */
  get computations(): EventLoopTurns {
    return this.#large.computations;
  }

  /** Tells clients by grpc.health.v1 whether calls make sense. */
  setServing(serving: boolean): void {
    for (const service of ['', ...this.#services]) this.#health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** @returns the port that is listened on. @throws if the port is taken, naming it */
  async listen(address: string, credentials = grpc.ServerCredentials.createInsecure()): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => {
        if (error === null) {
          this.#observe();
          resolve(port);
        } else
          reject(
            new Error(
              `cannot listen on ${address} for gRPC: the port is taken or the address is not ours; set GRPC_LISTEN`,
              { cause: error },
            ),
          );
      });
    });
  }

  /** Bounds what a port brings, and shows it: a role that listens on none has nothing to show. */
  #observe(): void {
    const { connectionsMax, connectionsPerAddressMax, maxMessageBytes, metrics } = this.deps;
    const connections = new Connections(this.#server, {
      max: connectionsMax,
      perAddressMax: connectionsPerAddressMax,
      maxMessageBytes,
      onRefused: (bound) => this.#refused(bound),
    });
    this.#connections = connections;
    metrics.gauge('ssom.grpc.connections', 'Connections of gRPC clients.', () => connections.open);
    metrics.queue('grpc_connections', () => connections.open, connectionsMax);
    metrics.queue('health_watches', () => this.#watches.open, HEALTH_WATCHES.max);
    metrics.queue('large_requests', () => this.#large.bytes.taken, this.#large.bytes.max);
    metrics.queue('reflections', () => this.#reflections.open, REFLECTIONS.max);
    metrics.gauge('ssom.grpc.calls', 'Unary calls, and openings of streams, that run.', () => this.#running.size);
    metrics.total('ssom.grpc.refused', 'Calls, streams and connections that were refused, by the bound.', () =>
      [...this.#refusals, ...this.#overRate()].map(([bound, value]) => ({ value, attributes: { bound } })),
    );
  }

  #overRate(): [string, number][] {
    return [...this.deps.limits.refusals].map(([rate, count]) => [`${rate}_per_s`, count]);
  }

  /** Refuses calls and streams from now on; those that run go on. */
  refuseCalls(): void {
    this.#isEnding = true;
    this.setServing(false);
  }

  /**
   * Lets running calls finish for up to `graceMs`, then cuts them off. Streams must have been ended before.
   * @param onGraceOver ends what calls wait for, before they are cut off
   */
  async shutdown(graceMs: number, onGraceOver: () => void): Promise<void> {
    this.refuseCalls();
    this.#connections?.close();
    await new Promise<void>((resolve) => {
      let timer = setTimeout(() => {
        onGraceOver();
        const reason = shuttingDown('this server shuts down, and the call took longer than it may; try again');
        for (const running of this.#running) running.abort(reason);
        timer = setTimeout(() => {
          this.#server.forceShutdown();
          resolve();
        }, FAREWELL_MS);
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #unary(
    path: string,
    handler: UnaryHandler<unknown, unknown>,
    options: MethodOptions,
  ): grpc.handleUnaryCall<unknown, unknown> {
    return (call, callback) => {
      const started = performance.now();
      const running = this.#begin(call);
      const context = this.#open(path, call, running.signal);
      const finish = (status: grpc.status) => {
        this.#running.delete(running);
        this.deps.metrics.rpc(path, status, performance.now() - started);
      };
      if (context instanceof AlertError) {
        finish(toStatus(context).code);
        return callback(toStatus(context));
      }
      this.#serve(context, call.request, options, (request) => handler(request, context)).then(
        (response) => {
          succeed(context.span);
          finish(grpc.status.OK);
          callback(null, response);
        },
        (error: Error) => {
          const status = this.#failed(error, context);
          finish(status.code);
          callback(status);
        },
      );
    };
  }

  #callsOf({ kind }: Identity): RunningCalls {
    return kind === 'user' ? this.users : this.#callers;
  }

  async #serve<T>(
    context: CallContext,
    given: unknown,
    { guard, weigh, costOf, refusal }: MethodOptions,
    work: (request: unknown) => Promise<T>,
  ): Promise<T> {
    const { identity, signal } = context;
    const { limits } = this.deps;
    guard(identity);
    const serve = (request: unknown) =>
      this.#bounded(context, weigh(request as never), () => {
        const refused = costOf === undefined ? undefined : limits.take(identity, costOf(request as never));
        if (refused !== undefined) throw refused;
        return work(request);
      });
    if (!(given instanceof UnreadRequest)) return serve(given);
    const refused = () => refusal() ?? (costOf === undefined ? undefined : limits.refusal(identity, ONE_ALERT));
    return this.#large.run(callerKey(identity), given, signal, serve, refused);
  }

  /** Runs a call, unless its caller has as many running as it may. */
  async #bounded<T>({ identity }: CallContext, weight: number, work: () => Promise<T>): Promise<T> {
    const leave = this.#callsOf(identity).enter(identity.subject, weight);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  #stream(
    path: string,
    handler: StreamHandler<unknown, unknown>,
    guard: (identity: Identity) => void,
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
          () => succeed(context.span),
          (error: Error) => call.emit('error', this.#failed(error, context)),
        )
        .finally(() => this.#running.delete(running));
    };
  }

  /** What a call that failed ends with. */
  #failed(error: Error, context: CallContext) {
    if (error instanceof AlertError) this.deps.onRefused?.(context.refused, error);
    return statusOf(error, context);
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
    const { tracing } = this.deps;
    if (this.#isEnding) return shuttingDown('this server shuts down; try again');
    const identity = this.#admission.identityOf(call.metadata);
    if (identity === undefined)
      return new AlertError('UNAUTHENTICATED', 'NO_IDENTITY', 'the caller could not be identified');
    const peer = call.getPeer();
    const { metadata } = call;
    if (!tracing.enabled) return new CallContext(path, identity, peer, metadata, signal, this.deps);
    const method = path.slice(1);
    const span = tracing.startCall(method, {
      kind: SpanKind.SERVER,
      parent: callersTraceparent(call.metadata),
      attributes: { [ATTR.rpcSystem]: 'grpc', [ATTR.rpcMethod]: method },
    });
    const traceparent = traceparentOf(span);
    const statements = span.isRecording() ? new StatementSpans(tracing, traceparent) : undefined;
    return new CallContext(path, identity, peer, metadata, signal, this.deps, span, traceparent, statements);
  }
}

/** What a call that failed ends with; its span ends as well. */
function statusOf(error: Error, call: CallContext) {
  const status = toStatus(call.translate(error));
  const { span } = call;
  if (span?.isRecording() === true) {
    span.setAttribute(ATTR.rpcStatus, grpc.status[status.code]);
    if (SERVER_ERRORS.has(status.code)) failSpan(span, error);
    else span.end();
  }
  return status;
}

function succeed(span: Span | undefined): void {
  if (span?.isRecording() !== true) return;
  span.setAttribute(ATTR.rpcStatus, 'OK');
  span.end();
}
