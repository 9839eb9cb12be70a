import { join } from 'node:path';
import { topicsOf } from '../events/schemas/files.js';
import type { Config } from '../lib/config/load.js';
import { startEmbeddedBroker } from '../lib/kafka/embedded-broker.js';
import { Closers, type Service } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import { startEmbeddedRegistry } from '../lib/registry/embedded.js';
import type { Backends, Runtime } from '../runtime/runtime.js';
import { lockDataDir } from './embedded/instance-lock.js';
import { startEmbeddedPostgres } from './embedded/postgres.js';
import { type RoleOptions, ROLES, together } from './roles.js';

export interface EmbeddedBackends {
  readonly backends: Backends;
  /** Whether Kafka's records were lost with an earlier process, so that a reconciliation is due. */
  readonly brokerIsNew: boolean;
  close(): Promise<void>;
}

/**
 * Starts what the configuration does not name: PostgreSQL beside this process, broker and registry inside it.
 * @throws if the data folder is in use or a port is taken; nothing is left running then
 */
export async function startEmbeddedBackends(config: Config, logger: Logger): Promise<EmbeddedBackends> {
  const closers = new Closers(logger);
  const { kafkaBootstrapServers } = config;
  const topics = topicsOf(config);
  try {
    const startDatabase = async () => {
      if (config.databaseUrl !== '') return config.databaseUrl;
      const unlock = await lockDataDir(config.dataDir);
      closers.add('data folder', unlock);
      const postgres = await startEmbeddedPostgres({
        dataDir: config.dataDir,
        port: config.embeddedPostgresPort,
        logger,
      });
      closers.add('embedded PostgreSQL', () => postgres.stop());
      return postgres.url;
    };
    const startBroker = async () => {
      if (kafkaBootstrapServers !== '') return { bootstrapServers: kafkaBootstrapServers, inProcess: false };
      const broker = await startEmbeddedBroker(topics);
      closers.add('in-process broker', () => broker.close());
      return broker.brokers;
    };
    const startRegistry = async () => {
      if (config.schemaRegistryUrl !== '') return config.schemaRegistryUrl;
      const registry = await startEmbeddedRegistry(config.embeddedRegistryPort);
      closers.add('in-process registry', () => registry.close());
      return registry.url;
    };
    const started = await Promise.allSettled([startDatabase(), startBroker(), startRegistry()]);
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const [databaseUrl, brokers, registryUrl] = started.map(
      (result) => (result as PromiseFulfilledResult<unknown>).value,
    );
    return {
      backends: { databaseUrl, brokers, registryUrl } as Backends,
      brokerIsNew: kafkaBootstrapServers === '',
      close: () => closers.close(),
    };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** All roles in one process, on one gRPC port. */
export function createStandalone(runtime: Runtime, options: RoleOptions): Service {
  return together(Object.values(ROLES).map((role) => role.create(runtime, options)));
}

/** What a newcomer sees when everything is ready. */
export function banner(addresses: { grpc: string; http: string; backends: Backends; config: Config }): string {
  const { grpc, http, backends, config } = addresses;
  const reachable = grpc.replace(/^(0\.0\.0\.0|\[::\]):/, 'localhost:');
  // Where the command line looks by itself.
  const flag = /^(127\.0\.0\.1|localhost|\[::1\]):50051$/.test(reachable) ? '' : ` --address ${reachable}`;
  const data = config.databaseUrl === '' ? join(config.dataDir, 'postgres') : 'the database of DATABASE_URL';
  return `
  SSOM alerts are ready.

    gRPC       ${grpc}   (health and reflection too)
    HTTP       http://${http}/readyz and /metrics
    Kafka      ${backends.brokers.bootstrapServers}${backends.brokers.inProcess ? '   (in this process; its records go with it)' : ''}
    Registry   ${backends.registryUrl}
    Data       ${data}

  Try, in another terminal:

    npx ssom-alert directory load deploy/sample/directory.json${flag}
    npx ssom-alert alerts watch --user op01${flag}
    grpcurl -plaintext -H 'x-caller: me' -d '{"kind":"ALERT_KIND_GRAFANA","level":"ALERT_LEVEL_ERROR","app_name":"ssok-bank-api","title":"Hello"}' \\
      ${reachable} ssom.alert.v1.AlertService/CreateAlert

  No grpcurl? npx ssom-alert alerts create --kind GRAFANA --level ERROR --app ssok-bank-api --title Hello${flag}
  Ctrl-C ends it; the data stays.
`;
}
