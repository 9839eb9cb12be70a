// A private copy of the real stack: PostgreSQL, Kafka and the registry as they run in production.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import {
  createTopics,
  type Kafka,
  type Postgres,
  type Registry,
  startKafka,
  startPostgres,
  startRegistry,
} from '#stack';
import { ROOT } from '../../services/lib/root.js';
import { type Environment, Roles } from './role-process.js';

// What must not outlive this process is ended by listeners of its exit, which the death by a signal would skip.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(2));

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
  const path = mkdtempSync(join(tmpdir(), 'ssom-real-'));
  chmodSync(path, 0o711);
  const clear = () => rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  // A listener of its own, behind the one that kills the stack by the pid files in this folder.
  process.once('exit', clear);
  return {
    path,
    remove: () => {
      process.off('exit', clear);
      clear();
    },
  };
}

/** What every start of a component below a test's folder has in common. */
export const privateStart = (dir: string) => ({ dir, downloads: DOWNLOADS, killAtExit: true });

/** Kafka on free ports, or on those of an earlier one in its place. */
export async function startBroker(dir: string, before?: Kafka): Promise<Kafka> {
  const ports = { port: before?.port ?? 0, controllerPort: before?.ports['controller'] ?? 0 };
  return startKafka({ ...privateStart(dir), ...ports, heap: '-Xmx256m' });
}

/** Kafka with the service's topics. */
async function startKafkaWithTopics(dir: string): Promise<Kafka> {
  const broker = await startBroker(dir);
  await createTopics({ bootstrap: broker.bootstrap, downloads: DOWNLOADS });
  return broker;
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

export interface Broker {
  readonly bootstrap: string;
  stop(): Promise<void>;
}

export interface StackOptions<K extends Broker> {
  /** Starts Kafka in the stack's folder. Default: one broker with the service's topics. */
  readonly kafka?: (dir: string) => Promise<K>;
}

/** All of it as one thing that is started and stopped: a folder, the three, a connection to PostgreSQL, and roles. */
export class Stack<K extends Broker = Kafka> {
  /** They may be replaced by others in their place. */
  postgres!: Postgres;
  kafka!: K;
  registry!: Registry;
  /** A few connections of ours. */
  database!: pg.Pool;
  readonly #folder = stackFolder();
  readonly #roles: Roles[] = [];

  private constructor() {
    // Each daemon, each role and each client adds a listener for the end of this process.
    process.setMaxListeners(100);
  }

  static async start<K extends Broker = Kafka>(options: StackOptions<K> = {}): Promise<Stack<K>> {
    const stack = new Stack<K>();
    const { dir } = stack;
    // Without an option K is Kafka.
    const { kafka = startKafkaWithTopics as unknown as (dir: string) => Promise<K> } = options;
    const started = await Promise.allSettled([
      startPostgres({ ...privateStart(dir), port: 0 }).then((postgres) => (stack.postgres = postgres)),
      kafka(dir).then((broker) => (stack.kafka = broker)),
      startRegistry({ ...privateStart(dir), port: 0 }).then((registry) => (stack.registry = registry)),
    ]);
    const failed = started.find((each) => each.status === 'rejected');
    if (failed !== undefined) {
      await stack.stop();
      throw failed.reason;
    }
    stack.database = new pg.Pool({ connectionString: stack.postgres.url, max: 4 });
    // PostgreSQL may be stopped before the last connection has noticed that it was closed.
    stack.database.on('error', () => undefined);
    return stack;
  }

  get dir(): string {
    return this.#folder.path;
  }

  /** See `environmentFor`. */
  get environment(): Environment {
    const { postgres, kafka, registry } = this;
    return environmentFor({ postgres: postgres.url, kafka: kafka.bootstrap, registry: registry.url });
  }

  /** Roles that are stopped with the stack. @param more added to the environment of each */
  roles(more: Environment = {}): Roles {
    const roles = new Roles({ ...this.environment, ...more });
    this.#roles.push(roles);
    return roles;
  }

  /** @throws if a role did not end in order; everything is stopped all the same */
  async stop(): Promise<void> {
    try {
      await Promise.all(this.#roles.splice(0).map((roles) => roles.stop()));
    } finally {
      await this.database?.end();
      await Promise.all([this.postgres?.stop(), this.kafka?.stop(), this.registry?.stop()]);
      this.#folder.remove();
    }
  }
}
