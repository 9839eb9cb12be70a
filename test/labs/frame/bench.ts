// Where scenarios run: deployments on one stack, and the processes that put load on them.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { alertTopics, createTopics } from '#stack';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { Database } from '../../../services/lib/postgres.js';
import { ROOT } from '../../../services/lib/root.js';
import type { Stack } from '../../support/stack.js';
import type { Say } from './command-line.js';
import { Deployment } from './deployment.js';
import type { Figures } from './figures.js';
import { type Commands, Worker } from './worker.js';

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

export class Bench {
  readonly #deployments: Deployment[] = [];
  readonly #workers: { stop(): Promise<void> }[] = [];
  #count = 0;

  constructor(
    readonly options: BenchOptions,
    private readonly stack: Stack,
    readonly say: Say,
  ) {}

  /** A temporary folder. */
  get dir(): string {
    return this.stack.dir;
  }

  get bootstrap(): string {
    return this.stack.kafka.bootstrap;
  }

  stackPids(): Map<string, number> {
    return new Map([
      ['kafka', this.stack.kafka.pid],
      ['postgresql', this.stack.postgres.pid],
    ]);
  }

  /** Versions that the figures belong to. */
  async versions(): Promise<string> {
    const { url } = this.stack.postgres;
    const [version] = await this.runSql(url, 'SHOW server_version');
    const [fsync] = await this.runSql(url, 'SHOW fsync');
    const paths = pathToFileURL(join(ROOT, 'deploy', 'tools', 'local', 'paths.mjs')).href;
    const { KAFKA_VERSION } = (await import(paths)) as { KAFKA_VERSION: string };
    return `Kafka ${KAFKA_VERSION}, PostgreSQL ${String(version?.['server_version'])} (fsync ${String(fsync?.['fsync'])})`;
  }

  #database(url: string): Database {
    return new Database(url, loadConfig({ PROFILE: 'dev', DATABASE_URL: url }), silentLogger());
  }

  /** Makes an empty database. @returns its URL */
  async createDatabase(name: string): Promise<string> {
    const { url } = this.stack.postgres;
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
  async deploy(
    name: string,
    more: Readonly<Record<string, string>> = {},
    admission?: ConstructorParameters<typeof Deployment>[3],
  ): Promise<Deployment> {
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
    const environment = {
      PROFILE: 'dev',
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'json',
      DATABASE_URL: databaseUrl,
      KAFKA_BOOTSTRAP_SERVERS: this.bootstrap,
      KAFKA_CONSUMER_GROUP: id,
      SCHEMA_REGISTRY_URL: this.stack.registry.url,
      ...topics,
      ...more,
      ...this.options.variables,
    };
    return this.deployOn(name, environment, admission);
  }

  /** The same, on the database and topics of an earlier deployment. */
  deployOn(
    name: string,
    environment: Record<string, string>,
    admission?: ConstructorParameters<typeof Deployment>[3],
  ): Deployment {
    const deployment = new Deployment(this, name, environment, admission);
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
      this.say(`  ${what}, round ${round}: ${await work(round)}`);
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
}
