// The place where scenarios run: a private copy of the real stack, and the roles as processes, as in production.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createTopics, alertTopics, freePorts, startKafka, startPostgres, startRegistry } from '#stack';
import type { Daemon, Kafka, Postgres, Registry } from '#stack';
import { createClient, type AlertClient } from '../../../services/client/client.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { Database } from '../../../services/lib/postgres.js';
import type { RoleName } from '../../../services/domain/role-names.js';
import { ROOT } from '../../../services/lib/root.js';
import { RoleProcess } from '../../support/role-process.js';
import type { Figures } from './figures.js';
import { descendantsMb, residentMb } from './processes.js';
import { Worker, type Commands } from './worker.js';

/** Titles of tables that several scenarios fill. */
export const CPU = 'CPU, milliseconds per 1,000 calls or user-alerts';
export const MEMORY = "Memory, megabytes resident; of PostgreSQL's processes the sum, what they share counted once";

export const IDLE_CPU = 'CPU while there is nothing to do, percent of a core';

export interface BenchOptions {
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** Users who are connected and whom a broadcast reaches. */
  readonly users: number;
  /** Where CPU profiles of the roles are written, if at all. */
  readonly profiles: string | undefined;
  /** Variables of the service that differ from the profile dev. */
  readonly variables: Readonly<Record<string, string>>;
  /** A module that is loaded into each role before it starts. */
  readonly preload?: string;
}

export interface Scenario {
  readonly name: string;
  run(bench: Bench, figures: Figures): Promise<void>;
}

const READY_TIMEOUT_MS = 30_000;
const READY_INTERVAL_MS = 10;
const WARNINGS_SHOWN = 10;

/** What a role warned of lately, each message once, without what every start says. */
function warningsOf({ lines, noise }: RoleProcess): string[] {
  const expected = /AUTH_MODE=dev|push is off/;
  const said = lines.map(({ msg, err }) => {
    const cause = (err as { message?: string } | undefined)?.message;
    return cause === undefined ? msg : `${msg} (${cause})`;
  });
  // What is no log line is what Node itself says; a stack trace is indented.
  const all = [...said, ...noise.filter((line) => !line.startsWith(' '))].filter((message) => !expected.test(message));
  return [...new Set(all)].slice(-WARNINGS_SHOWN);
}

/** A database and topics of its own, so that what one scenario leaves does not burden the next, and roles on them. */
export class Deployment {
  readonly roles = new Map<RoleName, RoleProcess>();
  #admin: AlertClient | undefined;

  constructor(
    private readonly bench: Bench,
    readonly name: string,
    readonly environment: Record<string, string>,
  ) {}

  async start(...names: readonly RoleName[]): Promise<void> {
    const { options } = this.bench;
    // The first one migrates the database while it starts alone.
    for (const name of names) {
      const [http, grpc] = (await freePorts(2)).map((port) => `127.0.0.1:${port}`);
      const served = name === 'alert-api' || name === 'stream-gateway';
      const preload = options.preload === undefined ? [] : ['--import', options.preload];
      const profiling =
        options.profiles === undefined
          ? []
          : ['--cpu-prof', `--cpu-prof-dir=${join(options.profiles, this.name)}`, `--cpu-prof-name=${name}.cpuprofile`];
      const role = new RoleProcess(
        name,
        { ...this.environment, HTTP_LISTEN: http!, ...(served ? { GRPC_LISTEN: grpc! } : {}) },
        { nodeOptions: [...preload, ...profiling] },
      );
      this.roles.set(name, role);
      await role.ready(READY_TIMEOUT_MS, READY_INTERVAL_MS);
    }
  }

  role(name: RoleName): RoleProcess {
    return this.roles.get(name)!;
  }

  get alertApi(): string {
    return this.role('alert-api').grpc;
  }

  get streamGateway(): string {
    return this.role('stream-gateway').grpc;
  }

  /**
   * Loads the directory: the users whom the load client connects, half as many more whom nothing reaches, and a rule that
   * sends everything to the former.
   * @returns the ids of the former
   */
  async loadDirectory(): Promise<string[]> {
    this.#admin ??= createClient({ address: this.alertApi, identity: { caller: 'bench' } });
    const user = (department: string) => (_: unknown, index: number) => ({
      userId: `${department.toLowerCase()}-${String(index + 1).padStart(4, '0')}`,
      displayName: `Bench ${index + 1}`,
      department,
      active: true,
    });
    const { users: count } = this.bench.options;
    const reached = Array.from({ length: count }, user('OPERATION'));
    const users = [...reached, ...Array.from({ length: Math.ceil(count / 2) }, user('SALES'))];
    for (let from = 0; from < users.length; from += 500) {
      await this.#admin.upsertUsers({ users: users.slice(from, from + 500) });
    }
    await this.#admin.setRoutingRules({ rules: [{ department: 'OPERATION', match: 'ROUTING_MATCH_ALL' }] });
    return reached.map(({ userId }) => userId);
  }

  /** @returns the id of somebody who has left, and gets nothing */
  async loadInactive(): Promise<string> {
    const userId = 'left';
    await this.#admin!.upsertUsers({ users: [{ userId, displayName: 'Left', department: 'SALES', active: false }] });
    return userId;
  }

  /** Process ids by name: the roles and what they stand on. */
  pids(): Map<string, number> {
    return new Map([...[...this.roles].map(([name, { pid }]) => [name, pid] as const), ...this.bench.stackPids()]);
  }

  /** Notes the memory of every process of the deployment. */
  noteMemory(figures: Figures, when: string): void {
    for (const [name, pid] of this.pids()) {
      // Of the processes that share memory, which are PostgreSQL's, the sum of what is resident would count it often.
      figures.cell(MEMORY, name, when, name === 'postgresql' ? descendantsMb(pid) : residentMb(pid));
    }
  }

  async stop(figures?: Figures): Promise<void> {
    this.#admin?.close();
    await Promise.all([...this.roles.values()].map((role) => role.stop()));
    for (const role of this.roles.values()) {
      for (const warning of warningsOf(role)) figures?.note(`${this.name}: ${role.role} warned: ${warning}`);
    }
  }
}

export class Bench {
  readonly #deployments: Deployment[] = [];
  readonly #workers: { stop(): Promise<void> }[] = [];
  #kafka: Kafka | undefined;
  #postgres: Postgres | undefined;
  #registry: Registry | undefined;
  #count = 0;

  constructor(
    readonly options: BenchOptions,
    /** A temporary folder: data, logs. */
    readonly dir: string,
    readonly signal: AbortSignal,
    readonly log: (line: string) => void,
  ) {
    // The stack's daemons listen for our end too, and so do their locks.
    process.setMaxListeners(100);
    // Whatever is being measured fails at once.
    signal.addEventListener('abort', () => void this.stopWorkers(), { once: true });
  }

  async startStack(): Promise<void> {
    const common = { dir: this.dir, killAtExit: true };
    const [kafkaPort, controllerPort, postgresPort, registryPort] = await freePorts(4);
    const started = await Promise.allSettled([
      startKafka({ ...common, port: kafkaPort, controllerPort }).then((kafka) => (this.#kafka = kafka)),
      startPostgres({ ...common, port: postgresPort }).then((postgres) => (this.#postgres = postgres)),
      startRegistry({ ...common, port: registryPort }).then((registry) => (this.#registry = registry)),
    ]);
    for (const result of started) if (result.status === 'rejected') throw result.reason;
  }

  get bootstrap(): string {
    return this.#kafka!.bootstrap;
  }

  stackPids(): Map<string, number> {
    const daemons: [string, Daemon | undefined][] = [
      ['kafka', this.#kafka],
      ['postgresql', this.#postgres],
    ];
    return new Map(daemons.map(([name, daemon]) => [name, daemon!.pid]));
  }

  /** Versions that the figures belong to. */
  async versions(): Promise<string> {
    const database = this.#database(this.#postgres!.url);
    const { rows } = await database.query<{ server_version: string }>({ text: 'SHOW server_version' });
    const { rows: fsync } = await database.query<{ fsync: string }>({ text: 'SHOW fsync' });
    await database.close();
    const paths = pathToFileURL(join(ROOT, 'deploy', 'tools', 'local', 'paths.mjs')).href;
    const { KAFKA_VERSION } = (await import(paths)) as { KAFKA_VERSION: string };
    return `Kafka ${KAFKA_VERSION}, PostgreSQL ${rows[0]?.server_version} (fsync ${fsync[0]?.fsync})`;
  }

  #database(url: string): Database {
    return new Database(url, loadConfig({ PROFILE: 'dev', DATABASE_URL: url }), silentLogger());
  }

  /** Makes an empty database. @returns its URL */
  async createDatabase(name: string): Promise<string> {
    const { url } = this.#postgres!;
    const database = this.#database(url);
    await database.query({ text: `CREATE DATABASE ${name}` });
    await database.close();
    return Object.assign(new URL(url), { pathname: `/${name}` }).href;
  }

  async runSql(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const database = this.#database(url);
    try {
      return (await database.query({ text, values })).rows;
    } finally {
      await database.close();
    }
  }

  async createTopics(topics: readonly { name: string; partitions: number }[]): Promise<void> {
    await createTopics({ bootstrap: this.bootstrap, topics });
  }

  /** A database and topics for a scenario; no role runs yet. */
  async deploy(name: string): Promise<Deployment> {
    this.#count += 1;
    const id = `bench${this.#count}`;
    const topics = {
      KAFKA_TOPIC_ALERT_CREATED: `${id}-alert-created-topic`,
      KAFKA_TOPIC_USER_ALERT: `${id}-user-alert-topic`,
      KAFKA_TOPIC_INBOX_CHANGE: `${id}-inbox-change-topic`,
    };
    const [databaseUrl] = await Promise.all([
      this.createDatabase(id),
      createTopics({ bootstrap: this.bootstrap, topics: alertTopics(topics) }),
    ]);
    return this.deployOn(name, {
      PROFILE: 'dev',
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'json',
      DATABASE_URL: databaseUrl,
      KAFKA_BOOTSTRAP_SERVERS: this.bootstrap,
      KAFKA_CONSUMER_GROUP: id,
      SCHEMA_REGISTRY_URL: this.#registry!.url,
      ...topics,
      ...this.options.variables,
    });
  }

  /** The same, on the database and topics of an earlier deployment. */
  deployOn(name: string, environment: Record<string, string>): Deployment {
    const deployment = new Deployment(this, name, environment);
    this.#deployments.push(deployment);
    return deployment;
  }

  worker<C extends Commands>(module: string, name?: string): Worker<C> {
    const worker = Worker.start<C>(module, name);
    this.#workers.push(worker);
    return worker;
  }

  /** Runs `work` in each round, with its number from 1. */
  async rounds(what: string, work: (round: number) => Promise<string>): Promise<void> {
    for (let round = 1; round <= this.options.rounds; round += 1) {
      this.signal.throwIfAborted();
      this.log(`  ${what}, round ${round}: ${await work(round)}`);
    }
  }

  /** Ends a scenario's workers and its deployment. */
  async finish(deployment: Deployment, figures: Figures): Promise<void> {
    await this.stopWorkers();
    await deployment.stop(figures);
    const database = this.#database(deployment.environment['DATABASE_URL']!);
    const { rows } = await database.query<{ deadlocks: number }>({
      text: 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    });
    await database.close();
    const deadlocks = rows[0]?.deadlocks ?? 0;
    if (deadlocks > 0) figures.note(`${deployment.name}: PostgreSQL resolved ${deadlocks} deadlocks`);
  }

  async stopWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.stop()));
  }

  /** Ends what a scenario may have left, as when it failed. */
  async stopProcesses(): Promise<void> {
    await this.stopWorkers();
    await Promise.all(this.#deployments.splice(0).map((deployment) => deployment.stop()));
  }

  async close(): Promise<void> {
    await this.stopProcesses();
    await Promise.all([this.#registry?.stop(), this.#postgres?.stop(), this.#kafka?.stop()]);
  }
}
