import type { Config } from '../config/load.js';
import type { Logger } from '../logging.js';
import { RECORD_BYTES } from './record-bytes.js';
import { type SecurityConfig, securitySettings, type Settings } from './security-settings.js';

export type KafkaConfig = SecurityConfig &
  Pick<
    Config,
    | 'kafkaSocketTimeoutMs'
    | 'producerRetries'
    | 'producerBatchSize'
    | 'producerLingerMs'
    | 'producerBufferMemory'
    | 'producerCompressionType'
    | 'producerRequestTimeoutMs'
    | 'producerDeliveryTimeoutMs'
    | 'consumerFetchMinBytes'
    | 'consumerSessionTimeoutMs'
    | 'consumerHeartbeatIntervalMs'
    | 'processingTimeoutMs'
    | 'consumerStallMs'
  >;

/** Where the brokers are. `inProcess` is librdkafka's own broker, which wants other fetch settings. */
export interface Brokers {
  readonly bootstrapServers: string;
  readonly inProcess: boolean;
}

function common(brokers: Brokers, config: KafkaConfig, clientId: string, logger: Logger): Settings {
  return {
    'bootstrap.servers': brokers.bootstrapServers,
    'client.id': clientId,
    ...securitySettings(config, logger),
    'allow.auto.create.topics': brokers.inProcess,
    // librdkafka's defaults reach 10 s between tries; a broker that is back should be noticed at once.
    'reconnect.backoff.ms': 100,
    'reconnect.backoff.max.ms': 2000,
    // How soon a topic that was recreated is noticed: a group that formed before it has nothing assigned until then.
    'topic.metadata.refresh.interval.ms': 5000,
    'socket.keepalive.enable': true,
    // How long a request may go unanswered before its connection is taken for dead. With librdkafka's 60 s three hops
    // over connections that a router had forgotten took 160 s to recover, one after the other; see test/labs/faults.
    'socket.timeout.ms': config.kafkaSocketTimeoutMs,
    'socket.nagle.disable': true,
    'statistics.interval.ms': 5000,
  };
}

export function adminSettings(brokers: Brokers, config: KafkaConfig, clientId: string, logger: Logger): Settings {
  return common(brokers, config, clientId, logger);
}

/** Settings of a producer that loses nothing, keeps order and places keys as Java does. */
export function producerSettings(brokers: Brokers, config: KafkaConfig, clientId: string, logger: Logger): Settings {
  return {
    ...common(brokers, config, clientId, logger),
    acks: -1,
    'enable.idempotence': true,
    // librdkafka's own default is CRC32, which places keys elsewhere than Java's clients.
    partitioner: 'murmur2_random',
    // "retries" of the guide are of one request. With idempotence they are safe; the delivery time-out bounds them all.
    retries: config.producerRetries,
    'batch.size': config.producerBatchSize,
    'linger.ms': config.producerLingerMs,
    'queue.buffering.max.kbytes': Math.ceil(config.producerBufferMemory / 1024),
    'compression.type': config.producerCompressionType,
    // Of an uncompressed record, whereas a broker's limit is one of compressed bytes: a record of many equal bytes that
    // it took must fit into the dead letters, or its partition would stand still. Up to 2 MiB compressed their topics
    // take.
    'message.max.bytes': Math.max(RECORD_BYTES.deadLetter, Math.min(config.producerBufferMemory, 1_000_000_000)),
    'request.timeout.ms': config.producerRequestTimeoutMs,
    'message.timeout.ms': config.producerDeliveryTimeoutMs,
    dr_cb: true,
  };
}

export function consumerSettings(
  brokers: Brokers,
  config: KafkaConfig,
  clientId: string,
  groupId: string,
  logger: Logger,
): Settings {
  return {
    ...common(brokers, config, clientId, logger),
    'group.id': groupId,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'session.timeout.ms': config.consumerSessionTimeoutMs,
    'heartbeat.interval.ms': config.consumerHeartbeatIntervalMs,
    'partition.assignment.strategy': 'range,roundrobin',
    // A batch takes at most the processing time-out, and a publish within it the delivery time-out.
    'max.poll.interval.ms': Math.max(
      300_000,
      2 * (config.processingTimeoutMs + config.producerDeliveryTimeoutMs),
      config.consumerSessionTimeoutMs,
    ),
    'fetch.min.bytes': config.consumerFetchMinBytes,
    // The in-process broker answers a fetch only after this wait, data or not: 500 would be 250 ms of latency.
    'fetch.wait.max.ms': brokers.inProcess ? 1 : 500,
    // After an error on one partition librdkafka waits this long; 500 ms by default is felt after every hiccup.
    'fetch.error.backoff.ms': 100,
    // What is fetched ahead of the handler, for all partitions together, and what one answer may bring on top of that.
    'queued.max.messages.kbytes': 16_384,
    'fetch.max.bytes': 16_777_216,
    // For each partition. A small record takes ten times its bytes in librdkafka: with 1 MiB (its default) and 10,000
    // records delivery held 481 MB while it worked off 1,000,000, with these 294 MB, at the same 20,000/s. What is
    // larger still comes.
    'max.partition.fetch.bytes': 262_144,
    'queued.min.messages': 2000,
    // How long a partition that has as many is left alone; 1 s by default, in which a batch loop could run dry.
    'fetch.queue.backoff.ms': 100,
  };
}
