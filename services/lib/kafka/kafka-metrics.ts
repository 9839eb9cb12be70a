import type { Metrics, Reading } from '../telemetry/metrics.js';
import type { RequestTimes } from './client-statistics.js';
import type { Consumer } from './consumer.js';
import { type Producer, WAITING_MAX } from './producer.js';

/** librdkafka's queue.buffering.max.messages. */
const PRODUCER_QUEUE_MAX = 100_000;

/** The metrics of all Kafka clients of a process, read from them when somebody asks. */
export class KafkaMetrics {
  readonly #producers: { readonly producer: Producer; readonly name: string }[] = [];
  readonly #consumers: { readonly consumer: Consumer; readonly group: string }[] = [];

  constructor(private readonly metrics: Metrics) {
    metrics.gauge(
      'ssom.kafka.request.duration',
      "Time from a request to a broker's answer in the last 5 s, by client; a consumer's fetch waits up to 500 ms.",
      () => [
        ...this.#producers.flatMap(({ name, producer }) => times(`producer-${name}`, producer.statistics.requestTimes)),
        ...this.#consumers.flatMap(({ group, consumer }) => times(group, consumer.progress.requestTimes)),
      ],
      's',
    );
    this.#observeProducers();
    this.#observeConsumers();
  }

  addProducer(name: string, producer: Producer): void {
    this.#producers.push({ name, producer });
    this.metrics.queue(`producer_${name}`, () => producer.stats.inFlight, PRODUCER_QUEUE_MAX);
    this.metrics.queue(`producer_${name}_publishers`, () => producer.stats.waiting, WAITING_MAX);
  }

  addConsumer(group: string, consumer: Consumer): void {
    this.#consumers.push({ group, consumer });
  }

  get producers(): readonly Producer[] {
    return this.#producers.map(({ producer }) => producer);
  }

  get consumers(): readonly Consumer[] {
    return this.#consumers.map(({ consumer }) => consumer);
  }

  #observeProducers(): void {
    const { metrics } = this;
    const ofEach = (read: (producer: Producer) => number) => (): Reading =>
      this.#producers.map(({ name, producer }) => ({ value: read(producer), attributes: { producer: name } }));
    metrics.total(
      'ssom.kafka.producer.records.sent',
      'Records that Kafka has acknowledged.',
      ofEach(({ totals }) => totals.sent),
    );
    metrics.total(
      'ssom.kafka.producer.records.failed',
      'Records that Kafka has not acknowledged; most are tried again.',
      ofEach(({ totals }) => totals.failed),
    );
    metrics.gauge(
      'ssom.kafka.producer.queue',
      "Records in librdkafka's queue.",
      ofEach(({ statistics }) => statistics.queued),
    );
    metrics.gauge('ssom.kafka.producer.records', 'Records in each producer, by state.', () =>
      this.#producers.flatMap(({ name, producer }) => [
        { value: producer.stats.inFlight, attributes: { producer: name, state: 'in_flight' } },
        { value: producer.stats.waiting, attributes: { producer: name, state: 'publishers_waiting' } },
      ]),
    );
    const ofTopics = (read: 'bytes' | 'records') => (): Reading =>
      this.#producers.flatMap(({ name, producer }) =>
        [...producer.statistics.batches].map(([topic, means]) => ({
          value: means[read],
          attributes: { producer: name, topic },
        })),
      );
    metrics.gauge(
      'ssom.kafka.producer.batch.size',
      'Mean bytes of a batch, in the last 5 s with any.',
      ofTopics('bytes'),
    );
    metrics.gauge(
      'ssom.kafka.producer.batch.records',
      'Mean records of a batch, in the last 5 s with any.',
      ofTopics('records'),
    );
  }

  #observeConsumers(): void {
    const { metrics } = this;
    const ofEach = (read: (consumer: Consumer) => number) => (): Reading =>
      this.#consumers.map(({ group, consumer }) => ({ value: read(consumer), attributes: { group } }));
    metrics.total('ssom.kafka.consumer.records.consumed', 'Records that were handed to their handler.', () =>
      this.#consumers.flatMap(({ group, consumer }) =>
        consumer.progress.consumed.map(({ topic, partition, records }) => ({
          value: records,
          attributes: { group, topic, partition: String(partition) },
        })),
      ),
    );
    metrics.total(
      'ssom.kafka.consumer.commits',
      'Commits of positions.',
      ofEach(({ totals }) => totals.commits),
    );
    metrics.total(
      'ssom.kafka.consumer.commit.failures',
      'Commits that failed: their records come again.',
      ofEach(({ totals }) => totals.commitFailures),
    );
    metrics.total(
      'ssom.kafka.consumer.rebalances',
      'Times that partitions were assigned.',
      ofEach(({ totals }) => totals.rebalances),
    );
    metrics.total(
      'ssom.kafka.consumer.pauses',
      'Times that a consumer paused: something that its records need was away.',
      ofEach(({ totals }) => totals.pauses),
    );
    metrics.total(
      'ssom.kafka.consumer.records.skipped',
      'Records that were removed from Kafka before they were read.',
      ofEach(({ totals }) => totals.skipped),
    );
    metrics.gauge(
      'ssom.kafka.consumer.paused',
      'Whether the consumer is paused now.',
      ofEach(({ paused }) => (paused ? 1 : 0)),
    );
    metrics.gauge(
      'ssom.kafka.consumer.replaced',
      'Times that a consumer was replaced, since it stalled or its topics were recreated, by group.',
      ofEach(({ replaced }) => replaced),
    );
    metrics.gauge(
      'ssom.kafka.consumer.fetched.bytes',
      'Bytes that were fetched ahead of the handler, by group; bounded at 16 MiB and a fetch.',
      ofEach(({ progress }) => progress.fetchedBytes),
    );
    metrics.gauge(
      'ssom.kafka.consumer.parked',
      'Partitions that wait for a record that failed alone, by group.',
      ofEach(({ parked }) => parked),
    );
    metrics.gauge('ssom.kafka.consumer.lag', 'Records behind the end of the partition, by group.', () =>
      this.#consumers.flatMap(({ group, consumer }) =>
        consumer.progress.lag.map(({ topic, partition, lag }) => ({
          value: lag,
          attributes: { topic, partition: String(partition), group },
        })),
      ),
    );
  }
}

function times(client: string, { p50, p99 }: RequestTimes) {
  return [
    { value: p50, attributes: { client, quantile: '0.5' } },
    { value: p99, attributes: { client, quantile: '0.99' } },
  ];
}
