import type { Config } from '../config/load.js';

export type KafkaConfig = Pick<
  Config,
  | 'kafkaSecurityProtocol'
  | 'kafkaSaslMechanism'
  | 'kafkaSaslUsername'
  | 'kafkaSaslPassword'
  | 'kafkaSslCaLocation'
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
  | 'maxAcceptableLag'
  | 'consumerStallMs'
>;

/** Where the brokers are. `inProcess` is librdkafka's own broker, which wants other fetch settings. */
export interface Brokers {
  readonly bootstrapServers: string;
  readonly inProcess: boolean;
}

type Settings = Record<string, string | number | boolean>;

function common(brokers: Brokers, config: KafkaConfig, clientId: string): Settings {
  const settings: Settings = {
    'bootstrap.servers': brokers.bootstrapServers,
    'client.id': clientId,
    'security.protocol': config.kafkaSecurityProtocol.toLowerCase(),
    'allow.auto.create.topics': brokers.inProcess,
    // librdkafka's defaults reach 10 s between tries; a broker that is back should be noticed at once.
    'reconnect.backoff.ms': 100,
    'reconnect.backoff.max.ms': 2000,
    // How soon a topic that was made anew is noticed: a group that formed before it has nothing assigned until then.
    'topic.metadata.refresh.interval.ms': 5000,
    'socket.keepalive.enable': true,
    'socket.nagle.disable': true,
    'statistics.interval.ms': 5000,
  };
  if (config.kafkaSaslUsername !== '') {
    settings['sasl.mechanism'] = config.kafkaSaslMechanism;
    settings['sasl.username'] = config.kafkaSaslUsername;
    settings['sasl.password'] = config.kafkaSaslPassword;
  }
  if (config.kafkaSslCaLocation !== '') settings['ssl.ca.location'] = config.kafkaSslCaLocation;
  return settings;
}

/** Settings of a producer that loses nothing, keeps order and places keys as Java does. */
export function producerSettings(brokers: Brokers, config: KafkaConfig, clientId: string): Settings {
  return {
    ...common(brokers, config, clientId),
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
    // Twice what a topic takes: a dead letter is a record and the reason in headers. Its topic takes as much.
    'message.max.bytes': 2_097_152,
    'request.timeout.ms': config.producerRequestTimeoutMs,
    'message.timeout.ms': config.producerDeliveryTimeoutMs,
    dr_cb: true,
  };
}

export function consumerSettings(brokers: Brokers, config: KafkaConfig, clientId: string, groupId: string): Settings {
  return {
    ...common(brokers, config, clientId),
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
    // What is fetched ahead of the handler: bounded in number and in bytes, for all partitions together.
    'queued.min.messages': 10_000,
    'queued.max.messages.kbytes': 16_384,
  };
}
