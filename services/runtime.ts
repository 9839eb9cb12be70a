import { openEvents, registerSchemas, type Events } from './events/events.js';
import type { Config } from './lib/config/load.js';
import { devIdentity } from './lib/grpc/identity.js';
import { GrpcServer } from './lib/grpc/server.js';
import { startHttp, type HttpEndpoint, type Readiness } from './lib/http.js';
import type { Brokers } from './lib/kafka/client-config.js';
import { Consumer, type ConsumerOptions, type IncomingRecord } from './lib/kafka/consumer.js';
import { DeadLetters } from './lib/kafka/dead-letters.js';
import { GroupLag, type WatchedGroup } from './lib/kafka/group-lag.js';
import { Producer } from './lib/kafka/producer.js';
import { TopicWatch } from './lib/kafka/topic-watch.js';
import { Triage } from './lib/kafka/triage.js';
import { Closers, every } from './lib/lifecycle.js';
import { createLogger, type Logger } from './lib/logging.js';
import { Breaker, type BreakerState } from './lib/breaker.js';
import { Database } from './lib/postgres.js';
import { RegistryClient } from './lib/registry/client.js';
import { untilItWorks, wait, withTimeout } from './lib/retry.js';
import { Metrics } from './lib/telemetry/metrics.js';
import { Tracing } from './lib/telemetry/tracing.js';
import { rememberDeadLetter } from './store/dead-letters.js';
import { migrate } from './store/migrate.js';

/** Where the three things outside are. */
export interface Backends {
  readonly databaseUrl: string;
  readonly brokers: Brokers;
  readonly registryUrl: string;
}

/** What publishing needs; it comes when Kafka and the registry have answered. */
export interface Publishing {
  readonly producer: Producer;
  readonly events: Events;
}

const PROBE_INTERVAL_MS = 2000;
/** The guide's linger. */
const BULK_LINGER_MS = 5;
const BREAKER_VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 };
const KAFKA_PROBE_INTERVAL_MS = 5000;
const GROUP_LAG_INTERVAL_MS = 10_000;

/**
 * What every role stands on: logger, telemetry, database, Kafka and the two servers. It is made without waiting for
 * anything; `database` fails quickly while PostgreSQL is away, and `publishing` is waited for by those who need it.
 */
export class Runtime {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly grpc: GrpcServer;
  readonly registry: RegistryClient;
  readonly #closers: Closers;
  readonly #readiness = new Map<string, Readiness>();
  #publishing: Promise<Publishing> | undefined;
  #bulkProducer: Promise<Producer> | undefined;
  #databaseReady: Promise<void> | undefined;

  private constructor(
    readonly config: Config,
    readonly role: string,
    readonly backends: Backends,
    readonly tracing: Tracing,
    logger: Logger,
    /** What this role wants but can do without: its absence shows in /readyz and leaves the role ready. */
    private readonly optional: ReadonlySet<string>,
  ) {
    this.logger = logger;
    this.#closers = new Closers(logger);
    this.metrics = new Metrics(role);
    this.database = new Database(backends.databaseUrl, config, logger, (state) =>
      this.#noteBreaker('postgresql', state),
    );
    this.metrics.gauge('ssom.breaker.state', 'Circuit breakers: 0 closed, 1 half open, 2 open.', () =>
      [...this.#breakers].map(([name, { state }]) => ({ value: BREAKER_VALUES[state], attributes: { name } })),
    );
    this.#breakers.set('postgresql', this.database.breaker);
    this.metrics.gauge('ssom.ready', 'What a role needs: 1 it is there, 0 it is not; as in /readyz.', () =>
      [...this.#readiness].map(([check, { ok, required }]) => ({
        value: ok ? 1 : 0,
        attributes: { check, required },
      })),
    );
    this.#closers.add('traces', () => tracing.close());
    this.#closers.add('metrics', () => this.metrics.close());
    this.#closers.add('database', () => this.database.close());
    this.registry = new RegistryClient(
      { url: backends.registryUrl, username: config.schemaRegistryUsername, password: config.schemaRegistryPassword },
      logger,
      (state) => this.#noteBreaker('schema registry', state),
    );
    this.#breakers.set('schema registry', this.registry.breaker);
    this.#closers.add('registry', () => this.registry.breaker.close());
    this.grpc = new GrpcServer({
      logger,
      tracing,
      metrics: this.metrics,
      authenticate: devIdentity,
      maxMessageBytes: config.grpcMaxMessageBytes,
    });
    this.metrics.gauge('db.client.connection.count', 'Connections of the PostgreSQL pool, by state.', () => {
      const { total, idle, waiting } = this.database.stats;
      return [
        { value: idle, attributes: { state: 'idle' } },
        { value: total - idle, attributes: { state: 'used' } },
        { value: waiting, attributes: { state: 'waited_for' } },
      ];
    });
  }

  readonly #breakers = new Map<string, Breaker>();

  /** A circuit breaker that shows as metric, log line and in /readyz. */
  breaker(name: string, isOutage: (error: unknown) => boolean): Breaker {
    const breaker = new Breaker({ what: name, isOutage, onChange: (state) => this.#noteBreaker(name, state) });
    this.#breakers.set(name, breaker);
    this.#closers.add(`circuit breaker ${name}`, () => breaker.close());
    return breaker;
  }

  #noteBreaker(name: string, state: BreakerState): void {
    if (state === 'open') this.logger.error({ name }, 'circuit breaker open: calls are refused at once');
    else this.logger.info({ name, state }, 'circuit breaker');
    // For the eye: what decides is whether the other side answers our probe.
    this.#readiness.set(`circuit breaker ${name}`, { ok: state === 'closed', reason: state, required: false });
  }

  static async create(
    config: Config,
    role: string,
    backends: Backends,
    options: { logger?: Logger; optional?: readonly string[] } = {},
  ): Promise<Runtime> {
    const logger = options.logger ?? createLogger(config, role);
    const tracing = await Tracing.start(config, role, logger);
    return new Runtime(config, role, backends, tracing, logger, new Set(options.optional));
  }

  /** Something to close when the runtime closes, before what was added earlier. */
  onClose(name: string, close: () => Promise<void> | void): void {
    this.#closers.add(name, close);
  }

  /** Says whether something that this role needs is there; /readyz and gRPC health follow. */
  setReady(name: string, ok: boolean, reason: string): void {
    this.#readiness.set(name, { ok, reason, required: !this.optional.has(name) });
    this.grpc.setServing([...this.#readiness.values()].every((state) => state.ok || !state.required));
  }

  /** Resolves when everything that is required is there. */
  async whenReady(signal: AbortSignal): Promise<void> {
    // Roles register what they need as they start, so being ready must last for a moment.
    for (let steady = 0; steady < 3;) {
      signal.throwIfAborted();
      await wait(20, signal);
      const states = [...this.#readiness.values()];
      steady = states.length > 0 && states.every(({ ok, required }) => ok || !required) ? steady + 1 : 0;
    }
  }

  async serveHttp(listen: string): Promise<HttpEndpoint> {
    const metrics = this.config.enableMetrics ? this.metrics : undefined;
    const endpoint = await startHttp(listen, () => Object.fromEntries(this.#readiness), metrics);
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

  async #awaitDatabase(signal: AbortSignal): Promise<void> {
    this.setReady('postgresql', false, 'not reached yet');
    await this.#untilItWorks('postgresql', hostOf(this.backends.databaseUrl), signal, async () => {
      await this.database.probe();
      if (this.config.setUpAtStart) await migrate(this.backends.databaseUrl, this.logger);
      await this.database.query({ text: 'SELECT epoch FROM service_state' });
    });
    this.#watch('postgresql', hostOf(this.backends.databaseUrl), PROBE_INTERVAL_MS, signal, async () => {
      await withTimeout(this.database.probe(), PROBE_INTERVAL_MS * 2, 'PostgreSQL');
    });
  }

  /** Asks again and again whether something is still there; readiness follows. */
  #watch(what: string, where: string, intervalMs: number, signal: AbortSignal, probe: () => Promise<void>): void {
    void every(
      intervalMs,
      signal,
      async () => {
        try {
          await probe();
          this.#report(what, where, undefined);
        } catch (error) {
          if (!signal.aborted) this.#report(what, where, error as Error);
        }
      },
      () => undefined,
    );
  }

  /**
   * Waits until the schema registry and Kafka answer. All callers share one producer.
   * @throws the signal's reason
   */
  publishing(signal: AbortSignal): Promise<Publishing> {
    this.#publishing ??= this.#connect(signal);
    return this.#publishing;
  }

  async #connect(signal: AbortSignal): Promise<Publishing> {
    const events = await this.#untilItWorks('schema registry', this.registry.url, signal, async () => {
      if (this.config.setUpAtStart) await registerSchemas(this.config, this.registry);
      return openEvents(this.config, this.registry);
    });
    const { brokers } = this.backends;
    const producer = await this.#untilItWorks('kafka', brokers.bootstrapServers, signal, () =>
      Producer.connect(brokers, this.config, this.logger, { clientId: `ssom-${this.role}` }),
    );
    this.#closers.add('producer', () => producer.close());
    this.#watch('kafka', brokers.bootstrapServers, KAFKA_PROBE_INTERVAL_MS, signal, () => producer.probe());
    this.#observeProducer('single', producer);
    // The in-process broker cannot lose its topics, and takes no such questions.
    if (!brokers.inProcess) this.#watchTopics(Object.values(events.topics), signal);
    return { producer, events };
  }

  /** Replaces all Kafka clients at once when topics were made anew: each of them would find out by itself, one hop after the other. */
  #watchTopics(topics: readonly string[], signal: AbortSignal): void {
    const { config, logger, role } = this;
    const watch = new TopicWatch(this.backends.brokers, config, logger, `ssom-${role}-topics`, topics);
    this.#closers.add('topic watch', () => watch.close());
    void every(
      KAFKA_PROBE_INTERVAL_MS,
      signal,
      async () => {
        const remade = await watch.look();
        if (remade.length === 0) return;
        const reason = `made anew: ${remade.join(', ')}`;
        // Not awaited: one that cannot be replaced yet keeps nobody from noticing the next topic.
        for (const { producer } of this.#producers) void producer.renew(new Error(reason));
        for (const { consumer } of this.#consumers) if (consumer.reads(remade)) void consumer.renew(reason);
      },
      (error) => logger.debug({ err: error }, 'topics could not be looked at'),
    );
  }

  /** Shows how far groups are behind, also those of which no consumer runs. */
  observeGroups(groups: readonly WatchedGroup[], signal: AbortSignal): void {
    const { config, logger, role, backends } = this;
    // The in-process broker ends with its consumers, and takes no such questions.
    if (backends.brokers.inProcess) return;
    const groupLag = new GroupLag(backends.brokers, config, logger, `ssom-${role}-groups`, groups);
    this.#closers.add('group lag', () => groupLag.close());
    this.metrics.gauge('ssom.kafka.group.lag', 'Records that a group has not committed, as the broker sees it.', () =>
      groupLag.lags.map(({ group, topic, partition, lag }) => ({
        value: lag,
        attributes: { group, topic, partition: String(partition) },
      })),
    );
    void every(
      GROUP_LAG_INTERVAL_MS,
      signal,
      () => groupLag.look(),
      (error) => logger.debug({ err: error }, 'the lag of groups could not be seen'),
    );
  }

  /**
   * A producer for many records at once: it lets them gather for a moment, so that the broker gets fewer and larger
   * requests. A broadcast to 1,000 users costs 58 instead of 78 ms of CPU per 1,000 records on all processes together, most
   * of it saved in the broker; a single alert would pay for it with 5 ms a hop.
   */
  bulkProducer(signal: AbortSignal): Promise<Producer> {
    const { brokers } = this.backends;
    this.#bulkProducer ??= this.#untilItWorks('kafka', brokers.bootstrapServers, signal, async () => {
      const config = { ...this.config, producerLingerMs: Math.max(BULK_LINGER_MS, this.config.producerLingerMs) };
      const producer = await Producer.connect(brokers, config, this.logger, { clientId: `ssom-${this.role}-bulk` });
      this.#closers.add('bulk producer', () => producer.close());
      this.#observeProducer('bulk', producer);
      return producer;
    });
    return this.#bulkProducer;
  }

  /**
   * What a consumer does with records that fail.
   * @param identify whose alert a record is about, as far as it can be read
   */
  triage(
    { producer }: Publishing,
    groupSuffix: string,
    identify: (record: IncomingRecord) => { alertId?: number; userId?: string },
  ): Triage {
    const { config, logger, metrics, database } = this;
    const deadLetters = new DeadLetters({
      producer,
      group: config.consumerGroup + groupSuffix,
      logger,
      metrics,
      remember: async (record, { error }) => {
        const { topic, partition, offset } = record;
        const { alertId, userId } = identify(record);
        await rememberDeadLetter(database, { topic, partition, offset, alertId, userId, reason: error.message });
      },
    });
    const triage = new Triage({
      deadLetters,
      attempts: config.processingAttempts,
      backoffBaseMs: 100,
      backoffCapMs: 5000,
      logger,
    });
    this.#triages.push({ triage, group: config.consumerGroup + groupSuffix });
    if (this.#triages.length === 1) {
      metrics.gauge('ssom.triage.suspects', 'Records that have failed alone and may be given up, by group.', () =>
        this.#triages.map((entry) => ({ value: entry.triage.suspects, attributes: { group: entry.group } })),
      );
    }
    return triage;
  }

  readonly #triages: { triage: Triage; group: string }[] = [];

  /** Joins a consumer group, waiting until Kafka answers and the topics exist. */
  async subscribe(
    topics: readonly string[],
    groupSuffix: string,
    onRevoke: () => Promise<void>,
    signal: AbortSignal,
    extra: Pick<ConsumerOptions, 'fetchMinBytes'> = {},
  ): Promise<Consumer> {
    const options: ConsumerOptions = {
      ...extra,
      clientId: `ssom-${this.role}`,
      groupId: this.config.consumerGroup + groupSuffix,
      onRevoke,
    };
    const consumer = await this.#untilItWorks('kafka', this.backends.brokers.bootstrapServers, signal, () =>
      Consumer.subscribe(this.backends.brokers, this.config, this.logger, topics, options),
    );
    this.#closers.add(`consumer of ${topics.join(', ')}`, () => consumer.close());
    this.#observeLag(consumer, options.groupId);
    void this.#awaitJoin(consumer, options.groupId, signal);
    return consumer;
  }

  /** A member without an assignment handles nothing yet; the join takes up to 3 s. */
  async #awaitJoin(consumer: Consumer, groupId: string, signal: AbortSignal): Promise<void> {
    const what = consumerGroupCheck(groupId);
    this.setReady(what, false, 'joining');
    while (!consumer.joined && !signal.aborted) await wait(50, signal);
    this.setReady(what, consumer.joined, 'joined');
  }

  /**
   * Reads all partitions of topics from now on, waiting until Kafka answers and the topics exist.
   * @param onBegin called when it begins at the ends, now and whenever its client was replaced
   */
  async broadcast(topics: readonly string[], onBegin: () => void, signal: AbortSignal): Promise<Consumer> {
    const options = { clientId: `ssom-${this.role}`, groupId: `${this.config.consumerGroup}-broadcast`, onBegin };
    const consumer = await this.#untilItWorks('kafka', this.backends.brokers.bootstrapServers, signal, () =>
      Consumer.broadcast(this.backends.brokers, this.config, this.logger, topics, options),
    );
    this.#closers.add(`consumer of ${topics.join(', ')}`, () => consumer.close());
    this.#observeLag(consumer, options.groupId);
    return consumer;
  }

  readonly #producers: { producer: Producer; name: string }[] = [];

  #observeProducer(name: string, producer: Producer): void {
    if (this.#producers.push({ name, producer }) > 1) return;
    this.metrics.gauge('ssom.kafka.producer.records', 'Records in each producer, by state.', () =>
      this.#producers.flatMap((entry) => [
        { value: entry.producer.stats.inFlight, attributes: { producer: entry.name, state: 'in_flight' } },
        { value: entry.producer.stats.waiting, attributes: { producer: entry.name, state: 'publishers_waiting' } },
      ]),
    );
  }

  readonly #consumers: { consumer: Consumer; group: string }[] = [];

  #observeLag(consumer: Consumer, group: string): void {
    if (this.#consumers.push({ consumer, group }) > 1) return;
    const ofEach = (read: (consumer: Consumer) => number) => () =>
      this.#consumers.map((entry) => ({ value: read(entry.consumer), attributes: { group: entry.group } }));
    this.metrics.gauge(
      'ssom.kafka.consumer.replaced',
      'Times that a consumer was replaced, since it stalled or its topics were made anew, by group.',
      ofEach(({ replaced }) => replaced),
    );
    this.metrics.gauge(
      'ssom.kafka.consumer.fetched.bytes',
      'Bytes that were fetched ahead of the handler, by group; bounded at 16 MiB and a fetch.',
      ofEach(({ fetchedBytes }) => fetchedBytes),
    );
    this.metrics.gauge(
      'ssom.kafka.consumer.parked',
      'Partitions that wait for a record that failed alone, by group.',
      ofEach(({ parked }) => parked),
    );
    this.metrics.gauge('ssom.kafka.consumer.lag', 'Records behind the end of the partition, by group.', () =>
      this.#consumers.flatMap((entry) =>
        entry.consumer.lag.map(({ topic, partition, lag }) => ({
          value: lag,
          attributes: { topic, partition: String(partition), group: entry.group },
        })),
      ),
    );
  }

  async #untilItWorks<T>(what: string, where: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    this.setReady(what, false, `waiting for ${where}`);
    const result = await untilItWorks(attempt, {
      signal,
      onFailure: (error, waitMs) => {
        this.setReady(what, false, error.message);
        this.logger.warn({ what, where, reason: error.message, waitMs }, 'not there yet; trying again');
      },
    });
    this.setReady(what, true, where);
    return result;
  }

  #report(what: string, where: string, error: Error | undefined): void {
    const before = this.#readiness.get(what)?.ok ?? false;
    this.setReady(what, error === undefined, error?.message ?? where);
    if (before && error !== undefined) this.logger.warn({ what, reason: error.message }, 'it went away');
    if (!before && error === undefined) this.logger.info({ what }, 'it is back');
  }

  async close(): Promise<void> {
    await this.#closers.close();
  }
}

/** The name under which /readyz shows whether a role has joined its group. */
export function consumerGroupCheck(groupId: string): string {
  return `consumer group ${groupId}`;
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
