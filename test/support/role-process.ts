// The roles as processes of their own, as in production.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../services/lib/root.js';
import { metricIn } from './metrics.js';
import type { Environment } from './stack.js';
import { until } from './until-true.js';

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
