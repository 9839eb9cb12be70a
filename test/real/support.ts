// What the tests of this folder share: a private copy of the real stack, the roles as processes, and people with inboxes.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { RdKafka } from '@confluentinc/kafka-javascript';
import {
  createTopics,
  startKafka,
  startPostgres,
  startRegistry,
  type Kafka,
  type Postgres,
  type Registry,
} from '#stack';
import { createClient, type AlertClient } from '../../services/client/client.js';
import type { CreateAlertRequest } from '../support/alerts.js';
import type { InboxEntry__Output } from '../../services/gen/ssom/alert/v1/InboxEntry.js';
import { ROOT } from '../../services/lib/root.js';
import { temporaryFolder } from '../support/cleanup.js';
import { metricIn } from '../support/metrics.js';
import { untilTrue } from '../support/until-true.js';

// The stack kills its processes when this one exits, which the death by a signal is not.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));

export type Environment = Readonly<Record<string, string>>;

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

/** untilTrue with the patience that rebalances and restarting brokers need on two busy cores. */
export function until<T>(
  what: string | (() => string),
  condition: () => T | Promise<T>,
  timeoutMs = 45_000,
): Promise<NonNullable<T>> {
  return untilTrue(condition, { what, timeoutMs, intervalMs: 50 });
}

// ---------------------------------------------------------------------------------------------------------- processes

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/**
 * A role as a process of its own. It ends when this process does, however that ends. To see what it logged, name a folder
 * in SSOM_TEST_LOGS.
 */
export class RoleProcess {
  readonly lines: LogLine[] = [];
  /** What it wrote that is no log line, for example why it could not start. */
  readonly noise: string[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  /** @param entry what is run with the role as its argument; the service's own unless a test wires it otherwise */
  constructor(
    readonly role: string,
    private readonly environment: Environment,
    private readonly entry = join(ROOT, '.build', 'services', 'launch', 'main.js'),
  ) {
    this.#child = spawn(process.execPath, [this.entry, role], {
      cwd: ROOT,
      // SSOM_PARENT_IPC: it shuts down when the channel to us breaks.
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], SSOM_PARENT_IPC: '1', ...environment },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#exit = once(this.#child, 'exit').then(([code]) => code as number | null);
    const folder = process.env['SSOM_TEST_LOGS'];
    const log = folder === undefined ? undefined : join(folder, `${role}-${this.#child.pid}.log`);
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      if (log !== undefined) appendFileSync(log, `${line}\n`);
      try {
        this.lines.push(JSON.parse(line) as LogLine);
      } catch {
        this.noise.push(line);
      }
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The log line of this message, if it was written. */
  line(msg: string | RegExp): LogLine | undefined {
    return this.lines.find((line) => (typeof msg === 'string' ? line.msg === msg : msg.test(line.msg)));
  }

  /** The addresses it listens on, from the log line that says so. */
  async listening(): Promise<{ grpc: string; http: string }> {
    const said = () => this.line(`${this.role} is running`);
    await until(`${this.role} listens`, () => said() !== undefined || !this.running);
    const line = said();
    assert.ok(line, `${this.role} has ended: ${this.noise.join(' ')}`);
    return { grpc: typeof line['grpc'] === 'string' ? line['grpc'] : '', http: String(line['http']) };
  }

  async get(path: string): Promise<{ status: number; body: string }> {
    const { http } = await this.listening();
    const response = await fetch(`http://${http}${path}`, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, body: await response.text() };
  }

  async readiness(): Promise<{
    status: number;
    checks: Record<string, { ok: boolean; reason: string; required: boolean }>;
  }> {
    const { status, body } = await this.get('/readyz');
    return { status, checks: (JSON.parse(body) as { checks: never }).checks };
  }

  async ready(): Promise<this> {
    await until(`${this.role} is ready`, async () => (await this.readiness()).status === 200);
    return this;
  }

  /** One number of /metrics, summed over its labels. */
  async metric(name: string): Promise<number> {
    const { body } = await this.get('/metrics');
    return metricIn(body, name);
  }

  /** The partitions that it reads as a member of its group, from its last log line on that. */
  get partitions(): string[] {
    const last = this.lines.filter(({ msg }) => msg === 'partitions assigned' || msg === 'partitions revoked').at(-1);
    if (last?.msg !== 'partitions assigned' || last['partitions'] === '') return [];
    return String(last['partitions']).split(' ');
  }

  /** For SIGSTOP and SIGCONT. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** SIGTERM; by force after 15 s. @returns the exit code, null if it took force */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 15_000);
    const code = await this.#exit;
    clearTimeout(force);
    return code;
  }

  /** Another process in its place, on the same gRPC address; not ready yet. */
  async again(): Promise<RoleProcess> {
    const { grpc: address } = await this.listening();
    return new RoleProcess(this.role, { ...this.environment, ...(address === '' ? {} : { GRPC_LISTEN: address }) });
  }
}

/** Starts roles against one stack, and ends them. */
export class Roles {
  readonly #all: RoleProcess[] = [];

  constructor(readonly environment: Environment) {}

  /** Starts a role on free ports; does not wait for it. */
  start(role: string, more: Environment = {}): RoleProcess {
    const listen = role === 'alert-api' || role === 'stream-gateway' ? { GRPC_LISTEN: '127.0.0.1:0' } : {};
    return this.#keep(
      new RoleProcess(role, { PROFILE: 'dev', HTTP_LISTEN: '127.0.0.1:0', ...listen, ...this.environment, ...more }),
    );
  }

  async again(role: RoleProcess): Promise<RoleProcess> {
    return this.#keep(await role.again());
  }

  #keep(role: RoleProcess): RoleProcess {
    this.#all.push(role);
    return role;
  }

  /** Shuts all of them down. @throws if one needed force or an exit code other than 0 */
  async stop(): Promise<void> {
    const running = this.#all.splice(0).filter((role) => role.running);
    const codes = await Promise.all(running.map((role) => role.stop()));
    assert.deepEqual(
      running.map(({ role }, index) => `${role} ${codes[index]}`),
      running.map(({ role }) => `${role} 0`),
    );
  }
}

/** Waits until the members of a group share the partitions of its topic, each at least one. */
export async function untilShared(members: readonly RoleProcess[], topic: string, count: number): Promise<void> {
  const wanted = Array.from({ length: count }, (_, partition) => `${topic}-${partition}`);
  await until(
    () => `the partitions of ${topic} are shared: ${JSON.stringify(members.map(({ partitions }) => partitions))}`,
    () =>
      members.every(({ partitions }) => partitions.length > 0) &&
      members
        .flatMap(({ partitions }) => partitions)
        .sort()
        .join() === wanted.join(),
  );
}

// ------------------------------------------------------------------------------------------------------------- people

export const SERVICE = { caller: 'real-stack-test' };

/** A client that is a calling service, with all scopes. */
export async function serviceClient(alertApi: RoleProcess, gateway?: RoleProcess): Promise<AlertClient> {
  const { grpc: address } = await alertApi.listening();
  return createClient({
    address,
    identity: SERVICE,
    ...(gateway === undefined ? {} : { streamAddress: (await gateway.listening()).grpc }),
  });
}

export interface Person {
  readonly userId: string;
  readonly department: string;
}

/** `count` people of a department, as `${prefix}-1` and so on. */
export function people(prefix: string, count: number, department: string): Person[] {
  return Array.from({ length: count }, (_, index) => ({ userId: `${prefix}-${index + 1}`, department }));
}

export async function loadDirectory(client: AlertClient, users: readonly Person[]): Promise<void> {
  for (let from = 0; from < users.length; from += 500) {
    await client.upsertUsers({
      users: users.slice(from, from + 500).map(({ userId, department }) => ({ userId, department, active: true })),
    });
  }
}

/** An alert that names its recipients, unless `more` says otherwise. */
export function alertFor(userIds: readonly string[], title: string, more: CreateAlertRequest = {}): CreateAlertRequest {
  return {
    kind: 'ALERT_KIND_GRAFANA',
    appName: 'ssok-transfer',
    level: 'ALERT_LEVEL_WARNING',
    title,
    message: `${title} 이체 지연 🚨`,
    recipients: { userIds: [...userIds] },
    ...more,
  };
}

/** All of a user's inbox, the newest first. */
export async function inboxOf(client: AlertClient, userId: string): Promise<InboxEntry__Output[]> {
  const entries: InboxEntry__Output[] = [];
  let pageToken = '';
  do {
    const page = await client.listInbox({ userId, pageSize: 500, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return entries;
}

/** Who is to have which alerts, by what was acknowledged. */
export class Expected {
  readonly #alerts = new Map<string, Set<number>>();

  constructor(users: readonly { userId: string }[]) {
    for (const { userId } of users) this.#alerts.set(userId, new Set());
  }

  get users(): string[] {
    return [...this.#alerts.keys()];
  }

  add(alertId: number, userIds: readonly string[]): void {
    for (const userId of userIds) this.#alerts.get(userId)!.add(alertId);
  }

  of(userId: string): number[] {
    return [...this.#alerts.get(userId)!].sort((a, b) => a - b);
  }

  /** Waits until nobody lacks anything. */
  async arrived(client: AlertClient, timeoutMs?: number): Promise<void> {
    for (const userId of this.users) {
      const complete = async () => {
        const has = new Set((await inboxOf(client, userId)).map(({ alert }) => alert!.alertId));
        return this.of(userId).every((alertId) => has.has(alertId));
      };
      await until(`the inbox of ${userId} has ${this.of(userId).length} alerts`, complete, timeoutMs);
    }
  }

  /**
   * Every inbox has what it is to have, each alert once, numbered 1 to n: a second delivery would have taken a number.
   * For inboxes in which nothing was read or deleted.
   */
  async checkInboxes(client: AlertClient): Promise<void> {
    for (const userId of this.users) {
      const entries = await inboxOf(client, userId);
      const wanted = this.of(userId);
      assert.deepEqual(sorted(entries.map(({ alert }) => alert!.alertId)), wanted, `the inbox of ${userId}`);
      assert.deepEqual(sorted(entries.map(({ sequence }) => sequence)), oneTo(wanted.length), `numbers of ${userId}`);
      assert.equal((await client.getUnreadCount({ userId })).unreadCount, wanted.length, `unread count of ${userId}`);
    }
  }
}

export const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
export const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** A user's stream from the beginning of the inbox, across lost connections, with all that came over it. */
export class Follower {
  readonly sequences: number[] = [];
  /** Folded: alert by whether it is read. */
  readonly inbox = new Map<number, boolean>();
  unreadCount = 0;
  losses = 0;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  readonly #live: Promise<void>;

  constructor(
    client: AlertClient,
    readonly userId: string,
    readonly name = userId,
  ) {
    let live!: () => void;
    this.#live = new Promise((resolve) => (live = resolve));
    const stream = client.streamAlerts({
      userId,
      start: 'beginning',
      checkpointIntervalMs: 1000,
      reconnect: { baseMs: 100, capMs: 500 },
      signal: this.#abort.signal,
      onEvent: ({ type }) => {
        if (type === 'live') live();
        if (type === 'lost') this.losses += 1;
      },
    });
    this.#done = this.#follow(stream);
  }

  async #follow(stream: ReturnType<AlertClient['streamAlerts']>): Promise<void> {
    for await (const { changes, unreadCount } of stream) {
      for (const { type, sequence, alert, isRead } of changes) {
        this.sequences.push(sequence);
        if (type === 'INBOX_CHANGE_TYPE_DELETED') continue;
        this.inbox.set(alert!.alertId, isRead);
      }
      this.unreadCount = unreadCount;
    }
  }

  /** Resolves when it has caught up for the first time. */
  async live(): Promise<this> {
    await Promise.race([this.#live, this.#done]);
    return this;
  }

  /** Waits until it has seen the number, and says if more came than that. */
  async seen(sequence: number): Promise<void> {
    await until(
      () => `the stream ${this.name} sees number ${sequence}; last ${this.sequences.at(-1)}, ${this.losses} losses`,
      () => (this.sequences.at(-1) ?? 0) >= sequence,
    );
  }

  /** It saw the numbers 1 to n in order, each once, and folds to the alerts that the inbox is to have. */
  check(wanted: readonly number[]): void {
    assert.deepEqual(this.sequences, oneTo(wanted.length), `numbers of the stream ${this.name}`);
    assert.deepEqual(sorted([...this.inbox.keys()]), wanted, `alerts of the stream ${this.name}`);
    assert.equal(this.unreadCount, wanted.length, `unread count of the stream ${this.name}`);
  }

  /** @throws what ended it before */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

// -------------------------------------------------------------------------------------------------------------- Kafka

export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly headers: readonly Record<string, Buffer>[];
}

/** A call of the raw client, which reports by callback, as a promise. */
function called<T>(call: (done: (error: Error | null | undefined, result?: unknown) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result as T)));
  });
}

/** Everything that is in a topic now, read by a client with none of the service's own settings. */
export async function readTopic(
  bootstrap: string,
  topic: string,
): Promise<{ partitions: number; records: RawRecord[] }> {
  const consumer = new RdKafka.KafkaConsumer(
    { 'bootstrap.servers': bootstrap, 'group.id': 'real-stack-test', 'enable.auto.commit': false },
    { 'auto.offset.reset': 'earliest' },
  );
  await called((done) => void consumer.connect({ timeout: 10_000 }, done as never));
  try {
    type Metadata = { topics: { name: string; partitions: { id: number }[] }[] };
    const metadata = await called<Metadata>((done) => {
      consumer.getMetadata({ topic, timeout: 10_000 }, done as never);
    });
    const partitions = metadata.topics.find(({ name }) => name === topic)!.partitions.map(({ id }) => id);
    const ends = await Promise.all(
      partitions.map((partition) =>
        called<{ highOffset: number }>((done) => {
          consumer.queryWatermarkOffsets(topic, partition, 10_000, done as never);
        }),
      ),
    );
    consumer.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })));
    const count = ends.reduce((sum, { highOffset }) => sum + highOffset, 0);
    const records: RawRecord[] = [];
    consumer.setDefaultConsumeTimeout(100);
    await until(`${topic} is read`, async () => {
      for (const record of await called<RawRecord[]>((done) => {
        consumer.consume(1000, done as never);
      })) {
        const { partition, offset, key, value, headers } = record;
        records.push({ partition, offset, key: Buffer.from(key), value, headers: headers ?? [] });
      }
      return records.length >= count;
    });
    return { partitions: partitions.length, records };
  } finally {
    await called((done) => void consumer.disconnect(done as never));
  }
}

/**
 * Where Java's default partitioner puts a key: murmur2 with Kafka's seed, the sign bit off, modulo partitions. Source:
 * org.apache.kafka.common.utils.Utils.murmur2.
 */
export function javaPartition(key: Buffer, partitions: number): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ key.length;
  const whole = key.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(key.readInt32LE(at), m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  const rest = key.length & 3;
  if (rest >= 3) h ^= key[whole + 2]! << 16;
  if (rest >= 2) h ^= key[whole + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ key[whole]!, m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  h ^= h >>> 15;
  return (h & 0x7fffffff) % partitions;
}
