// A private copy of the real stack: PostgreSQL, Kafka and the registry as they run in production.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  createTopics,
  startKafka,
  startPostgres,
  startRegistry,
  type Kafka,
  type Postgres,
  type Registry,
} from '#stack';
import { ROOT } from '../../services/lib/root.js';
import { temporaryFolder } from './cleanup.js';
import type { Environment } from './role-process.js';

// The stack kills its processes when this one exits, which the death by a signal is not.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));

/** Jars and binaries are shared with the developer's own stack; everything else is private. */
export const DOWNLOADS = process.env['STACK_DOWNLOADS'] ?? join(ROOT, '.local', 'downloads');

/**
 * Why the real stack cannot be had here; false if it can. Where CI or SSOM_REQUIRE_REAL is set it must be had, and
 * whatever is missing fails the tests with the stack's own message.
 */
export function whySkip(): string | false {
  if ((process.env['CI'] ?? '') !== '' || (process.env['SSOM_REQUIRE_REAL'] ?? '') !== '') return false;
  const home = process.env['JAVA_HOME'] ?? '';
  const said = spawnSync(home === '' ? 'java' : join(home, 'bin', 'java'), ['-version'], { encoding: 'utf8' });
  const java = Number(/version "(\d+)/.exec(`${said.stderr}${said.stdout}`)?.[1] ?? 0);
  if (java < 17) return `Java 17 or newer is needed for Kafka and the registry; ${java === 0 ? 'none' : java} is here`;
  const fetched = existsSync(DOWNLOADS) ? readdirSync(DOWNLOADS) : [];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const lacks = (name: string, tool: string) =>
    !fetched.some((folder) => folder.startsWith(`${name}-`)) &&
    !folders.some((folder) => existsSync(join(folder, tool)));
  if (lacks('kafka', 'mvn') || lacks('apicurio-registry', 'mvn'))
    return `Maven is needed to fetch Kafka and the registry`;
  if (lacks('jaeger', 'go')) return 'Go is needed to build Jaeger';
  return false;
}

/** A folder for a stack's data, logs and pid files; PostgreSQL, which runs as another user, can enter it. */
export function stackFolder(): { path: string; remove: () => void } {
  const folder = temporaryFolder('ssom-real-');
  chmodSync(folder.path, 0o711);
  return folder;
}

/** What every start of a component below a test's folder has in common. */
export const privateStart = (dir: string) => ({ dir, downloads: DOWNLOADS, killAtExit: true });

/** Kafka on free ports, or on those of an earlier one in its place, with the service's topics. */
export async function startBroker(dir: string, before?: Kafka): Promise<Kafka> {
  const ports = { port: before?.port ?? 0, controllerPort: before?.ports['controller'] ?? 0 };
  return startKafka({ ...privateStart(dir), ...ports, heap: '-Xmx256m' });
}

/** PostgreSQL, Kafka with the topics, and the registry, on free ports. */
export async function startStack(dir: string): Promise<{ postgres: Postgres; kafka: Kafka; registry: Registry }> {
  const [postgres, kafka, registry] = await Promise.all([
    startPostgres({ ...privateStart(dir), port: 0 }),
    startBroker(dir).then(async (broker) => {
      await createTopics({ bootstrap: broker.bootstrap, downloads: DOWNLOADS });
      return broker;
    }),
    startRegistry({ ...privateStart(dir), port: 0 }),
  ]);
  return { postgres, kafka, registry };
}

/** What tells a role where they are, and what makes it notice quickly that a member of its group was killed. */
export function environmentFor(at: { postgres: string; kafka: string; registry: string }): Environment {
  return {
    DATABASE_URL: at.postgres,
    KAFKA_BOOTSTRAP_SERVERS: at.kafka,
    SCHEMA_REGISTRY_URL: at.registry,
    KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '6000',
    KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: '1000',
  };
}
