// The command line of deploy/tools/local/stack. The stack's variables are read here and nowhere else (PATH and
// JAVA_HOME: tools.mjs).
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { collectorAnswers, startCollector } from './collector.mjs';
import { removeData, statusOf, stopDaemon } from './daemon.mjs';
import { fetchJaeger, fetchKafka, fetchRegistry, isFetched } from './download.mjs';
import { StackError } from './errors.mjs';
import { jaegerAnswers, startJaeger } from './jaeger.mjs';
import { answersAs, startKafka } from './kafka.mjs';
import { defaultDir, defaultDownloads, pathsOf } from './paths.mjs';
import { postgresAnswers, startPostgres } from './postgres.mjs';
import { registryAnswers, startRegistry } from './registry.mjs';
import { serviceSecrets, serviceToken } from './secure-service.mjs';
import { go, java, maven } from './tools.mjs';
import { alertTopics, createTopics } from './topics.mjs';

const HELP = `deploy/tools/local/stack: PostgreSQL, Kafka, a schema registry and Jaeger on this machine, without containers.

  stack up     [postgres kafka registry jaeger collector] [--clean]   start (without names all but collector);
                                                                      --clean: with empty data
  stack down   [postgres kafka registry jaeger collector] [--clean]   stop; --clean: remove the data, never the downloads
  stack up --secure                                         closed to who does not belong; another stack, with data, certificates,
                                                            passwords and tokens below STACK_DIR/secure (down, status, topics: likewise)
  stack status [--json]                                     exit code 0: all are ready, 1: not all; collector counts if it was started
  stack token NAME --scope "inbox ..." [--service]          a token of the secured stack for our gRPC, for an hour: of a user, or of a service
  stack topics                                              create the service's topics where they are missing
  stack fetch  [kafka registry jaeger]                      only download; prints where each lies

Variables (with their defaults):
  KAFKA_PORT 9092, KAFKA_CONTROLLER_PORT 9093, KAFKA_MTLS_PORT 9094 (--secure), REGISTRY_PORT 8081, POSTGRES_PORT 5432,
  JAEGER_QUERY_PORT 16686, OTLP_GRPC_PORT 4317, OTLP_HTTP_PORT 4318
  COLLECTOR_GRPC_PORT 14317, COLLECTOR_HTTP_PORT 14318, COLLECTOR_METRICS_PORT 8888
  KAFKA_HEAP_OPTS "-Xmx512m -Xms256m", KAFKA_JVM_PERFORMANCE_OPTS "-XX:+UseG1GC"
  REGISTRY_USER and REGISTRY_PASSWORD: the registry asks for them (open without)
  KAFKA_BOOTSTRAP_SERVERS localhost:9092, KAFKA_REPLICATION_FACTOR 1, KAFKA_COMMAND_CONFIG (a properties file with
  security settings), KAFKA_TOPIC_ALERT_CREATED, KAFKA_TOPIC_USER_ALERT, KAFKA_TOPIC_INBOX_CHANGE: for topics
  STACK_DIR (.local of the checkout): data, logs, pid files; STACK_DOWNLOADS (.local/downloads)
`;

/** @typedef {'postgres' | 'kafka' | 'registry' | 'jaeger' | 'collector'} Component */
/** @type {Component[]} */
const COMPONENTS = ['postgres', 'kafka', 'registry', 'jaeger', 'collector'];
/**
 * What is started when nothing is named: who develops wants every trace, at once, and so Jaeger without a collector.
 */
const DEFAULTS = COMPONENTS.filter((name) => name !== 'collector');

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {boolean} secured
 * @throws {StackError} all problems at once, each with its variable's name
 */
function readConfig(env, secured) {
  /** @type {string[]} */
  const problems = [];
  /** @param {string} variable @param {number} otherwise @param {number} max */
  const number = (variable, otherwise, max) => {
    const text = env[variable];
    if (text === undefined || text === '') return otherwise;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > max)
      problems.push(`${variable}=${text}: a whole number from 1 to ${max} is wanted`);
    return value;
  };
  /** @param {string} variable @param {number} otherwise */
  const port = (variable, otherwise) => number(variable, otherwise, 65_535);
  const { REGISTRY_USER: user, REGISTRY_PASSWORD: password } = env;
  if (Boolean(user) !== Boolean(password)) problems.push('REGISTRY_USER and REGISTRY_PASSWORD: give both or neither');
  const kafka = port('KAFKA_PORT', 9092);
  const base = path.resolve(env['STACK_DIR'] || defaultDir);
  const dir = secured ? path.join(base, 'secure') : base;
  const config = {
    dir,
    secure: secured ? { folder: dir } : undefined,
    downloads: path.resolve(env['STACK_DOWNLOADS'] || defaultDownloads),
    ports: {
      postgres: { postgres: port('POSTGRES_PORT', 5432) },
      kafka: {
        kafka,
        controller: port('KAFKA_CONTROLLER_PORT', 9093),
        ...(secured ? { mtls: port('KAFKA_MTLS_PORT', 9094) } : {}),
      },
      registry: { registry: port('REGISTRY_PORT', 8081) },
      jaeger: {
        query: port('JAEGER_QUERY_PORT', 16686),
        otlpGrpc: port('OTLP_GRPC_PORT', 4317),
        otlpHttp: port('OTLP_HTTP_PORT', 4318),
      },
      collector: {
        otlpGrpc: port('COLLECTOR_GRPC_PORT', 14317),
        otlpHttp: port('COLLECTOR_HTTP_PORT', 14318),
        metrics: port('COLLECTOR_METRICS_PORT', 8888),
      },
    },
    heap: env['KAFKA_HEAP_OPTS'] || undefined,
    jvm: env['KAFKA_JVM_PERFORMANCE_OPTS'] || undefined,
    basicAuth: user && password ? { user, password } : undefined,
    bootstrap: env['KAFKA_BOOTSTRAP_SERVERS'] || `localhost:${kafka}`,
    replicationFactor: number('KAFKA_REPLICATION_FACTOR', 1, 32_767),
    commandConfig: env['KAFKA_COMMAND_CONFIG'] || (secured ? path.join(dir, 'admin.properties') : undefined),
    topics: alertTopics(env),
  };
  if (problems.length > 0) throw new StackError(problems.join('\n'));
  return config;
}

/** @typedef {ReturnType<typeof readConfig>} Config */

/** @param {string} name @param {string} line */
const say = (name, line) => process.stdout.write(`${name.padEnd(9)} ${line}\n`);
/** @param {number} since */
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** @param {string} name @param {Record<string, number>} ports */
function where(name, ports, secure) {
  if (name === 'registry') return `${secure ? 'https' : 'http'}://localhost:${ports['registry']}/apis/ccompat/v7`;
  if (name === 'jaeger') {
    return `http://localhost:${ports['query']}/api/services (OTLP: gRPC localhost:${ports['otlpGrpc']}, HTTP localhost:${ports['otlpHttp']})`;
  }
  if (name === 'collector') return `http://localhost:${ports['otlpGrpc']} (OTLP over HTTP: ${ports['otlpHttp']})`;
  const certificates = ports['mtls'] === undefined ? '' : ` (with certificates: ${ports['mtls']})`;
  return `localhost:${ports[name]}${certificates}`;
}

/** @param {Component} name @param {Config} config */
function startComponent(name, config) {
  const common = {
    dir: config.dir,
    downloads: config.downloads,
    secure: config.secure,
    progress: (/** @type {string} */ line) => say(name, line),
  };
  const { ports } = config;
  switch (name) {
    case 'postgres':
      return startPostgres({ ...common, port: ports.postgres.postgres });
    case 'kafka':
      return startKafka({
        ...common,
        port: ports.kafka.kafka,
        controllerPort: ports.kafka.controller,
        mtlsPort: ports.kafka.mtls,
        heap: config.heap,
        jvm: config.jvm,
      });
    case 'registry':
      return startRegistry({ ...common, port: ports.registry.registry, basicAuth: config.basicAuth });
    case 'jaeger':
      return startJaeger({ ...common, ports: ports.jaeger });
    case 'collector':
      if (config.secure) throw new StackError('collector: it is not part of the secured stack; name the others');
      return startCollector({ ...common, ports: ports.collector, exportTo: `localhost:${ports.jaeger.otlpGrpc}` });
  }
}

/** @type {Record<Component, (ports: Record<string, number>, secure: Config['secure']) => Promise<boolean>>} */
const answers = {
  postgres: ({ postgres = 0 }, secure) => postgresAnswers(postgres, secure),
  kafka: answersAs,
  registry: ({ registry = 0 }, secure) => registryAnswers(registry, undefined, secure),
  jaeger: jaegerAnswers,
  collector: collectorAnswers,
};

/** @type {Partial<Record<Component, typeof fetchKafka>>} */
const fetchers = { kafka: fetchKafka, registry: fetchRegistry, jaeger: fetchJaeger, collector: fetchJaeger };

/**
 * Downloads one after the other, starts together.
 * @param {Component[]} names
 * @param {Config} config
 * @param {boolean} clean
 */
async function up(names, config, clean) {
  if (clean) await down(names, config, true);
  /** @type {Component[]} */
  const stopped = [];
  for (const name of names) if ((await statusOf(config.dir, name)).pid === undefined) stopped.push(name);
  checkTools(stopped, config);
  for (const name of stopped) {
    await fetchers[name]?.({ downloads: config.downloads, progress: (line) => say(name, line) });
  }
  const results = await Promise.allSettled(
    names.map(async (name) => {
      const since = performance.now();
      const daemon = await startComponent(name, config);
      const place = where(name, daemon.ports, config.secure);
      if (!daemon.alreadyRunning) return say(name, `ready on ${place} (${seconds(since)})`);
      say(name, `already running on ${place}, pid ${daemon.pid} (${seconds(since)})`);
      /** @type {Record<string, number>} */
      const wanted = config.ports[name];
      if (Object.keys(wanted).some((key) => wanted[key] !== daemon.ports[key])) {
        say(name, `its ports were changed since it was started: \`stack down ${name}\` and up again to move it`);
      }
    }),
  );
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  const known = failures.filter((reason) => reason instanceof StackError);
  if (known.length < failures.length) throw failures.find((reason) => !(reason instanceof StackError));
  if (known.length > 0) throw new StackError(known.map((reason) => reason.message).join('\n'));
  if (config.secure) await serviceSecrets(config.secure.folder);
}

/** @param {Config} config @param {string[]} given @param {string | undefined} scope @param {boolean} isService */
function token({ dir }, given, scope, isService) {
  const [subject] = given;
  if (subject === undefined || given.length > 1 || scope === undefined)
    throw new StackError(
      'for example: stack token op01 --scope inbox, or: stack token payments --service --scope alerts:create',
    );
  if (!existsSync(path.join(dir, 'issuer-key.pem')))
    throw new StackError('there is no secured stack yet: stack up --secure');
  process.stdout.write(`${serviceToken(dir, { subject, scope, isService })}\n`);
}

/** All that is missing is named before anything is started. @param {Component[]} names @param {Config} config */
function checkTools(names, config) {
  // The collector is Jaeger's binary.
  const needed = new Set(names.map((name) => (name === 'collector' ? 'jaeger' : name)));
  /** @param {'kafka' | 'registry' | 'jaeger'} name */
  const missing = (name) => needed.has(name) && !isFetched(config.downloads, name);
  const checks = [
    ...(names.includes('kafka') || names.includes('registry') ? [java] : []),
    ...(missing('kafka') || missing('registry') ? [maven] : []),
    ...(missing('jaeger') ? [go] : []),
  ];
  /** @type {string[]} */
  const problems = [];
  for (const check of checks) {
    try {
      check();
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new StackError(problems.join('\n'));
}

/** @param {Component[]} names @param {Config} config @param {boolean} clean */
async function down(names, config, clean) {
  await Promise.all(
    names.map(async (name) => {
      const since = performance.now();
      const result = await stopDaemon(config.dir, name);
      say(
        name,
        result === 'stopped'
          ? `stopped (${seconds(since)})`
          : result === 'had died'
            ? 'was not running (it had died)'
            : 'is not running',
      );
      if (clean) {
        await removeData(config.dir, name);
        say(name, `data removed: ${pathsOf(config.dir, name).data}`);
      }
    }),
  );
}

/** @param {Config} config @param {boolean} json @returns {Promise<boolean>} whether all are ready */
async function status(config, json) {
  const all = await Promise.all(
    COMPONENTS.map(async (name) => {
      const { pid, ports, started, stale } = await statusOf(config.dir, name);
      const ready = ports !== undefined && (await answers[name](ports, config.secure).catch(() => false));
      const { data, log } = pathsOf(config.dir, name);
      const state = ready ? 'ready' : pid !== undefined ? 'not ready' : stale ? 'died' : 'stopped';
      const address = ports === undefined ? null : where(name, ports, config.secure);
      return { name, state, pid: pid ?? null, address, ports: ports ?? null, started: started ?? null, data, log };
    }),
  );
  const rows = all.filter(({ name, state }) => DEFAULTS.includes(name) || state !== 'stopped');
  if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else {
    for (const { name, state, pid, address, started } of rows) {
      say(name, pid === null ? state : `${state.padEnd(9)} ${address}, pid ${pid}, since ${started?.slice(0, 19)}Z`);
    }
    process.stdout.write(`data, logs and pid files: ${config.dir}\n`);
  }
  return rows.every((row) => row.state === 'ready');
}

/** @param {Config} config */
async function topics(config) {
  const since = performance.now();
  const { bootstrap, topics: wanted, replicationFactor, commandConfig, downloads } = config;
  const progress = (/** @type {string} */ line) => say('kafka', line);
  const results = await createTopics({
    bootstrap,
    topics: wanted,
    replicationFactor,
    commandConfig,
    downloads,
    progress,
  });
  for (const topic of results) {
    const left =
      topic.state === 'differs'
        ? `, ${topic.wanted} wanted: left alone (raising them moves keys to other partitions)`
        : '';
    say(
      'topic',
      `${topic.name.padEnd(28)} ${topic.state === 'created' ? 'created' : 'exists '}  partitions ${topic.partitions}${left}`,
    );
    for (const each of topic.wrong) say('topic', `${topic.name}: ${each}`);
  }
  say('topic', `done on ${bootstrap} (${seconds(since)})`);
}

/** @param {Component[]} names @param {Config} config */
async function fetchOnly(names, config) {
  for (const name of names) {
    const fetcher = fetchers[name];
    if (!fetcher) throw new StackError(`${name} is not downloaded here: its binaries come with \`npm run setup\``);
    // The place alone on standard output, for scripts.
    const progress = (/** @type {string} */ line) => process.stderr.write(`${name.padEnd(9)} ${line}\n`);
    process.stdout.write(`${await fetcher({ downloads: config.downloads, progress })}\n`);
  }
}

/** @param {string[]} given @param {Component[]} otherwise @returns {Component[]} */
function components(given, otherwise) {
  const unknown = given.filter((name) => !COMPONENTS.some((known) => known === name));
  if (unknown.length > 0) throw new StackError(`unknown: ${unknown.join(', ')}. There are ${COMPONENTS.join(', ')}`);
  return given.length === 0 ? otherwise : COMPONENTS.filter((name) => given.includes(name));
}

async function main() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new StackError(`Node.js ${process.versions.node} is too old: 20.19 or newer is needed (https://nodejs.org)`);
  }
  let parsed;
  try {
    const options = /** @type {const} */ ({
      clean: { type: 'boolean' },
      json: { type: 'boolean' },
      secure: { type: 'boolean' },
      scope: { type: 'string' },
      service: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    });
    parsed = parseArgs({ allowPositionals: true, options });
  } catch (error) {
    throw new StackError(`${/** @type {Error} */ (error).message}\n\n${HELP}`);
  }
  const [command, ...names] = parsed.positionals;
  const { clean = false, json = false, secure = false, help } = parsed.values;
  if (help || command === undefined || command === 'help') {
    process.stdout.write(HELP);
    return;
  }
  const config = readConfig(process.env, secure || command === 'token');
  switch (command) {
    case 'up':
      return up(components(names, DEFAULTS), config, clean);
    case 'down':
      return down(components(names, COMPONENTS), config, clean);
    case 'status':
      if (!(await status(config, json))) process.exitCode = 1;
      return;
    case 'topics':
      return topics(config);
    case 'token':
      return token(config, names, parsed.values.scope, parsed.values.service === true);
    case 'fetch':
      return fetchOnly(components(names, ['kafka', 'registry', 'jaeger']), config);
    default:
      throw new StackError(`unknown command: ${command}\n\n${HELP}`);
  }
}

// As an ordinary exit, so that a Maven or Go that works for us ends too. What was started stays: `up` finds it again.
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])) {
  process.once(signal, () => process.exit(code));
}

try {
  await main();
} catch (error) {
  process.exitCode = 1;
  if (!(error instanceof StackError)) throw error;
  process.stderr.write(`${error.message}\n`);
}
