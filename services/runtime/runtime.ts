import { devIdentity, jwtIdentity } from '../api/access.js';
import { reflectedFiles } from '../api/reflection.js';
import { requireOneOf, SCOPES, scopesOf } from '../api/scopes.js';
import type { Events } from '../events/events.js';
import { broadcastGroup, GROUP_ROLES, groupOf, type GroupRole } from '../events/groups.js';
import { CertificateIdentities } from '../lib/auth/certificate-identities.js';
import { readServiceRules, words } from '../lib/auth/claims.js';
import { JwtVerifier, VERIFYING_MAX } from '../lib/auth/jwt.js';
import type { Breaker } from '../lib/breaker.js';
import { riskOfDatabaseUrl } from '../lib/config/database-url.js';
import type { Config } from '../lib/config/load.js';
import { CallerLimits, type CallerLimitsOptions } from '../lib/grpc/caller-limits.js';
import type { Identity } from '../lib/grpc/identity.js';
import { GrpcServer } from '../lib/grpc/server.js';
import { type HttpEndpoint, startHttp } from '../lib/http.js';
import type { Brokers } from '../lib/kafka/client-config.js';
import type { Consumer, ConsumerOptions, IncomingRecord } from '../lib/kafka/consumer.js';
import type { Producer } from '../lib/kafka/producer.js';
import { riskOfKafka } from '../lib/kafka/security-settings.js';
import type { Triage } from '../lib/kafka/triage.js';
import { Closers } from '../lib/lifecycle.js';
import { createLogger, type Logger } from '../lib/logging.js';
import { Database } from '../lib/postgres.js';
import { whatToMend } from '../lib/postgres-errors.js';
import { RegistryClient, registryOptions, riskOfRegistry } from '../lib/registry/client.js';
import { withTimeout } from '../lib/retry.js';
import { Metrics } from '../lib/telemetry/metrics.js';
import { metricsSender } from '../lib/telemetry/metrics-sender.js';
import { resourceOf } from '../lib/telemetry/resource.js';
import { Tracing } from '../lib/telemetry/tracing.js';
import { requireGrants } from '../store/database-users.js';
import { migrate } from '../store/migrate.js';
import { Alarms, type Stage } from './alarms.js';
import { Breakers } from './breakers.js';
import { Jobs } from './jobs.js';
import { KafkaClients, type Publish, type Publishing } from './kafka-clients.js';
import { countRetries, observePool, observeReadiness, observeSpans } from './observe.js';
import { Refused, RoleReadiness } from './readiness.js';
import { RefusedAttempts } from './refused-attempts.js';
import { type Identify, Triages } from './triages.js';

export type { Publish, Publishing } from './kafka-clients.js';

/** How long a role that starts asks for tables that others hold, before it says so and tries again. */
const SET_UP_MS = 3000;

/** Where the three things outside are. */
export interface Backends {
  readonly databaseUrl: string;
  readonly brokers: Brokers;
  readonly registryUrl: string;
}

/** What has to be waited for. */
interface MadeBefore {
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly limits: CallerLimits;
  readonly certificates: CertificateIdentities | undefined;
}

export interface RuntimeOptions {
  readonly logger?: Logger;
  /** What this role wants but can do without: its absence shows in /readyz and leaves the role ready. */
  readonly optional?: readonly string[];
  /** Those that run on it, if there are several. */
  readonly roles?: readonly string[];
  /** A test's way to have publishing fail: what every producer is replaced by. */
  readonly wrapProducer?: (producer: Producer) => Producer;
}

/** What a part of a role takes of the runtime, by name: so one sees what it needs, and a test gives it that. */
export type RuntimeParts<Name extends keyof Runtime> = Pick<Runtime, Name>;

const PROBE_INTERVAL_MS = 2000;
/** Whether the account of who did what can be written. */
const ACCOUNT = 'account';
const GRANTS_INTERVAL_MS = 10_000;

/**
 * What every role stands on: logger, telemetry, database, Kafka and the two servers. It is made without waiting for
 * anything; `database` fails quickly while PostgreSQL is away, and `publishing` is waited for by those who need it.
 */
export class Runtime {
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly alarms: Alarms;
  /** For what somebody waits for, or what streams and inboxes need now: quick statements. */
  readonly database: Database;
  /** For what takes long, waits for locks, or comes in great number, on connections of its own. */
  readonly bulkDatabase: Database;
  readonly grpc: GrpcServer;
  readonly registry: RegistryClient;
  readonly jobs: Jobs;
  /** What callers may have at this process. */
  readonly limits: CallerLimits;
  readonly #closers: Closers;
  readonly #readiness: RoleReadiness;
  readonly #verifier: JwtVerifier | undefined;
  readonly #certificates: CertificateIdentities | undefined;
  readonly #breakers: Breakers;
  readonly #kafka: KafkaClients;
  readonly #triages: Triages;
  #databaseReady: Promise<void> | undefined;

  private constructor(
    readonly config: Config,
    readonly role: string,
    readonly backends: Backends,
    { tracing, metrics, limits, certificates }: MadeBefore,
    logger: Logger,
    optional: ReadonlySet<string>,
    roles: readonly string[],
    wrapProducer: ((producer: Producer) => Producer) | undefined,
  ) {
    this.logger = logger;
    this.tracing = tracing;
    this.metrics = metrics;
    this.limits = limits;
    const closers = new Closers(logger);
    const readiness = new RoleReadiness(logger, optional, roles, (ready) => this.grpc.setServing(ready));
    const breakers = new Breakers(metrics, logger, readiness);
    this.alarms = new Alarms(config, logger, metrics);
    this.jobs = new Jobs(logger, metrics);
    this.database = new Database(backends.databaseUrl, config, logger, (state) => breakers.note('postgresql', state));
    this.bulkDatabase = this.database.bulk;
    breakers.add('postgresql', this.database.breaker);
    this.registry = new RegistryClient(registryOptions(backends.registryUrl, config, logger), logger, (state) =>
      breakers.note('schema registry', state),
    );
    breakers.add('schema registry', this.registry.breaker);
    this.#certificates = certificates;
    const { brokers, registryUrl } = backends;
    const ofKafka = config.profile === 'prod' ? riskOfKafka(brokers.bootstrapServers, config) : undefined;
    for (const risk of [riskOfRegistry(registryUrl, config), ofKafka]) if (risk !== undefined) logger.warn(risk);
    this.#verifier = verifierBy(config, logger);
    const refusedAttempts = new RefusedAttempts({ database: this.bulkDatabase, logger, metrics });
    this.grpc = new GrpcServer({
      logger,
      tracing,
      metrics,
      authenticate: this.#verifier === undefined ? devIdentity : jwtIdentity(this.#verifier, certificates),
      guard: guardOf,
      onRefused: (call, error) => refusedAttempts.noteCall(call, error),
      onRefusedHandshake: (refused) => refusedAttempts.noteHandshake(refused),
      database: this.database,
      reflected: config.grpcReflection ? reflectedFiles() : undefined,
      maxMessageBytes: config.grpcMaxMessageBytes,
      connectionsMax: config.grpcConnectionsMax,
      connectionsPerAddressMax: config.grpcConnectionsPerAddressMax,
      callsPerConnectionMax: config.grpcCallsPerConnectionMax,
      limits,
    });
    closers.add('metrics', () => metrics.close());
    // Before the metrics, which by OTLP so have what was dropped at the end.
    closers.add('traces', () => tracing.close());
    closers.add('database', () => this.database.close());
    closers.add('refused attempts', () => refusedAttempts.close());
    closers.add('registry', () => this.registry.breaker.close());
    observeReadiness(metrics, readiness);
    observeSpans(metrics, tracing, config.spanQueueMax);
    observePool(metrics, this.database, config.databasePoolMax);
    const { registry, alarms, database } = this;
    const kafka = { config, role, brokers, registry, logger, metrics, alarms, readiness, closers, wrapProducer };
    this.#kafka = new KafkaClients(kafka);
    this.#triages = new Triages({ config, logger, metrics, tracing, database });
    this.#closers = closers;
    this.#readiness = readiness;
    this.#breakers = breakers;
  }

  static async create(
    config: Config,
    role: string,
    backends: Backends,
    options: RuntimeOptions = {},
  ): Promise<Runtime> {
    const logger = options.logger ?? createLogger(config, role);
    const limits = CallerLimits.read(limitsBy(config), logger);
    const { grpcTlsIdentitiesFile: file } = config;
    const certificates = file === '' ? undefined : new CertificateIdentities(file, SCOPES, logger);
    const resource = resourceOf(role);
    const tracing = await Tracing.start(config, resource, logger);
    const metrics = new Metrics(role, await metricsSender(config), resource, (metric, err) =>
      logger.warn({ metric, err }, 'a metric could not be read, and is left out'),
    );
    const { optional, roles = [role], wrapProducer } = options;
    return new Runtime(
      config,
      role,
      backends,
      { tracing, metrics, limits, certificates },
      logger,
      new Set([...(optional ?? []), ACCOUNT]),
      roles,
      wrapProducer,
    );
  }

  /** A circuit breaker that shows as metric, log line and in /readyz. */
  breaker(name: string, isOutage: (error: unknown) => boolean): Breaker {
    const breaker = this.#breakers.create(name, isOutage);
    this.#closers.add(`circuit breaker ${name}`, () => breaker.close());
    return breaker;
  }

  /** Shows in /readyz something that does not decide whether the role is ready. */
  show(name: string, ok: boolean, reason: string): void {
    this.#readiness.show(name, ok, reason);
  }

  /** Something to close when the runtime closes, before what was added earlier. */
  onClose(name: string, close: () => Promise<void> | void): void {
    this.#closers.add(name, close);
  }

  /** A role has made known all that it needs: from here on it may be ready. */
  started(role: string): void {
    this.#readiness.started(role);
  }

  /** This process takes no new work any more: it is not ready, whatever is there, and refuses calls. */
  ending(): void {
    this.#readiness.end();
    this.grpc.refuseCalls();
  }

  /** Resolves when everything that is required is there. */
  async whenReady(signal: AbortSignal): Promise<void> {
    await this.#readiness.whenReady(signal);
  }

  async serveHttp(listen: string): Promise<HttpEndpoint> {
    const metrics = this.config.enableMetrics ? this.metrics : undefined;
    const endpoint = await startHttp(listen, () => Object.fromEntries(this.#readiness.checks), metrics);
    this.#closers.add('http', () => endpoint.close());
    return endpoint;
  }

  /**
   * Waits until PostgreSQL answers and its tables are there, then watches it: readiness follows. All callers share it.
   * @throws the signal's reason
   */
  databaseReady(signal: AbortSignal): Promise<void> {
    this.#databaseReady ??= this.#awaitDatabase(signal);
    return this.#databaseReady;
  }

  /** Looks for other contents of the files that say who callers are and what they may have. */
  watchFiles(signal: AbortSignal): void {
    void this.limits.watch(signal);
    void this.#certificates?.watch(signal);
  }

  /** Waits until there are keys to verify tokens with, where they are asked for: readiness follows. */
  watchKeys(signal: AbortSignal): void {
    const verifier = this.#verifier;
    if (verifier === undefined) return;
    const { metrics, config } = this;
    metrics.queue('tokens', () => verifier.verifying, VERIFYING_MAX);
    this.#readiness
      .untilItWorks('keys for tokens', config.jwtJwks, signal, () => verifier.keys.ready())
      .catch(() => undefined);
  }

  async #awaitDatabase(signal: AbortSignal): Promise<void> {
    const where = hostOf(this.backends.databaseUrl);
    const risk = this.config.profile === 'prod' ? riskOfDatabaseUrl(this.backends.databaseUrl) : undefined;
    if (risk !== undefined) this.logger.warn(risk);
    await this.#readiness.untilItWorks('postgresql', where, signal, () =>
      sayingRefusal(async () => {
        await this.database.probe();
        if (this.config.setUpAtStart) await migrate(this.backends.databaseUrl, this.logger, { patienceMs: SET_UP_MS });
        await this.database.query({ text: 'SELECT epoch FROM service_state' });
        await requireGrants(this.database, this.role, 'alerts');
      }),
    );
    this.#watchGrants(where, signal);
    this.#readiness.watch('postgresql', where, PROBE_INTERVAL_MS, signal, () =>
      sayingRefusal(() => withTimeout(this.database.probe(), PROBE_INTERVAL_MS * 2, 'PostgreSQL')),
    );
  }

  /** What the account of who did what lacks shows, is logged once, and holds nothing up. */
  #watchGrants(where: string, signal: AbortSignal): void {
    this.#readiness.show(ACCOUNT, true, where);
    this.#readiness.watch(ACCOUNT, where, GRANTS_INTERVAL_MS, signal, () =>
      sayingRefusal(() => requireGrants(this.database, this.role, 'aside')),
    );
  }

  /** What records are read with. Waits until the schema registry answers. @throws the signal's reason */
  events(signal: AbortSignal): Promise<Events> {
    return this.#kafka.events(signal);
  }

  /**
   * Waits until the schema registry and Kafka answer. All callers share one producer.
   * @throws the signal's reason
   */
  publishing(signal: AbortSignal): Promise<Publishing> {
    return this.#kafka.publishing(signal);
  }

  /**
   * What publishes many records at a time, or few. Waits until Kafka answers.
   * @throws the signal's reason
   */
  publisher(signal: AbortSignal): Promise<Publish> {
    return this.#kafka.publisher(signal);
  }

  /** Joins a role's consumer group, waiting until Kafka answers and its topic exists. */
  async subscribe(
    role: GroupRole,
    onRevoke: () => Promise<void>,
    signal: AbortSignal,
    extra: Pick<ConsumerOptions, 'fetchMinBytes'> = {},
  ): Promise<Consumer> {
    const { group, topic } = groupOf(role, this.config);
    return this.#kafka.subscribe([topic], group, { ...extra, onRevoke }, signal);
  }

  /**
   * Reads all partitions of topics from now on, waiting until Kafka answers and the topics exist.
   * @param onBegin called when it begins at the ends, now and whenever its client was replaced
   */
  async broadcast(topics: readonly string[], onBegin: () => void, signal: AbortSignal): Promise<Consumer> {
    return this.#kafka.broadcast(topics, broadcastGroup(this.config), onBegin, signal);
  }

  /** Shows how far groups are behind, also those of which no consumer runs. */
  observeGroups(signal: AbortSignal): void {
    const groups = GROUP_ROLES.map((role) => groupOf(role, this.config));
    this.#kafka.observeGroups(groups, signal);
  }

  /**
   * What a consumer does with records that fail.
   * @param identify whose alert a record is about, as far as it can be read
   */
  triage({ producer }: Publishing, role: GroupRole, identify: Identify): Triage {
    return this.#triages.create(producer, groupOf(role, this.config).group, identify);
  }

  /** A counter of what one consumer tries again, by reason. */
  retries<Reason extends string>(consumer: string, reasons: readonly Reason[]): (reason: Reason) => void {
    return countRetries(this.metrics, consumer, reasons);
  }

  /** Records were processed. @returns whether that took too long */
  processed(stage: Stage, ms: number, records: readonly IncomingRecord[]): boolean {
    return this.alarms.processed(stage, ms, () => this.#kafka.describe(records));
  }

  async close(): Promise<void> {
    await this.#closers.close();
  }
}

/** @throws Refused with what to look at, if PostgreSQL is there and lets us not in */
async function sayingRefusal(attempt: () => Promise<void>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    const hint = whatToMend(error);
    throw hint === undefined ? error : new Refused(`${(error as Error).message}: ${hint}`, { cause: error });
  }
}

function guardOf(path: string): (identity: Identity) => void {
  const scopes = scopesOf(path);
  return (identity) => requireOneOf(identity, scopes);
}

function limitsBy(config: Config): CallerLimitsOptions {
  const ofBoth = {
    alertsPerS: config.callerAlertsPerS,
    recipientsPerS: config.callerRecipientsPerS,
    streams: config.streamsPerCallerMax,
  };
  return {
    service: { ...ofBoth, requestsPerS: config.callerRequestsPerS, calls: config.callsPerCallerMax },
    user: { ...ofBoth, requestsPerS: config.userRequestsPerS, calls: config.callsPerUserMax },
    burstMs: config.callerBurstS * 1000,
    file: config.callerLimitsFile,
  };
}

/** Undefined: callers are believed by their names. */
function verifierBy(config: Config, logger: Logger): JwtVerifier | undefined {
  if (config.authMode === 'dev') return undefined;
  const jwt = {
    jwks: config.jwtJwks,
    issuers: words(config.jwtIssuer),
    audiences: words(config.jwtAudience),
    subjectClaims: words(config.jwtSubjectClaim),
    scopeClaims: words(config.jwtScopeClaim),
    serviceRules: readServiceRules(config.jwtServiceClaim),
    scopes: new Set(SCOPES),
    refreshMs: config.jwtJwksRefreshMs,
  };
  return new JwtVerifier(jwt, logger);
}

/** A database URL without its password. */
function hostOf(url: string): string {
  try {
    const { host, pathname } = new URL(url);
    return host + pathname;
  } catch {
    return 'DATABASE_URL';
  }
}
