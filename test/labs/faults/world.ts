import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, statSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type pg from 'pg';
import {
  createTopics,
  fetchKafka,
  freePorts,
  type KafkaCluster,
  type Postgres,
  type Registry,
  removeData,
  startKafkaCluster,
  startPostgres,
  startRegistry,
} from '#stack';
import { ROLE_NAMES, type RoleName } from '../../../services/domain/role-names.js';
import { ROOT } from '../../../services/lib/root.js';
import { type Fcm, fcmVariables, launchFcm } from '../../fakes/fcm/client.js';
import { type Environment, RoleProcess } from '../../support/role-process.js';
import { DOWNLOADS, privateStart, Stack } from '../../support/stack.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

export interface WorldOptions {
  /** 3 replicas of everything with 3 brokers, 1 with 1. */
  readonly brokers: 1 | 3;
  /** Of every role. */
  readonly instances: number;
  /** Added to every role's environment. */
  readonly environment?: Environment;
  /** What a role runs instead of services/launch/main.js. */
  readonly entry?: (role: RoleName) => string | undefined;
  /** Makes the tables, before the roles start. Without it they do so themselves. */
  readonly makeTables?: (world: World) => Promise<void>;
  /** Does something to the tables, before there is traffic. */
  readonly prepare?: (world: World) => Promise<void>;
  readonly log: (line: string) => void;
}

/** More messages than a run of an hour sends. */
const FCM_RECORDS = 500_000;
const SSOM_ALERT = join(ROOT, '.build', 'services', 'cli', 'ssom-alert.js');

/** One place for a process of a role: it keeps its addresses when the process is another one. */
export class Slot {
  process: RoleProcess | undefined;

  constructor(
    readonly role: RoleName,
    readonly name: string,
    public environment: Environment,
    /** What its next process runs; undefined: the service of this checkout. */
    public entry: string | undefined,
  ) {}

  /** @param more added to the environment of this process alone */
  async start(more: Environment = {}): Promise<void> {
    this.process = new RoleProcess(this.role, { ...this.environment, ...more }, { entry: this.entry });
    await this.process.listening();
  }

  async ready(timeoutMs?: number): Promise<void> {
    if (this.process === undefined) throw new Error(`${this.name} does not run`);
    await this.process.ready(timeoutMs);
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  /** SIGTERM. @returns how it ended, and after how many milliseconds */
  async stop(): Promise<{ code: number | null; ms: number }> {
    const started = performance.now();
    const code = (await this.process?.stop()) ?? null;
    return { code, ms: performance.now() - started };
  }
}

/** The listeners of a broker beside its own one, each behind a proxy: for alert-api, and for the other roles. */
const LISTENERS = ['API', 'ROLES'] as const;
type Listener = (typeof LISTENERS)[number];

/** All proxies of one way, disturbed together. */
export class Network {
  constructor(readonly proxies: readonly TcpProxy[]) {}

  readonly cut = () => this.proxies.forEach((proxy) => proxy.cut());
  readonly silence = () => this.proxies.forEach((proxy) => proxy.silence());
  readonly halfOpen = () => this.proxies.forEach((proxy) => void proxy.halfOpen());
  readonly reset = () => this.proxies.reduce((count, proxy) => count + proxy.reset(), 0);
  readonly delay = (ms: number) => this.proxies.forEach((proxy) => proxy.delay(ms));
  readonly heal = () => this.proxies.forEach((proxy) => proxy.heal());
}

/**
 * The real stack, every role several times as its own process, and a proxy on every way between them and to their
 * callers. What runs here is the product as it ships; what disturbs it is outside of it.
 */
export class World {
  /** What stands in for Google. */
  fcm!: Fcm;
  #stack!: Stack<KafkaCluster>;
  readonly slots: Slot[] = [];
  /** How often the epoch was renewed. */
  renewals = 0;
  /** By what they lead to: postgres, kafka, kafka of alert-api alone, registry, api, gateway, fcm. */
  readonly networks = {} as Record<'postgres' | 'kafka' | 'apiKafka' | 'registry' | 'api' | 'gateway' | 'fcm', Network>;
  /** When Kafka was last wiped: what is in its topics is younger. */
  wipedAt = 0;
  readonly #proxies: TcpProxy[] = [];

  private constructor(private readonly options: WorldOptions) {}

  static async start(options: WorldOptions): Promise<World> {
    const world = new World(options);
    try {
      await world.#start();
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { log } = this.options;
    log('starting PostgreSQL, Kafka, the registry and what stands in for FCM');
    const bootstrap: Partial<Record<Listener, string>> = {};
    const kafka = async (dir: string) => {
      const [cluster, addresses] = await this.#startKafka(dir);
      Object.assign(bootstrap, addresses);
      return cluster;
    };
    const [stack, fcm] = await Promise.all([
      Stack.start({ kafka }),
      launchFcm({ records: FCM_RECORDS, bodies: false }),
    ]);
    this.#stack = stack;
    this.fcm = fcm;
    await this.createTopics();
    await this.options.makeTables?.(this);
    await this.#placeRoles(bootstrap as Record<Listener, string>);
    log('starting the roles');
    await Promise.all(this.slots.map((slot) => slot.start()));
    await Promise.all(this.slots.map((slot) => slot.ready(90_000)));
    await this.options.prepare?.(this);
  }

  async #proxy(target: number): Promise<TcpProxy> {
    const proxy = await TcpProxy.listen(target);
    this.#proxies.push(proxy);
    return proxy;
  }

  /** @returns the brokers, and where alert-api and the other roles reach them, through proxies */
  async #startKafka(dir: string): Promise<[KafkaCluster, Record<Listener, string>]> {
    const { brokers } = this.options;
    const free = await freePorts(brokers * 4);
    const ports = Array.from({ length: brokers }, (_, index) => {
      const [port, controllerPort, api, roles] = free.slice(index * 4, index * 4 + 4) as [
        number,
        number,
        number,
        number,
      ];
      return { port, controllerPort, API: api, ROLES: roles };
    });
    const proxies: Record<Listener, TcpProxy[]> = { API: [], ROLES: [] };
    for (const listener of LISTENERS)
      for (const each of ports) proxies[listener].push(await this.#proxy(each[listener]));
    const cluster = await startKafkaCluster({
      ...privateStart(dir),
      brokers,
      ports,
      heap: '-Xmx320m -Xms128m',
      settings: (index) => {
        const { port, controllerPort, API, ROLES } = ports[index]!;
        const own = `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`;
        return {
          listeners: `${own},API://127.0.0.1:${API},ROLES://127.0.0.1:${ROLES}`,
          'advertised.listeners': `${own},API://${proxies.API[index]!.address},ROLES://${proxies.ROLES[index]!.address}`,
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,API:PLAINTEXT,ROLES:PLAINTEXT',
        };
      },
    });
    this.networks.kafka = new Network([...proxies.API, ...proxies.ROLES]);
    this.networks.apiKafka = new Network(proxies.API);
    const addresses = (listener: Listener) => proxies[listener].map(({ address }) => address).join(',');
    return [cluster, { API: addresses('API'), ROLES: addresses('ROLES') }];
  }

  async #placeRoles(bootstrap: Record<Listener, string>): Promise<void> {
    const { instances, environment, entry } = this.options;
    const postgres = await this.#proxy(this.postgres.port);
    const registry = await this.#proxy(this.registry.port);
    const fcm = await this.#proxy(Number(new URL(this.fcm.url).port));
    const push = fcmVariables({ ...this.fcm, url: `http://${fcm.address}` }, this.#stack.dir);
    const database = new URL(this.postgres.url);
    database.port = String(postgres.port);
    const registryUrl = new URL(this.registry.url);
    registryUrl.port = String(registry.port);
    const served: Record<'api' | 'gateway', TcpProxy[]> = { api: [], gateway: [] };
    for (const role of ROLE_NAMES) {
      for (let index = 1; index <= instances; index += 1) {
        const listens = role === 'alert-api' ? 'api' : role === 'stream-gateway' ? 'gateway' : undefined;
        const [port] = (await freePorts(1)) as [number];
        if (listens !== undefined) served[listens].push(await this.#proxy(port));
        const all: Environment = {
          PROFILE: 'dev',
          DATABASE_URL: database.href,
          KAFKA_BOOTSTRAP_SERVERS: role === 'alert-api' ? bootstrap.API : bootstrap.ROLES,
          SCHEMA_REGISTRY_URL: registryUrl.href,
          HTTP_LISTEN: '127.0.0.1:0',
          ...(listens === undefined ? {} : { GRPC_LISTEN: `127.0.0.1:${port}` }),
          ...(role === 'push' ? push : {}),
          ...environment,
        };
        this.slots.push(new Slot(role, `${role}-${index}`, all, entry?.(role)));
      }
    }
    this.networks.postgres = new Network([postgres]);
    this.networks.registry = new Network([registry]);
    this.networks.fcm = new Network([fcm]);
    this.networks.api = new Network(served.api);
    this.networks.gateway = new Network(served.gateway);
  }

  get kafka(): KafkaCluster {
    return this.#stack.kafka;
  }

  get postgres(): Postgres {
    return this.#stack.postgres;
  }

  get registry(): Registry {
    return this.#stack.registry;
  }

  /** Past the proxies. */
  get database(): pg.Pool {
    return this.#stack.database;
  }

  of(role: RoleName): Slot[] {
    return this.slots.filter((slot) => slot.role === role);
  }

  async createTopics(): Promise<void> {
    const replicationFactor = this.options.brokers;
    await createTopics({ bootstrap: this.kafka.bootstrap, downloads: DOWNLOADS, replicationFactor });
  }

  /** Index of the broker that is the active controller. */
  async controller(): Promise<number> {
    const stdout = await this.#kafkaTool('org.apache.kafka.tools.MetadataQuorumCommand', 'describe', '--status');
    const leader = Number(/^LeaderId:\s+(\d+)/m.exec(stdout)?.[1]);
    if (!(leader >= 1)) throw new Error(`Kafka does not say who its controller is: ${stdout}`);
    return leader - 1;
  }

  async #kafkaTool(tool: string, ...args: string[]): Promise<string> {
    const libs = await fetchKafka({ downloads: DOWNLOADS });
    const home = process.env['JAVA_HOME'] ?? '';
    const { stdout } = await promisify(execFile)(home === '' ? 'java' : join(home, 'bin', 'java'), [
      ...['-Xmx128m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${libs}/*`],
      ...[tool, '--bootstrap-server', this.kafka.bootstrap, ...args],
    ]);
    return stdout;
  }

  /** With everything that is in it. */
  async deleteTopic(topic: string): Promise<void> {
    await this.#kafkaTool('org.apache.kafka.tools.TopicCommand', '--delete', '--topic', topic);
  }

  /** @param bytes no record above this is taken; undefined: the broker's default, 1 MiB */
  async setMaxMessageBytes(topic: string, bytes: number | undefined): Promise<void> {
    const name = 'max.message.bytes';
    const change = bytes === undefined ? ['--delete-config', name] : ['--add-config', `${name}=${bytes}`];
    const about = ['--entity-type', 'topics', '--entity-name', topic];
    await this.#kafkaTool('kafka.admin.ConfigCommand', '--alter', ...about, ...change);
  }

  /** Kafka with all that was in it is gone, and comes back empty on the same addresses. */
  async wipeKafka(awayMs: number): Promise<void> {
    await Promise.all(this.kafka.brokers.map((broker) => broker.kill()));
    await sleep(awayMs);
    for (const { name } of this.kafka.brokers) await removeData(this.#stack.dir, name);
    await this.startBrokers();
    await this.createTopics();
    this.wipedAt = Date.now();
  }

  /** Starts the brokers that do not run. Together: one of three alone has no majority and never becomes ready. */
  async startBrokers(): Promise<void> {
    await Promise.all(
      this.kafka.brokers.map(async (broker, index) => {
        if (!(await broker.running())) await this.kafka.restart(index);
      }),
    );
  }

  /** @param env added to the environment of the server that starts now */
  async startPostgres(env: Environment = {}): Promise<void> {
    this.#stack.postgres = await startPostgres({ ...privateStart(this.#stack.dir), port: this.postgres.port, env });
  }

  /** PostgreSQL comes back as a standby, which refuses every write; `promote` ends that. */
  async demotePostgres(): Promise<void> {
    await this.postgres.stop();
    const pgdata = this.#pgdata;
    const { uid, gid } = statSync(pgdata);
    const signal = join(pgdata, 'standby.signal');
    writeFileSync(signal, '');
    chownSync(signal, uid, gid);
    await this.startPostgres();
  }

  async promotePostgres(): Promise<void> {
    await this.database.query('SELECT pg_promote()');
  }

  /**
   * PostgreSQL as it is now, to go back to. It is away for a moment.
   * @returns when it was: all that was answered before is in it
   */
  async copyPostgres(): Promise<number> {
    const at = Date.now();
    await this.postgres.stop();
    // With its owner, as whom PostgreSQL runs.
    await promisify(execFile)('cp', ['-a', this.#pgdata, `${this.#pgdata}.copy`]);
    await this.startPostgres();
    return at;
  }

  /**
   * PostgreSQL dies and is again what it was when it was copied, as after a failover to a standby that lagged. Then the
   * epoch is renewed, as the runbook says, before a role can reach it.
   */
  async restorePostgres(): Promise<void> {
    this.networks.postgres.cut();
    await this.postgres.kill();
    await rm(this.#pgdata, { recursive: true });
    await rename(`${this.#pgdata}.copy`, this.#pgdata);
    await this.startPostgres();
    await this.command('epoch', 'renew', '--yes');
    this.renewals += 1;
    this.networks.postgres.heal();
  }

  /** Of this checkout's command line, past the proxies. @returns what it printed */
  async command(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [SSOM_ALERT, ...args], {
      env: {
        PATH: process.env['PATH'],
        PROFILE: 'dev',
        DATABASE_URL: this.postgres.url,
        SCHEMA_REGISTRY_URL: this.registry.url,
      },
    });
    return stdout;
  }

  /** Where PostgreSQL has its files. */
  get #pgdata(): string {
    return join(this.#stack.dir, 'data', 'postgres', 'pgdata');
  }

  async startRegistry(): Promise<void> {
    this.#stack.registry = await startRegistry({ ...privateStart(this.#stack.dir), port: this.registry.port });
  }

  /** A name for a caller, a group or a user that nobody had before. */
  unique(prefix: string): string {
    return `${prefix}-${randomUUID().slice(0, 8)}`;
  }

  /** Ends everything. @returns the roles that did not end in order */
  async stop(): Promise<string[]> {
    for (const proxy of this.#proxies) proxy.heal();
    const ended = await Promise.all(
      this.slots.map(async (slot) => ({ slot, running: slot.process?.running, ...(await slot.stop()) })),
    );
    await Promise.all([this.#stack?.stop(), this.fcm?.close()]);
    for (const proxy of this.#proxies) proxy.close();
    return ended
      .filter(({ running, code }) => running === true && code !== 0)
      .map(({ slot, code }) => `${slot.name} ${code ?? 'took force'}`);
  }
}
