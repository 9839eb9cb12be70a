// The roles as processes of their own, as in production.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../services/lib/root.js';
import { atExit } from './cleanup.js';
import { metricIn } from './metrics.js';
import { until, untilTrue } from './until-true.js';

export type Environment = Readonly<Record<string, string>>;

const MAIN = join(ROOT, '.build', 'services', 'launch', 'main.js');
/** After SIGTERM a process that has not ended is killed. */
const FORCE_MS = 15_000;
const READY_MS = 45_000;

/** Environment of a child: only what Node and its modules need, so that the machine's own settings change nothing. */
export function cleanEnvironment(env: Environment = {}): Record<string, string> {
  const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_OPTIONS', 'NODE_V8_COVERAGE'];
  const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...(Object.fromEntries(kept) as Record<string, string>), ...env };
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** What is run with the role as its argument; the service's own unless a test wires it otherwise. */
  readonly entry?: string | undefined;
  readonly cwd?: string;
  /** For Node, before the entry: `--import` and the like. */
  readonly nodeOptions?: readonly string[];
}

/**
 * A role as a process of its own, with what it wrote. It ends when this process does, however that ends. To keep what
 * it logged, name a folder in SSOM_TEST_LOGS.
 */
export class RoleProcess {
  stdout = '';
  stderr = '';
  readonly lines: LogLine[] = [];
  /** What it wrote to its log that is no log line, for example why it could not start. */
  readonly noise: string[] = [];
  exit: Exit | undefined;
  readonly exited: Promise<Exit>;
  /** Milliseconds from its start until /readyz said 200. */
  readyMs = NaN;
  readonly #child: ChildProcess;
  readonly #started = performance.now();
  #addresses: { grpc: string; http: string } | undefined;

  constructor(
    readonly role: string,
    private readonly environment: Environment,
    private readonly options: ProcessOptions = {},
  ) {
    const { entry = MAIN, cwd = ROOT, nodeOptions = [] } = options;
    this.#child = spawn(process.execPath, [...nodeOptions, entry, role], {
      cwd,
      // The pool as `npm start` makes it: the Kafka client's blocking calls hold its threads. With SSOM_PARENT_IPC the
      // role shuts down when the channel to us breaks.
      env: cleanEnvironment({ UV_THREADPOOL_SIZE: '16', SSOM_PARENT_IPC: '1', ...environment }),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const takeBack = atExit(() => this.#child.kill('SIGKILL'));
    const { stdout, stderr } = this.#child;
    stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#readLines();
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        takeBack();
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
  }

  #readLines(): void {
    const folder = process.env['SSOM_TEST_LOGS'];
    const log = folder === undefined ? undefined : join(folder, `${this.role}-${this.#child.pid}.log`);
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

  get output(): string {
    return this.stdout + this.stderr;
  }

  /** The log line of this message, if it was written. */
  line(msg: string | RegExp): LogLine | undefined {
    return this.lines.find((line) => (typeof msg === 'string' ? line.msg === msg : msg.test(line.msg)));
  }

  /** The addresses it listens on: those it was given, or from the log line that says so. */
  async listening(): Promise<{ grpc: string; http: string }> {
    return (this.#addresses ??= await this.#findAddresses());
  }

  /** host:port of its gRPC, once it is known that it listens. */
  get grpc(): string {
    assert.ok(this.#addresses, `${this.role} was not waited for`);
    return this.#addresses.grpc;
  }

  async #findAddresses(): Promise<{ grpc: string; http: string }> {
    const { GRPC_LISTEN: grpc = '', HTTP_LISTEN: http = ':0' } = this.environment;
    if (!grpc.endsWith(':0') && !http.endsWith(':0')) return { grpc, http };
    const said = () => this.line(`${this.role} is running`);
    await until(`${this.role} listens`, () => said() !== undefined || !this.running);
    const line = said();
    assert.ok(line, `${this.role} has ended: ${this.output.slice(-3000)}`);
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

  /** Waits until /readyz says 200. @throws if it ends before */
  async ready(timeoutMs = READY_MS, intervalMs = 50): Promise<this> {
    await untilTrue(async () => !this.running || (await this.get('/readyz')).status === 200, {
      what: () => `${this.role} is ready: ${this.output.slice(-3000)}`,
      timeoutMs,
      intervalMs,
    });
    assert.ok(this.running, `${this.role} has ended: ${this.output.slice(-3000)}`);
    this.readyMs = performance.now() - this.#started;
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

  /** What a module that `--import` loaded into it answers. */
  async ask<T>(question: string): Promise<T> {
    const answer = once(this.#child, 'message');
    this.#child.send(question);
    return ((await answer) as [T])[0];
  }

  /** Sends a signal and goes on. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Sends a signal, kill -9 unless another is named; resolves when the process has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    if (this.running) this.#child.kill(signal);
    return this.exited;
  }

  /** SIGTERM; by force after 15 s. @returns the exit code, null if it took force */
  async stop(): Promise<number | null> {
    const force = setTimeout(() => this.#child.kill('SIGKILL'), FORCE_MS);
    const { code } = await this.kill('SIGTERM');
    clearTimeout(force);
    return code;
  }

  /** Everything that we hold of it closes, as if this process had been killed. */
  abandon(): void {
    this.#child.stdout!.destroy();
    this.#child.stderr!.destroy();
    // Node does not emit `close` for a child whose channel was closed on this side.
    this.#child.once('exit', (code, signal) => this.#child.emit('close', code, signal));
    this.#child.disconnect();
  }

  /** Another process in its place, on the same gRPC address; not ready yet. */
  async again(): Promise<RoleProcess> {
    const { grpc: address } = await this.listening();
    const environment = { ...this.environment, ...(address === '' ? {} : { GRPC_LISTEN: address }) };
    return new RoleProcess(this.role, environment, this.options);
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
