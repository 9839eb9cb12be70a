import { setMaxListeners } from 'node:events';
import { PROCESS_NAMES, type ProcessName, ROLE_NAMES, STANDALONE } from '../domain/role-names.js';
import { manyLines } from '../domain/text.js';
import { GROUP_ROLES, groupOf } from '../events/groups.js';
import { problemsOfWriteVersions } from '../events/schemas/meaning.js';
import {
  type Config,
  ConfigError,
  describeConfig,
  type Environment,
  loadConfig,
  missingForJwt,
} from '../lib/config/load.js';
import { TlsFiles } from '../lib/grpc/tls-files.js';
import { endOnUnattended, type Service, shutdownSignal } from '../lib/lifecycle.js';
import { createLogger, type Logger } from '../lib/logging.js';
import { withoutSecrets } from '../lib/secrets.js';
import { consumerGroupCheck } from '../runtime/group-readiness.js';
import { type Backends, Runtime } from '../runtime/runtime.js';
import { type Role, ROLES } from './roles.js';
import { raiseAlarms } from './self-alerts.js';
import { banner, createStandalone, startEmbeddedBackends } from './standalone.js';

/**
 * Runs a role until it is told to stop.
 * @returns the exit code: 0 after a shutdown, 1 if it could not start (standard error says why)
 */
export async function runRole(name: string, environment: Environment): Promise<number> {
  if (!isProcessName(name)) {
    say(`'${name}' is no role; there are ${PROCESS_NAMES.join(', ')}`);
    return 1;
  }
  let config: Config;
  try {
    config = loadConfig(environment, {}, (read) => missingFor(name, read));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(error.message);
    return 1;
  }
  const logger = createLogger(config, name);
  logger.debug({ config: describeConfig(config) }, 'configuration');
  const signal = shutdownSignal(logger, config.shutdownTimeoutMs);
  endOnUnattended(logger);
  try {
    await (name === STANDALONE
      ? runStandalone(config, logger, signal)
      : runSingle(name, rolesOf(name)[0]!, config, logger, signal));
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    logger.debug({ err: error }, 'the start failed');
    say((error as Error).message);
    return 1;
  }
}

/** Why it could not start; it may quote what is in the environment, or what others answered. */
function say(message: string): void {
  process.stderr.write(`${withoutSecrets(manyLines(message))}\n`);
}

/** The roles that run under a name. */
function rolesOf(name: ProcessName): readonly Role[] {
  return name === STANDALONE ? Object.values(ROLES) : [ROLES[name]];
}

function isProcessName(name: string): name is ProcessName {
  return (PROCESS_NAMES as readonly string[]).includes(name);
}

/** What the roles of a process lack: problems, each beginning with its variable. */
function missingFor(name: ProcessName, config: Config): string[] {
  const roles = rolesOf(name);
  const servesGrpc = config.grpcListen !== '' || roles.some(({ grpcListen }) => grpcListen !== undefined);
  return [
    ...missingBackends(name, config),
    ...problemsOfWriteVersions(config.schemaWriteVersions),
    ...(servesGrpc ? missingForJwt(config) : []),
    ...roles.flatMap((role) => role.problemsOf?.(config) ?? []),
  ];
}

/** A role of its own, and the profile prod, have no PostgreSQL, broker or registry inside: all three must be named. */
function missingBackends(name: ProcessName, config: Config): string[] {
  if (name === STANDALONE && config.profile !== 'prod') return [];
  const { databaseUrl, kafkaBootstrapServers, schemaRegistryUrl } = config;
  const needed = {
    DATABASE_URL: [databaseUrl, 'postgres://host:5432/ssom?sslmode=verify-full'],
    KAFKA_BOOTSTRAP_SERVERS: [kafkaBootstrapServers, 'host:9092'],
    SCHEMA_REGISTRY_URL: [schemaRegistryUrl, 'https://registry:8081'],
  };
  return Object.entries(needed)
    .filter(([, [value]]) => value === '')
    .map(([variable, [, example]]) => {
      const instead =
        config.profile === 'prod' ? `for example ${example}` : "or PROFILE=dev for the local stack's addresses";
      return `${variable}: is required for the role ${name}; set it, ${instead}`;
    });
}

async function runSingle(
  name: ProcessName,
  role: Role,
  config: Config,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const backends: Backends = {
    databaseUrl: config.databaseUrl,
    brokers: { bootstrapServers: config.kafkaBootstrapServers, inProcess: false },
    registryUrl: config.schemaRegistryUrl,
  };
  const grpcListen = config.grpcListen === '' ? role.grpcListen : config.grpcListen;
  const runtime = await Runtime.create(config, name, backends, { logger, optional: role.optional ?? [] });
  await serve(
    runtime,
    role.create(runtime, { brokerIsNew: false }),
    { grpcListen, httpListen: config.httpListen || role.httpListen, signal },
    (ports) => {
      logger.info({ profile: config.profile, ...ports }, `${name} is running`);
    },
  );
}

async function runStandalone(config: Config, logger: Logger, signal: AbortSignal): Promise<void> {
  const embedded = await startEmbeddedBackends(config, logger);
  try {
    signal.throwIfAborted();
    const { backends, brokerIsNew } = embedded;
    // Alerts are taken at once; they are delivered when the groups have formed, about 3 s after the start.
    const optional = GROUP_ROLES.map((role) => consumerGroupCheck(groupOf(role, config).group));
    const runtime = await Runtime.create(config, STANDALONE, backends, {
      logger,
      optional,
      roles: ROLE_NAMES,
    });
    const service = createStandalone(runtime, { brokerIsNew });
    const listen = {
      grpcListen: config.grpcListen || '127.0.0.1:50051',
      httpListen: config.httpListen || '127.0.0.1:9464',
      signal,
    };
    await serve(runtime, service, listen, ({ grpc, http }) => {
      void runtime.whenReady(signal).then(
        () => process.stdout.write(banner({ grpc: grpc ?? '', http, backends, config })),
        () => undefined,
      );
    });
  } finally {
    await embedded.close();
  }
}

/**
 * After which part of SHUTDOWN_TIMEOUT_MS calls are cut off and statements end; push stores outcomes until 0.6 of it.
 */
const CALLS = 0.5;
const STATEMENTS = 0.65;

interface Listen {
  readonly grpcListen: string | undefined;
  readonly httpListen: string;
  readonly signal: AbortSignal;
}

/** @throws Error saying what is wrong with which file. @returns undefined: gRPC is not encrypted */
function tlsFiles(config: Config, logger: Logger): TlsFiles | undefined {
  const { grpcTlsCertFile: certFile, grpcTlsKeyFile: keyFile, grpcTlsClientCaFile: clientCaFile } = config;
  if (certFile === '') return undefined;
  return new TlsFiles({ certFile, keyFile, ...(clientCaFile === '' ? {} : { clientCaFile }) }, logger);
}

/** Opens the servers, runs the service until the signal aborts, and closes everything in the opposite order. */
async function serve(
  runtime: Runtime,
  service: Service,
  { grpcListen, httpListen, signal }: Listen,
  onListening: (addresses: { grpc: string | undefined; http: string }) => void,
): Promise<void> {
  const { config, grpc, logger } = runtime;
  const ended = new AbortController();
  const endStatements = () => runtime.database.endStatements();
  let statementsEndAt = Infinity;
  const end = () => {
    statementsEndAt = performance.now() + config.shutdownTimeoutMs * STATEMENTS;
    runtime.ending();
    // Somebody may hold the lock that a statement waits for, for longer than there is time.
    setTimeout(endStatements, config.shutdownTimeoutMs * STATEMENTS).unref();
  };
  try {
    const http = await runtime.serveHttp(httpListen);
    let address: string | undefined;
    if (grpcListen !== undefined) {
      const tls = tlsFiles(config, logger);
      const port = await grpc.listen(grpcListen, tls?.credentials);
      const untilEnd = AbortSignal.any([signal, ended.signal]);
      void tls?.watch(untilEnd);
      runtime.watchFiles(untilEnd);
      address = `${grpcListen.slice(0, grpcListen.lastIndexOf(':'))}:${port}`;
      if (config.authMode === 'dev')
        logger.warn(`AUTH_MODE=dev: every caller at ${address} is believed to be whom it says it is`);
      else if (tls === undefined)
        logger.warn(`AUTH_MODE=jwt without GRPC_TLS_CERT_FILE: tokens come to ${address} in clear`);
      runtime.watchKeys(signal);
    }
    // Standalone is an alert-api itself; with TLS it must be called by the name in its certificate.
    const isPlainStandalone = runtime.role === STANDALONE && config.grpcTlsCertFile === '';
    if (config.selfAlerts) raiseAlarms(runtime, isPlainStandalone ? address! : config.selfAlertAddress);
    onListening({ grpc: address, http: http.address });
    const either = AbortSignal.any([signal, ended.signal]);
    // Each of a role's loops listens, and all roles may be in this process.
    setMaxListeners(100, either);
    if (either.aborted) end();
    else either.addEventListener('abort', end);
    await service.run(either);
  } finally {
    // One of its parts may have failed, and the others know nothing of it.
    ended.abort();
    runtime.ending();
    // Calls end first, so that what they have stored is still published.
    const graceMs = Math.min(config.shutdownTimeoutMs * CALLS, statementsEndAt - performance.now());
    await grpc.shutdown(Math.max(0, graceMs), endStatements);
    await service.close();
    await runtime.close();
  }
}
