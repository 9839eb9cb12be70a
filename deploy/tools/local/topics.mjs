// The topics of the alert service, created with Kafka's own tool: over any cluster, secured or not.
import { fileURLToPath } from 'node:url';
import { fetchKafka } from './download.mjs';
import { StackError } from './errors.mjs';
import { java, run } from './tools.mjs';

/** @typedef {import('./stack.mjs').Topic} Topic */
/** @typedef {import('./stack.mjs').TopicFound} TopicFound */

const DAY_MS = 86_400_000;
/** Whatever a cluster's default is: compaction takes all records of a key but the last. */
const NOT_COMPACTED = { 'cleanup.policy': 'delete' };
/** A broker's default: the largest alert fits. */
const MESSAGE_BYTES = 1_048_588;
const LOG4J = fileURLToPath(new URL('log4j2-tools.properties', import.meta.url));

/**
 * @param {NodeJS.ProcessEnv} [env] KAFKA_TOPIC_ALERT_CREATED, KAFKA_TOPIC_USER_ALERT and KAFKA_TOPIC_INBOX_CHANGE
 * rename them
 * @returns {Topic[]}
 */
export function alertTopics(env = {}) {
  const alertCreated = env['KAFKA_TOPIC_ALERT_CREATED'] || 'alert-created-topic';
  const userAlert = env['KAFKA_TOPIC_USER_ALERT'] || 'user-alert-topic';
  const inboxChange = env['KAFKA_TOPIC_INBOX_CHANGE'] || 'inbox-change-topic';
  return [
    { name: alertCreated, partitions: 3, config: NOT_COMPACTED },
    { name: userAlert, partitions: 10, config: NOT_COMPACTED },
    // A hint that makes streams fast; PostgreSQL holds the truth, so a day is enough to look back for a reason.
    { name: inboxChange, partitions: 10, config: { ...NOT_COMPACTED, 'retention.ms': DAY_MS } },
    // A month: long enough that a dead letter found after a holiday can still be redriven. One partition: few
    // records, read by a person, in the order in which they failed.
    ...[alertCreated, userAlert, inboxChange].map((name) => ({
      name: `${name}-dlq`,
      partitions: 1,
      config: {
        'retention.ms': 30 * DAY_MS,
        // Twice a broker's default: a record of the largest size and the reason in headers.
        'max.message.bytes': 2_097_152,
        ...NOT_COMPACTED,
        // A role's clock may be wrong.
        'message.timestamp.type': 'LogAppendTime',
      },
    })),
  ];
}

/**
 * What is set wrongly, each with what it should be. A setting that is not there has Kafka's default.
 * @param {Topic} wanted
 * @param {TopicFound} found
 * @param {number} replicationFactor
 * @returns {string[]}
 */
export function wrongSettings({ config = {} }, found, replicationFactor) {
  const number = (/** @type {string} */ key, /** @type {number} */ fallback) => Number(found.config[key] ?? fallback);
  const policy = found.config['cleanup.policy'] ?? 'delete';
  const bytes = Number(config['max.message.bytes'] ?? MESSAGE_BYTES);
  const retentionMs = Number(config['retention.ms'] ?? DAY_MS);
  const [insync, wantedInsync] = [number('min.insync.replicas', 1), replicationFactor >= 3 ? 2 : 1];
  const wrong = [];
  if (policy !== 'delete') wrong.push(`cleanup.policy=${policy}: must be delete, or records of the same key are lost`);
  if (number('max.message.bytes', MESSAGE_BYTES) < bytes)
    wrong.push(`max.message.bytes=${found.config['max.message.bytes'] ?? MESSAGE_BYTES}: must be at least ${bytes}`);
  // Kafka's default is 7 days; -1 is for ever.
  const keptMs = number('retention.ms', 7 * DAY_MS);
  if (keptMs !== -1 && keptMs < retentionMs)
    wrong.push(`retention.ms=${keptMs}: must be at least ${retentionMs}, or records are removed before they are read`);
  if (insync > found.replicas)
    wrong.push(`min.insync.replicas=${insync}: must be at most the replication factor, ${found.replicas}`);
  else if (insync < wantedInsync)
    wrong.push(`min.insync.replicas=${insync}: must be ${wantedInsync}, or what was acknowledged can be lost`);
  if (found.replicas < replicationFactor)
    wrong.push(`replication factor ${found.replicas}: must be at least ${replicationFactor}`);
  return wrong;
}

/**
 * @param {string} text of kafka-topics.sh --describe
 * @returns {Map<string, TopicFound>}
 */
export function readDescription(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const topic = /^Topic: (\S+)\s.*PartitionCount: (\d+)\s+ReplicationFactor: (\d+)\s+Configs: ?(\S*)/.exec(line);
    if (topic === null) continue;
    const [, name, partitions, replicas, configs = ''] = topic;
    // A value may have commas: cleanup.policy=compact,delete.
    const pairs = configs
      .split(/,(?=[a-z.]+=)/)
      .filter(Boolean)
      .map((pair) => pair.split('='));
    found.set(name, { partitions: Number(partitions), replicas: Number(replicas), config: Object.fromEntries(pairs) });
  }
  return found;
}

/**
 * Creates the topics that are missing. One that exists is left alone, whatever it has: wrong settings and partitions
 * are reported, not changed, because more partitions move keys to other ones and break the order per user while both
 * are read.
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

  let described;
  try {
    described = await tool(['--describe', '--exclude-internal']);
  } catch (error) {
    throw new StackError(
      `no topics were read from Kafka at ${bootstrap}. Is it running? ${/** @type {Error} */ (error).message}`,
    );
  }
  const found = readDescription(described);
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
  return topics.map((topic) => {
    const { name, partitions: wanted } = topic;
    const before = found.get(name);
    if (before === undefined) return { name, partitions: wanted, wanted, state: 'created', wrong: [] };
    const { partitions } = before;
    const state = partitions === wanted ? 'exists' : 'differs';
    return { name, partitions, wanted, state, wrong: wrongSettings(topic, before, replicationFactor) };
  });
}
