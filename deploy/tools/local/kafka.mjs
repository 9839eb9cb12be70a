// Kafka: a KRaft node that is broker and controller in one. KRaft replaced ZooKeeper: nothing listens on 2181, and
// the controller's port (9093) is not for clients.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDaemon } from './daemon.mjs';
import { fetchKafka } from './download.mjs';
import { defaultDir, pathsOf } from './paths.mjs';
import { choosePorts, exchange, freePorts, LOOPBACK } from './ports.mjs';
import { linesOf, nodeIdentity, secureBroker } from './secure-kafka.mjs';
import { java, run } from './tools.mjs';

/**
 * The old guide gave a broker -Xmx1G -Xms1G and -XX:+UseG1GC -XX:MaxGCPauseMillis=20 (KAFKA_HEAP_OPTS and
 * KAFKA_JVM_PERFORMANCE_OPTS, both still honoured). Measured: 240 MB idle and 580 MB under load with 512 MB of heap,
 * and 256 MB of heap also works, so a developer's machine need not give a gigabyte.
 */
export const KAFKA_HEAP = '-Xmx512m -Xms256m';
export const KAFKA_JVM = '-XX:+UseG1GC';

const LOG4J = fileURLToPath(new URL('log4j2-kafka.properties', import.meta.url));

/** @param {string} options as the shell would split them @returns {string[]} */
const words = (options) => options.split(/\s+/).filter((word) => word !== '');

/**
 * @param {{ nodeId: number, port: number, controllerPort: number, controllers: string, replicas: number, data: string,
 *   settings: Record<string, string | number | boolean> }} node
 */
function serverProperties({ nodeId, port, controllerPort, controllers, replicas, data, settings }) {
  const properties = {
    'node.id': nodeId,
    'process.roles': 'broker,controller',
    'controller.quorum.bootstrap.servers': controllers,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
    // The address, not "localhost": that also means ::1, where nothing listens, and clients would try it first.
    'advertised.listeners': `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': path.join(data, 'log'),
    // A topic is created by create-topics.sh, with its partitions; a misspelt name shall fail.
    'auto.create.topics.enable': false,
    'default.replication.factor': replicas,
    'min.insync.replicas': Math.max(1, replicas - 1),
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': Math.max(1, replicas - 1),
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': Math.max(1, replicas - 1),
    'share.coordinator.state.topic.num.partitions': 4,
    'group.initial.rebalance.delay.ms': 0, // 3 s by default: every test's first poll would wait
    'log.cleaner.dedupe.buffer.size': 16_777_216, // 128 MiB by default, half the heap
    // After kill -9 a restart waits until the old registration expires (9 s by default). These make it 5 s.
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.fetch.timeout.ms': 2000,
    ...settings,
  };
  return linesOf(properties);
}

/**
 * Formats the storage once. The work is done in a folder that is renamed at the end: an interrupted format leaves
 * nothing that looks finished. Storage and settings are two things: the settings are written anew at every start.
 * @param {{ java: string, libs: string, data: string, properties: string, clusterId: string | undefined, arguments:
 * string[] }} node
 */
async function format({ java: command, libs, data, properties, clusterId, arguments: more }) {
  const log = path.join(data, 'log');
  if (existsSync(log)) return;
  const unfinished = path.join(data, 'unfinished');
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  const config = path.join(unfinished, 'server.properties');
  await writeFile(
    config,
    properties.replace(/^log\.dirs=.*$/m, () => `log.dirs=${path.join(unfinished, 'log')}`),
  );
  const tool = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Dlog4j2.configurationFile=${LOG4J}`];
  const storage = [...tool, '-cp', `${libs}/*`, 'kafka.tools.StorageTool'];
  const id = clusterId ?? (await run(command, [...storage, 'random-uuid'])).trim().split('\n').at(-1) ?? '';
  await run(command, [...storage, 'format', ...more, '-t', id, '-c', config]);
  await rename(path.join(unfinished, 'log'), log);
  await rm(unfinished, { recursive: true });
}

/**
 * Whether the broker has joined its cluster: its metadata names itself among the live brokers. One that is still
 * fenced, after a kill -9, accepts connections but is not in its own list.
 * @param {number} port
 * @param {import('node:tls').ConnectionOptions} [tls] by what the node knows us; without it the port is open
 */
export async function kafkaAnswers(port, tls) {
  const clientId = 'ssom-local';
  // Metadata request, version 1: header (api key 3, version, correlation id, client id), then no topics.
  const request = Buffer.alloc(4 + 10 + clientId.length + 4);
  request.writeInt32BE(request.length - 4, 0);
  request.writeInt16BE(3, 4);
  request.writeInt16BE(1, 6);
  request.writeInt32BE(1, 8);
  request.writeInt16BE(clientId.length, 12);
  request.write(clientId, 14, 'latin1');
  const answer = await exchange(port, request, (got) => got.length >= 4 && got.length >= 4 + got.readInt32BE(0), tls);
  // Length, correlation id, then the brokers: node id, host, port, rack (-1: none).
  let at = 12;
  for (let brokers = answer.readInt32BE(8); brokers > 0; brokers--) {
    const afterHost = at + 4 + 2 + answer.readInt16BE(at + 4);
    if (answer.readInt32BE(afterHost) === port) return true;
    at = afterHost + 4 + 2 + Math.max(0, answer.readInt16BE(afterHost + 4));
  }
  return false;
}

/**
 * @param {import('./stack.mjs').KafkaOptions} [options]
 * @returns {Promise<import('./stack.mjs').Kafka>}
 */
export async function startKafka(options = {}) {
  const { dir = defaultDir, name = 'kafka', nodeId = 1, heap = KAFKA_HEAP, jvm = KAFKA_JVM, progress } = options;
  const data = pathsOf(dir, name).data;
  const { secure } = options;
  const ports = await choosePorts({
    kafka: options.port ?? 9092,
    controller: options.controllerPort ?? 9093,
    ...(secure === undefined ? {} : { mtls: options.mtlsPort ?? 9094 }),
  });
  const cluster = options.cluster ?? {
    controllers: `${LOOPBACK}:${ports.controller}`,
    quorum: ['--standalone'],
    replicas: 1,
    id: undefined,
  };
  const daemon = await startDaemon({
    dir,
    name,
    ports,
    variables: { kafka: 'KAFKA_PORT', controller: 'KAFKA_CONTROLLER_PORT', mtls: 'KAFKA_MTLS_PORT' },
    killAtExit: options.killAtExit,
    progress,
    readyMs: 60_000,
    ready: (used) => answersAs(used, secure),
    async prepare() {
      const command = java();
      const libs = await fetchKafka({ downloads: options.downloads, progress });
      const security =
        secure === undefined
          ? { settings: {}, jvm: [], format: [] }
          : await secureBroker(secure.folder, data, { mtls: 0, ...ports });
      const properties = serverProperties({
        nodeId,
        port: ports.kafka,
        controllerPort: ports.controller,
        controllers: cluster.controllers,
        replicas: cluster.replicas,
        data,
        settings: { ...security.settings, ...options.settings },
      });
      const more = [...cluster.quorum, ...security.format];
      await format({ java: command, libs, data, properties, clusterId: cluster.id, arguments: more });
      const config = path.join(data, 'server.properties');
      await writeFile(config, properties);
      const own = ['-XX:+ExitOnOutOfMemoryError', ...security.jvm, `-Dlog4j2.configurationFile=${LOG4J}`];
      const args = [...words(heap), ...words(jvm), ...own, '-cp', `${libs}/*`, 'kafka.Kafka', config];
      return { command, args, cwd: data };
    },
  });
  const port = daemon.ports['kafka'] ?? ports.kafka;
  const mtls = daemon.ports['mtls'];
  return {
    ...daemon,
    port,
    address: `${LOOPBACK}:${port}`,
    bootstrap: `${LOOPBACK}:${port}`,
    mtlsBootstrap: mtls === undefined ? undefined : `${LOOPBACK}:${mtls}`,
  };
}

/**
 * Whether the broker answers on its ports; a secured one is asked where certificates count.
 * @param {Record<string, number>} ports
 * @param {import('./stack.mjs').Secure | undefined} secure
 */
export function answersAs({ kafka = 0, mtls }, secure) {
  if (secure === undefined) return kafkaAnswers(kafka);
  return kafkaAnswers(mtls ?? 0, nodeIdentity(secure.folder));
}

/**
 * @param {import('./stack.mjs').KafkaClusterOptions} [options]
 * @returns {Promise<import('./stack.mjs').KafkaCluster>}
 */
export async function startKafkaCluster(options = {}) {
  const { brokers: count = 3, ports: given, heap = '-Xmx384m -Xms128m', name = 'kafka', settings, ...shared } = options;
  const free = given ? [] : await freePorts(2 * count);
  const ports =
    given ??
    Array.from({ length: count }, (_, i) => ({ port: free[2 * i] ?? 0, controllerPort: free[2 * i + 1] ?? 0 }));
  const voters = ports.map(({ controllerPort }, i) => `${i + 1}@${LOOPBACK}:${controllerPort}:${uuid(i + 1)}`);
  const cluster = {
    id: uuid(0),
    controllers: ports.map(({ controllerPort }) => `${LOOPBACK}:${controllerPort}`).join(','),
    quorum: ['--initial-controllers', voters.join(',')],
    replicas: Math.min(3, count),
  };
  /** @param {number} i */
  const start = (i) =>
    startKafka({
      ...shared,
      ...ports[i],
      settings: typeof settings === 'function' ? settings(i) : settings,
      heap,
      name: `${name}-${i + 1}`,
      nodeId: i + 1,
      cluster,
    });
  // Together: a single controller of three has no majority, so none would become ready alone.
  const started = await Promise.allSettled(ports.map((_, i) => start(i)));
  const brokers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed) {
    await Promise.all(brokers.map((broker) => broker.stop()));
    throw failed.reason;
  }
  return {
    brokers,
    bootstrap: brokers.map((broker) => broker.bootstrap).join(','),
    async restart(index) {
      return (brokers[index] = await start(index));
    },
    async stop() {
      await Promise.all(brokers.map((broker) => broker.stop()));
    },
  };
}

/**
 * Kafka's text form of a UUID, made from a small number: the same cluster gets the same ids at every start.
 * @param {number} n
 */
function uuid(n) {
  const bytes = Buffer.alloc(16);
  bytes.write('ssom-local', 0, 'latin1');
  bytes.writeUInt32BE(n, 12);
  return bytes.toString('base64url');
}
