import grpc from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { AlertError } from '../../domain/errors.js';
import type { Logger } from '../logging.js';
import type { Database } from '../postgres.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Tracing } from '../telemetry/tracing.js';
import type { EventLoopTurns } from '../turns.js';
import { Admission } from './admission.js';
import type { RefusedCall } from './call-origin.js';
import type { Amounts, CallerLimits } from './caller-limits.js';
import { Calls, type Guard, type StreamHandler, type UnaryHandler } from './calls.js';
import { Connections } from './connections.js';
import type { RefusedHandshake } from './handshakes.js';
import { addHealth } from './health.js';
import { type Authenticate, callerKey, type Identity } from './identity.js';
import { LargeRequests, leavingLargeUnread } from './large-requests.js';
import { OpenStreams } from './open-streams.js';
import { type Bound, Refusals } from './refusals.js';
import { RunningCalls } from './running-calls.js';

// A port that is taken is reported by listen(); grpc-js would print a line of its own as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

export interface GrpcServerDeps {
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly authenticate: Authenticate;
  /** @throws Error for a method that nobody has thought of */
  readonly guard: (path: string) => Guard;
  /** Told of each call that is answered with an AlertError. */
  readonly onRefused?: (call: RefusedCall, error: AlertError) => void;
  /** Told of each connection that is refused in its TLS handshake. */
  readonly onRefusedHandshake?: (refused: RefusedHandshake) => void;
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

/**
 * These need no identity and take 11 KB each. A client that looks after health watches each service, a tool reflects
 * once.
 */
const HEALTH_WATCHES = { prefix: '/grpc.health.v1.Health/Watch', perConnection: 20, max: 1000 };
const REFLECTIONS = { prefix: '/grpc.reflection.', perConnection: 10, max: 100 };

const ONE_REQUEST: Amounts = { requests: 1 };
/** How long the answers of calls that are cut off may take. */
const FAREWELL_MS = 200;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- grpc-js types a service by its untyped methods
type Definition = grpc.ServiceDefinition<any>;

/** A gRPC server with health and reflection, of services whose calls `Calls` serves. */
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
  readonly #calls: Calls;
  readonly #refusals = new Refusals();
  #connections: Connections | undefined;

  constructor(private readonly deps: GrpcServerDeps) {
    const { limits } = deps;
    const refused = (bound: Bound) => this.#refusals.counterOf(bound);
    const callsOf = (kind: Identity['kind']) => (subject: string) => limits.of(callerKey({ kind, subject })).calls;
    this.#callers = new RunningCalls({
      max: callsOf('service'),
      of: 'caller',
      onRefused: refused('calls_of_caller'),
    });
    this.users = new RunningCalls({ max: callsOf('user'), of: 'user', onRefused: refused('calls_of_user') });
    const callsOfKind = ({ kind }: Identity) => (kind === 'user' ? this.users : this.#callers);
    this.#large = new LargeRequests(refused('large_requests'));
    this.#watches = new OpenStreams({ ...HEALTH_WATCHES, onRefused: refused('health_watches') });
    this.#reflections = new OpenStreams({ ...REFLECTIONS, onRefused: refused('reflections') });
    this.#admission = new Admission({
      ...deps,
      isOurs: (path) => this.#services.includes(path.split('/')[1]!),
      refusal: (identity, isStream) =>
        (isStream ? undefined : callsOfKind(identity).refusal(identity.subject)) ?? limits.take(identity, ONE_REQUEST),
    });
    this.#calls = new Calls({
      ...deps,
      identityOf: (metadata) => this.#admission.identityOf(metadata),
      callsOf: callsOfKind,
      large: this.#large,
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
        ? this.#calls.stream(method.path, handler as StreamHandler<unknown, unknown>, guard)
        : this.#calls.unary(method.path, handler as UnaryHandler<unknown, unknown>, {
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
      onRefused: (bound) => this.#refusals.count(bound),
      onRefusedHandshake: (refused) => this.deps.onRefusedHandshake?.(refused),
    });
    this.#connections = connections;
    metrics.gauge('ssom.grpc.connections', 'Connections of gRPC clients.', () => connections.open);
    metrics.queue('grpc_connections', () => connections.open, connectionsMax);
    metrics.queue('health_watches', () => this.#watches.open, HEALTH_WATCHES.max);
    metrics.queue('large_requests', () => this.#large.bytes.taken, this.#large.bytes.max);
    metrics.queue('reflections', () => this.#reflections.open, REFLECTIONS.max);
    metrics.gauge('ssom.grpc.calls', 'Unary calls, and openings of streams, that run.', () => this.#calls.running);
    metrics.total('ssom.grpc.refused', 'Calls, streams and connections that were refused, by the bound.', () =>
      [...this.#refusals.counts, ...this.#overRate()].map(([bound, value]) => ({ value, attributes: { bound } })),
    );
    metrics.total('ssom.grpc.handshakes.failed', 'TLS handshakes of clients that failed, by the reason.', () =>
      [...connections.handshakes.failed].map(([reason, value]) => ({ value, attributes: { reason } })),
    );
  }

  #overRate(): [string, number][] {
    return [...this.deps.limits.refusals].map(([rate, count]) => [`${rate}_per_s`, count]);
  }

  /** Refuses calls and streams from now on; those that run go on. */
  refuseCalls(): void {
    this.#calls.refuse();
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
        this.#calls.abort();
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
}
