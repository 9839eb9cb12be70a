import { describeRecord } from './events/describe.js';
import { openEvents, registerSchemas, type Events } from './events/events.js';
import type { Config } from './lib/config/load.js';
import { devIdentity } from './lib/grpc/identity.js';
import { GrpcServer } from './lib/grpc/server.js';
import { startHttp, type HttpEndpoint, type Readiness } from './lib/http.js';
import type { Brokers } from './lib/kafka/client-config.js';
import { Consumer, type ConsumerOptions, type IncomingRecord } from './lib/kafka/consumer.js';
import { DeadLetters } from './lib/kafka/dead-letters.js';
import { GroupLag, type WatchedGroup } from './lib/kafka/group-lag.js';
import { KafkaMetrics } from './lib/kafka/kafka-metrics.js';
import { Producer } from './lib/kafka/producer.js';
import { TopicWatch } from './lib/kafka/topic-watch.js';
import { RETRY_REASONS, Triage } from './lib/kafka/triage.js';
import { Closers, every } from './lib/lifecycle.js';
import { createLogger, type Logger } from './lib/logging.js';
import { Breaker, type BreakerState } from './lib/breaker.js';
import { Database, WAITING_MAX } from './lib/postgres.js';
import { RegistryClient } from './lib/registry/client.js';
import { untilItWorks, wait, withTimeout } from './lib/retry.js';
import { Alarms, type Processed, type Stage } from './lib/telemetry/alarms.js';
import { Metrics } from './lib/telemetry/metrics.js';
import { metricsSender } from './lib/telemetry/metrics-sender.js';
import { resourceOf } from './lib/telemetry/resource.js';
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

/** Whose alert a record is about, as far as it can be read. */
type Identify = (record: IncomingRecord) => { alertId?: number; userId?: string };

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
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly alarms: Alarms;
  readonly database: Database;
  readonly grpc: GrpcServer;
  readonly registry: RegistryClient;
  readonly #closers: Closers;
  readonly #kafka: KafkaMetrics;
  readonly #readiness = new Map<string, Readiness>();
  #publishing: Promise<Publishing> | undefined;
  /** What records are read with; undefined until the registry has answered. */
  #events: Events | undefined;
  #bulkProducer: Promise<Producer> | undefined;
  #databaseReady: Promise<void> | undefined;

  private constructor(
    readonly config: Config,
    readonly role: string,
    readonly backends: Backends,
    { tracing, metrics }: { tracing: Tracing; metrics: Metrics },
    logger: Logger,
    /** What this role wants but can do without: its absence shows in /readyz and leaves the role ready. */
    private readonly optional: ReadonlySet<string>,
  ) {
    this.logger = logger;
    this.tracing = tracing;
    this.#closers = new Closers(logger);
    this.metrics = metrics;
    this.alarms = new Alarms(config, logger, this.metrics);
    this.#kafka = new KafkaMetrics(this.metrics);
    this.database = new Database(backends.databaseUrl, config, logger, (state) =>
      this.#noteBreaker('postgresql', state),
    );
    this.metrics.gauge(
      'ssom.breaker.state',
      'Circuit breakers: 0 closed, 1 half open (the next call is tried), 2 open, also while that call is on its way.',
      () =>
        [...this.#breakers].map(([name, { shownState }]) => ({
          value: BREAKER_VALUES[shownState],
          attributes: { name },
        })),
    );
    this.#breakers.set('postgresql', this.database.breaker);
    this.metrics.gauge('ssom.ready', 'What a role needs: 1 it is there, 0 it is not; as in /readyz.', () =>
      [...this.#readiness].map(([check, { ok, required }]) => ({
        value: ok ? 1 : 0,
        attributes: { check, required },
      })),
    );
    this.#closers.add('metrics', () => this.metrics.close());
    // Before the metrics, which by OTLP so have what was dropped at the end.
    this.#closers.add('traces', () => tracing.close());
    this.#countSpans();
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
    this.#observePool();
  }

  #observePool(): void {
    const { metrics, database, config } = this;
    metrics.gauge('db.client.connection.count', 'Connections of the PostgreSQL pool, by state.', () => {
      const { total, idle, waiting } = database.stats;
      return [
        { value: idle, attributes: { state: 'idle' } },
        { value: total - idle, attributes: { state: 'used' } },
        { value: waiting, attributes: { state: 'waited_for' } },
      ];
    });
    metrics.gauge(
      'db.client.connection.pending_requests',
      'Queries that wait for a connection.',
      () => database.stats.waiting,
    );
    metrics.gauge('db.client.connection.max', 'Connections that there may be.', () => config.databasePoolMax);
    metrics.queue('pool_waiters', () => database.stats.waiting, WAITING_MAX);
  }

  #countSpans(): void {
    const { metrics, tracing, config } = this;
    metrics.total('ssom.traces.spans.ended', 'Spans of recorded traces that have ended.', () => tracing.counts.ended);
    metrics.total('ssom.traces.spans.dropped', 'Spans that did not get to the collector, by reason.', () => [
      { value: tracing.counts.queueFull, attributes: { reason: 'queue_full' } },
      { value: tracing.counts.exportFailed, attributes: { reason: 'export_failed' } },
      { value: tracing.counts.shutdown, attributes: { reason: 'shutdown' } },
    ]);
    metrics.total(
      'ssom.traces.sampled_down',
      'Traces that were not recorded although their callers asked for it, more than TRACE_CALLERS_MAX times a second.',
      () => tracing.sampledDown,
    );
    metrics.queue('spans', () => tracing.waiting, config.spanQueueMax);
  }

  readonly #breakers = new Map<string, Breaker>();
  /** What the log has last said of each. */
  readonly #breakersSaid = new Map<string, BreakerState>();

  /** A circuit breaker that shows as metric, log line and in /readyz. */
  breaker(name: string, isOutage: (error: unknown) => boolean): Breaker {
    const breaker = new Breaker({ what: name, isOutage, onChange: (state) => this.#noteBreaker(name, state) });
    this.#breakers.set(name, breaker);
    this.#closers.add(`circuit breaker ${name}`, () => breaker.close());
    return breaker;
  }

  #noteBreaker(name: string, state: BreakerState): void {
    const was = this.#breakersSaid.get(name);
    // Each trial that fails opens it again, once a second: said is what is new.
    if (state === 'closed' || was === undefined || was === 'closed') {
      this.#breakersSaid.set(name, state);
      if (state === 'open') this.logger.error({ name }, 'circuit breaker open: calls are refused at once');
      else this.logger.info({ name, state }, 'circuit breaker');
    }
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
    const resource = resourceOf(role);
    const tracing = await Tracing.start(config, resource, logger);
    const metrics = new Metrics(role, await metricsSender(config), resource);
    return new Runtime(config, role, backends, { tracing, metrics }, logger, new Set(options.optional));
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
    this.#events = events;
    const { brokers } = this.backends;
    const producer = await this.#untilItWorks('kafka', brokers.bootstrapServers, signal, () =>
      Producer.connect(brokers, this.config, this.logger, { clientId: `ssom-${this.role}` }),
    );
    this.#closers.add('producer', () => producer.close());
    this.#watch('kafka', brokers.bootstrapServers, KAFKA_PROBE_INTERVAL_MS, signal, () => producer.probe());
    this.#kafka.addProducer('single', producer);
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
        for (const producer of this.#kafka.producers) void producer.renew(new Error(reason));
        for (const consumer of this.#kafka.consumers) if (consumer.reads(remade)) void consumer.renew(reason);
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
      this.#kafka.addProducer('bulk', producer);
      return producer;
    });
    return this.#bulkProducer;
  }

  /**
   * What a consumer does with records that fail.
   * @param identify whose alert a record is about, as far as it can be read
   */
  triage({ producer }: Publishing, groupSuffix: string, identify: Identify): Triage {
    const { config, logger, metrics, database } = this;
    const deadLetters = new DeadLetters({
      producer,
      group: config.consumerGroup + groupSuffix,
      logger,
      metrics,
      tracing: this.tracing,
      identify,
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
      onRetry: this.retries(config.consumerGroup + groupSuffix, RETRY_REASONS),
    });
    this.#triages.push({ triage, group: config.consumerGroup + groupSuffix });
    if (this.#triages.length === 1) {
      metrics.gauge('ssom.triage.suspects', 'Records that have failed alone and may be given up, by group.', () =>
        this.#triages.map((entry) => ({ value: entry.triage.suspects, attributes: { group: entry.group } })),
      );
    }
    return triage;
  }

  /** A counter of what one consumer tries again, by reason. */
  retries<Reason extends string>(consumer: string, reasons: readonly Reason[]): (reason: Reason) => void {
    const initial = reasons.map((reason) => ({ consumer, reason }));
    const counter = this.metrics.counter('ssom.retries', 'What was tried again, by consumer and reason.', initial);
    return (reason) => counter.add(1, { consumer, reason });
  }

  /** Records were processed. @returns whether that took too long */
  processed(stage: Stage, ms: number, records: readonly IncomingRecord[]): boolean {
    return this.alarms.processed(stage, ms, () => this.#describe(records));
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
      lags: this.#lagsOf(this.config.consumerGroup + groupSuffix),
    };
    const consumer = await this.#untilItWorks('kafka', this.backends.brokers.bootstrapServers, signal, () =>
      Consumer.subscribe(this.backends.brokers, this.config, this.logger, topics, options),
    );
    this.#closers.add(`consumer of ${topics.join(', ')}`, () => consumer.close());
    this.#kafka.addConsumer(options.groupId, consumer);
    void this.#awaitJoin(consumer, options.groupId, signal);
    return consumer;
  }

  #lagsOf(group: string): NonNullable<ConsumerOptions['lags']> {
    const { alarms } = this;
    alarms.watch(group);
    return {
      note: (topic, partition, lag, last) =>
        alarms.lag(group, topic, partition, lag, () => this.#describe(last === undefined ? [] : [last])),
      forget: () => alarms.forget(group),
    };
  }

  /** What is to be said of records: a trace, and the alerts as far as they can be read. */
  #describe(records: readonly IncomingRecord[]): Processed {
    const events = this.#events;
    const described = events === undefined ? [] : records.map((record) => describeRecord(events, record));
    return {
      traceparent: described.find(({ traceparent }) => traceparent !== undefined)?.traceparent,
      alertIds: [...new Set(described.flatMap(({ alertIds }) => alertIds))],
    };
  }

  /** A member without an assignment handles nothing yet; the join takes up to 3 s. */
  async #awaitJoin(consumer: Consumer, groupId: string, signal: AbortSignal): Promise<void> {
    const what = consumerGroupCheck(groupId);
    this.setReady(what, false, 'joining');
    while (!consumer.joined && !signal.aborted) await wait(50, signal);
    this.setReady(what, consumer.joined, 'joined');
    let ready = true;
    while (!signal.aborted) {
      await wait(1000, signal);
      const ms = consumer.unassignedMs;
      if (ready === ms < OUT_OF_GROUP_MS) continue;
      ready = !ready;
      this.setReady(what, ready, ready ? 'joined' : 'not in its group: no partitions were assigned for a while');
    }
  }

  /**
   * Reads all partitions of topics from now on, waiting until Kafka answers and the topics exist.
   * @param onBegin called when it begins at the ends, now and whenever its client was replaced
   */
  async broadcast(topics: readonly string[], onBegin: () => void, signal: AbortSignal): Promise<Consumer> {
    const groupId = `${this.config.consumerGroup}-broadcast`;
    const options = { clientId: `ssom-${this.role}`, groupId, onBegin, lags: this.#lagsOf(groupId) };
    const consumer = await this.#untilItWorks('kafka', this.backends.brokers.bootstrapServers, signal, () =>
      Consumer.broadcast(this.backends.brokers, this.config, this.logger, topics, options),
    );
    this.#closers.add(`consumer of ${topics.join(', ')}`, () => consumer.close());
    this.#kafka.addConsumer(options.groupId, consumer);
    return consumer;
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

/** A rebalance of a healthy group takes less. */
const OUT_OF_GROUP_MS = 15_000;

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
