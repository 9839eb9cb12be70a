// The topics of the alert service, created with Kafka's own tool: over any cluster, secured or not.
import { fileURLToPath } from 'node:url';
import { fetchKafka } from './download.mjs';
import { StackError } from './errors.mjs';
import { java, run } from './tools.mjs';

/** @typedef {import('./stack.mjs').Topic} Topic */

const DAY_MS = 86_400_000;
const LOG4J = fileURLToPath(new URL('log4j2-tools.properties', import.meta.url));

/**
 * @param {NodeJS.ProcessEnv} [env] KAFKA_TOPIC_ALERT_CREATED, KAFKA_TOPIC_USER_ALERT and KAFKA_TOPIC_INBOX_CHANGE rename them
 * @returns {Topic[]}
 */
export function alertTopics(env = {}) {
  const alertCreated = env['KAFKA_TOPIC_ALERT_CREATED'] || 'alert-created-topic';
  const userAlert = env['KAFKA_TOPIC_USER_ALERT'] || 'user-alert-topic';
  const inboxChange = env['KAFKA_TOPIC_INBOX_CHANGE'] || 'inbox-change-topic';
  return [
    { name: alertCreated, partitions: 3 },
    { name: userAlert, partitions: 10 },
    // A hint that makes streams fast; PostgreSQL holds the truth, so a day is enough to look back for a reason.
    { name: inboxChange, partitions: 10, config: { 'retention.ms': DAY_MS } },
    // A month: long enough that a dead letter found after a holiday can still be redriven. One partition: few
    // records, read by a person, in the order in which they failed.
    ...[alertCreated, userAlert, inboxChange].map((name) => ({
      name: `${name}-dlq`,
      partitions: 1,
      config: {
        'retention.ms': 30 * DAY_MS,
        // Twice a broker's default: a record of the largest size and the reason in headers.
        'max.message.bytes': 2_097_152,
        // Whatever a cluster's defaults are: compaction loses letters of the same key, and a role's clock may be wrong.
        'cleanup.policy': 'delete',
        'message.timestamp.type': 'LogAppendTime',
      },
    })),
  ];
}

/**
 * Creates the topics that are missing. One that exists is left alone, whatever it has: partitions are reported, not
 * changed, because raising them moves keys to other partitions and breaks the order per user while both are read.
 * @param {import('./stack.mjs').TopicOptions} options
 * @returns {Promise<import('./stack.mjs').TopicResult[]>}
 * @throws {StackError}
 */
export async function createTopics({
  bootstrap,
  topics = alertTopics(),
  replicationFactor = 1,
  commandConfig,
  downloads,
  progress,
}) {
  const command = java();
  const libs = await fetchKafka({ downloads, progress });
  const jvm = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Dlog4j2.configurationFile=${LOG4J}`];
  const connection = ['--bootstrap-server', bootstrap, ...(commandConfig ? ['--command-config', commandConfig] : [])];
  /** @param {string[]} args */
  const tool = (args) =>
    run(command, [...jvm, '-cp', `${libs}/*`, 'org.apache.kafka.tools.TopicCommand', ...connection, ...args]);

  /** @type {Map<string, number>} */
  const found = new Map();
  let described;
  try {
    described = await tool(['--describe', '--exclude-internal']);
  } catch (error) {
    throw new StackError(
      `no topics were read from Kafka at ${bootstrap}. Is it running? ${/** @type {Error} */ (error).message}`,
    );
  }
  for (const line of described.split('\n')) {
    const topic = /^Topic: (\S+)\s.*PartitionCount: (\d+)/.exec(line);
    if (topic?.[1] !== undefined) found.set(topic[1], Number(topic[2]));
  }
  const create = async (/** @type {Topic} */ { name, partitions, config }) => {
    const settings = Object.entries({
      // With three replicas acks=all means two of them; with the default of 1 it would mean the leader alone.
      ...(replicationFactor >= 3 ? { 'min.insync.replicas': 2 } : {}),
      ...config,
    }).flatMap(([key, value]) => ['--config', `${key}=${value}`]);
    const size = ['--partitions', String(partitions), '--replication-factor', String(replicationFactor)];
    await tool(['--create', '--if-not-exists', '--topic', name, ...size, ...settings]);
  };
  // Together: one by one it is a second each, most of it the start of a JVM.
  await Promise.all(topics.filter(({ name }) => !found.has(name)).map(create));
  return topics.map(({ name, partitions: wanted }) => {
    const partitions = found.get(name);
    const state = partitions === undefined ? 'created' : partitions === wanted ? 'exists' : 'differs';
    return { name, partitions: partitions ?? wanted, wanted, state };
  });
}
