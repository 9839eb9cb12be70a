import { type Events, openEvents } from '../events/events.js';
import { registerSchemas } from '../events/schemas/register.js';
import type { Config } from '../lib/config/load.js';
import type { Brokers } from '../lib/kafka/client-config.js';
import { KafkaRefusal } from '../lib/kafka/connection-faults.js';
import { Consumer, type ConsumerOptions, type IncomingRecord } from '../lib/kafka/consumer.js';
import { GroupLag, type WatchedGroup } from '../lib/kafka/group-lag.js';
import { KafkaMetrics } from '../lib/kafka/kafka-metrics.js';
import { type OutgoingRecord, Producer } from '../lib/kafka/producer.js';
import { type Closers, every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import type { RegistryClient } from '../lib/registry/client.js';
import { isRegistryAway } from '../lib/registry/errors.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { UnderWay } from '../lib/under-way.js';
import type { Alarms, Processed } from './alarms.js';
import { describeRecord } from './describe-records.js';
import { watchMembership } from './group-readiness.js';
import { Refused, type RoleReadiness } from './readiness.js';
import { SchemaWatch } from './schema-watch.js';
import { watchTopics } from './topic-readiness.js';

/** What publishing needs; it comes when Kafka and the registry have answered. */
export interface Publishing {
  readonly producer: Producer;
  readonly events: Events;
}

/** What the clients are made from, and where they are made known. */
interface KafkaClientsDeps {
  readonly config: Config;
  readonly role: string;
  readonly brokers: Brokers;
  readonly registry: RegistryClient;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly alarms: Alarms;
  readonly readiness: RoleReadiness;
  readonly closers: Closers;
  /** A test's way to have publishing fail: what every producer is replaced by. */
  readonly wrapProducer?: ((producer: Producer) => Producer) | undefined;
}

/** Publishes records; resolves when all of them are acknowledged. @throws PublishFailed, as Producer.publish does */
export type Publish = (records: readonly OutgoingRecord[]) => Promise<void>;

/** From this many records on they go through the producer that lets them gather. */
const BULK = 200;
/** The guide's linger. */
const BULK_LINGER_MS = 5;
/**
 * Changes that are traced have twice the bytes, and fill the guide's 16 KiB before the linger is over. librdkafka's
 * thread took 3.2 s of CPU for them instead of 0.6 s; tracing cost a broadcast 23 % of its throughput, not 14 %.
 */
const BULK_BATCH_SIZE = 131_072;
const PROBE_INTERVAL_MS = 5000;
const GROUP_LAG_INTERVAL_MS = 10_000;
/** As long as connecting may take. */
const CONNECT_MS = 3500;

interface Client {
  close(): Promise<void>;
}

/**
 * The Kafka clients of a process: each is waited for, seen in metrics and /readyz, replaced when topics were recreated,
 * and closed with the process.
 */
export class KafkaClients {
  readonly #metrics: KafkaMetrics;
  /** What records are read with; undefined until the registry has answered. */
  #events: Events | undefined;
  #opening: Promise<Events> | undefined;
  #publishing: Promise<Publishing> | undefined;
  #bulkProducer: Promise<Producer> | undefined;
  /** Who is asked whether brokers are there: the producer, where there is one. */
  #asked: Producer | Consumer | undefined;
  readonly #connecting = new UnderWay();
  readonly #readers: Client[] = [];
  readonly #producers: Client[] = [];

  constructor(private readonly deps: KafkaClientsDeps) {
    this.#metrics = new KafkaMetrics(deps.metrics);
    deps.closers.add('Kafka clients', () => this.#close());
  }

  /** Waits until the schema registry answers. @throws the signal's reason */
  events(signal: AbortSignal): Promise<Events> {
    this.#opening ??= this.#open(signal);
    return this.#opening;
  }

  async #open(signal: AbortSignal): Promise<Events> {
    const { config, registry, readiness } = this.deps;
    const schemas = new SchemaWatch(this.deps);
    const events = await readiness.untilItWorks('schema registry', registry.url, signal, async () => {
      if (config.setUpAtStart) await registerSchemas(config, registry).catch(unlessAway);
      return openEvents(config, registry, schemas.news);
    });
    this.#events = events;
    void schemas.run(events, signal);
    return events;
  }

  /** Waits until the schema registry and Kafka answer; all callers share one producer. @throws the signal's reason */
  publishing(signal: AbortSignal): Promise<Publishing> {
    this.#publishing ??= this.#connect(signal);
    return this.#publishing;
  }

  async #connect(signal: AbortSignal): Promise<Publishing> {
    const { config, role, brokers, logger } = this.deps;
    const events = await this.events(signal);
    const producer = await this.#untilKafkaAnswers(signal, () =>
      Producer.connect(brokers, config, logger, { clientId: `ssom-${role}`, onRefusal: this.#noteRefusal }),
    );
    this.#producers.push(producer);
    this.#watchBrokers(producer, signal);
    this.#metrics.addProducer('single', producer);
    return { producer: this.#wrapped(producer), events };
  }

  /** From the first client on that is connected. */
  #watchBrokers(client: Producer | Consumer, signal: AbortSignal): void {
    const { brokers, readiness } = this.deps;
    const isFirst = this.#asked === undefined;
    if (isFirst || client instanceof Producer) this.#asked = client;
    if (!isFirst) return;
    readiness.watch('kafka', brokers.bootstrapServers, PROBE_INTERVAL_MS, signal, () =>
      this.#asked!.probe().catch(sayingRefusal),
    );
    // The in-process broker cannot lose its topics, and takes no such questions.
    if (brokers.inProcess) return;
    this.#readers.push(watchTopics({ ...this.deps, clients: this.#metrics }, PROBE_INTERVAL_MS, signal));
  }

  /** Publishes by the producer that fits the number of records. All callers share both. @throws the signal's reason */
  async publisher(signal: AbortSignal): Promise<Publish> {
    const { producer } = await this.publishing(signal);
    const bulk = await this.#connectBulk(signal);
    return (records) => (records.length < BULK ? producer : bulk).publish(records);
  }

  /**
   * A producer that lets records gather for a moment: a broadcast to 1,000 users costs 58 instead of 78 ms of CPU on
   * all processes together. A single alert would pay for it with 5 ms a hop.
   */
  #connectBulk(signal: AbortSignal): Promise<Producer> {
    const { config, role, brokers, logger } = this.deps;
    this.#bulkProducer ??= this.#untilKafkaAnswers(signal, async () => {
      const bulk = {
        ...config,
        producerLingerMs: Math.max(BULK_LINGER_MS, config.producerLingerMs),
        producerBatchSize: Math.max(BULK_BATCH_SIZE, config.producerBatchSize),
      };
      const options = { clientId: `ssom-${role}-bulk`, onRefusal: this.#noteRefusal };
      return Producer.connect(brokers, bulk, logger, options);
    }).then((producer) => {
      this.#producers.push(producer);
      this.#metrics.addProducer('bulk', producer);
      return this.#wrapped(producer);
    });
    return this.#bulkProducer;
  }

  #wrapped(producer: Producer): Producer {
    return this.deps.wrapProducer?.(producer) ?? producer;
  }

  /** A member of a group, which alarms watch for lag. @throws the signal's reason */
  async subscribe(
    topics: readonly string[],
    groupId: string,
    options: Pick<ConsumerOptions, 'onRevoke' | 'fetchMinBytes'>,
    signal: AbortSignal,
  ): Promise<Consumer> {
    const { config, brokers, logger, readiness } = this.deps;
    const all = { ...options, ...this.#optionsOf(groupId) };
    const consumer = await this.#untilKafkaAnswers(signal, () =>
      Consumer.subscribe(brokers, config, logger, topics, all),
    );
    this.#keep(consumer, groupId, signal);
    void watchMembership(readiness, consumer, groupId, signal);
    return consumer;
  }

  /** Reads all partitions of topics from now on. @throws the signal's reason */
  async broadcast(
    topics: readonly string[],
    groupId: string,
    onBegin: () => void,
    signal: AbortSignal,
  ): Promise<Consumer> {
    const { config, brokers, logger } = this.deps;
    const options = { onBegin, ...this.#optionsOf(groupId) };
    const consumer = await this.#untilKafkaAnswers(signal, () =>
      Consumer.broadcast(brokers, config, logger, topics, options),
    );
    this.#keep(consumer, groupId, signal);
    return consumer;
  }

  #untilKafkaAnswers<T extends Client>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { readiness, brokers } = this.deps;
    const connect = async () => {
      const client = await attempt().catch(sayingRefusal);
      if (!signal.aborted) return client;
      await client.close();
      throw signal.reason as Error;
    };
    return readiness.untilItWorks('kafka', brokers.bootstrapServers, signal, () => this.#connecting.track(connect()));
  }

  /** Of one broker, which is not all of Kafka: whether that is there the probe decides. */
  readonly #noteRefusal = ({ message }: KafkaRefusal): void => this.deps.readiness.refused('kafka', message);

  #optionsOf(groupId: string): ConsumerOptions {
    const { role, alarms } = this.deps;
    alarms.watch(groupId);
    return {
      clientId: `ssom-${role}`,
      groupId,
      onRefusal: this.#noteRefusal,
      lags: {
        note: (topic, partition, lag, last) =>
          alarms.lag(groupId, topic, partition, lag, () => this.describe(last === undefined ? [] : [last])),
        forget: () => alarms.forget(groupId),
      },
    };
  }

  #keep(consumer: Consumer, groupId: string, signal: AbortSignal): void {
    this.#readers.push(consumer);
    this.#metrics.addConsumer(groupId, consumer);
    this.#watchBrokers(consumer, signal);
  }

  /** What is to be said of records: a trace, and the alerts as far as they can be read. */
  describe(records: readonly IncomingRecord[]): Processed {
    const events = this.#events;
    const described = events === undefined ? [] : records.map((record) => describeRecord(events, record));
    return {
      traceparent: described.find(({ traceparent }) => traceparent !== undefined)?.traceparent,
      alertIds: [...new Set(described.flatMap(({ alertIds }) => alertIds))],
    };
  }

  /** Shows how far groups are behind, also those of which no consumer runs. */
  observeGroups(groups: readonly WatchedGroup[], signal: AbortSignal): void {
    const { config, role, brokers, logger, metrics } = this.deps;
    // The in-process broker ends with its consumers, and takes no such questions.
    if (brokers.inProcess) return;
    const groupLag = new GroupLag(brokers, config, logger, `ssom-${role}-groups`, groups);
    this.#readers.push(groupLag);
    metrics.gauge('ssom.kafka.group.lag', 'Records that a group has not committed, as the broker sees it.', () =>
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
   * All that read at once, then all that publish. One that still connects, by TLS above all, would end the process with
   * SIGSEGV: it is waited for.
   */
  async #close(): Promise<void> {
    await this.#closeAll([...this.#readers, { close: () => this.#connecting.over(CONNECT_MS) }]);
    await this.#closeAll(this.#producers);
  }

  async #closeAll(clients: readonly { close(): Promise<unknown> }[]): Promise<void> {
    for (const each of await Promise.allSettled(clients.map((client) => client.close())))
      if (each.status === 'rejected')
        this.deps.logger.error({ err: each.reason as Error }, 'a Kafka client could not be closed');
  }
}

/** While the registry is away nothing can be registered; whether we know enough all the same opening shows. */
function unlessAway(error: unknown): void {
  if (!isRegistryAway(error)) throw error;
}

/** @throws Refused if brokers are there and let us not in, else the error */
function sayingRefusal(error: unknown): never {
  throw error instanceof KafkaRefusal ? new Refused(error.message, { cause: error }) : error;
}
