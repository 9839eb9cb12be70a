import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { atExit, killPostgresOf, temporaryFolder } from './cleanup.js';
import { connectApi, type TestApi } from './api.js';
import { untilTrue } from './until-true.js';
import { defer } from './defer.js';

/** The compiled entry, beside the compiled tests. */
export const MAIN = fileURLToPath(new URL('../../services/launch/main.js', import.meta.url));

/** Environment of a child: only what Node and its modules need, so that the machine's own settings change nothing. */
export function cleanEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_OPTIONS', 'NODE_V8_COVERAGE'];
  const kept = inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...(Object.fromEntries(kept) as Record<string, string>), ...env };
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One process of the service, with what it wrote. */
export class ServiceProcess {
  stdout = '';
  stderr = '';
  exit: Exit | undefined;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;

  constructor(role: string, env: Readonly<Record<string, string>>, cwd: string) {
    this.#child = spawn(process.execPath, ['--enable-source-maps', MAIN, role], {
      cwd,
      // It shuts down when the channel to us breaks, however we end.
      env: { ...cleanEnvironment(env), SSOM_PARENT_IPC: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const takeBack = atExit(() => this.#child.kill('SIGKILL'));
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        takeBack();
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get output(): string {
    return this.stdout + this.stderr;
  }

  /** Sends a signal; resolves when the process has ended. */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.exit === undefined) this.#child.kill(signal);
    return this.exited;
  }

  /** Everything that we hold of it closes, as if this process had been killed. */
  abandon(): void {
    this.#child.stdout!.destroy();
    this.#child.stderr!.destroy();
    // Of a channel that was closed here no end is told.
    this.#child.once('exit', (code, signal) => this.#child.emit('close', code, signal));
    this.#child.disconnect();
  }

  /** Sends a signal and goes on. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Starts one role as a process of its own; it is stopped when the test ends. Says nothing of whether it is ready. */
export function startRole(t: TestContext, role: string, env: Readonly<Record<string, string>> = {}): ServiceProcess {
  const folder = temporaryFolder();
  const child = new ServiceProcess(
    role,
    { GRPC_LISTEN: '127.0.0.1:0', HTTP_LISTEN: '127.0.0.1:0', LOG_FORMAT: 'json', ...env },
    folder.path,
  );
  defer(t, async () => {
    await stopped(child);
    folder.remove();
  });
  return child;
}

/** Waits for the log line (LOG_LEVEL info) in which a role says where it listens. */
export async function roleAddresses(child: ServiceProcess): Promise<{ grpc: string; http: string }> {
  return untilTrue(
    () => {
      if (child.exit !== undefined) throw new Error(`the role ended: ${child.output}`);
      const line = child.stderr.split('\n').find((text) => text.includes(' is running"'));
      return line === undefined ? undefined : (JSON.parse(line) as { grpc: string; http: string });
    },
    { timeoutMs: 15_000, what: () => `the role listens: ${child.output}` },
  );
}

async function stopped(child: ServiceProcess): Promise<void> {
  const timer = setTimeout(() => child.signal('SIGKILL'), 10_000);
  await child.kill('SIGTERM');
  clearTimeout(timer);
}

export interface StandaloneOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a new temporary one, removed when the test ends. */
  readonly dataDir?: string;
  /** Wait until the banner is there; default true. Without it there are no addresses. */
  readonly ready?: boolean;
}

/** The whole service in one process, as `npm start` runs it. */
export class Standalone {
  #process!: ServiceProcess;
  #addresses: { grpc: string; http: string } | undefined;

  constructor(
    private readonly t: TestContext,
    readonly dataDir: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  get process(): ServiceProcess {
    return this.#process;
  }

  get output(): string {
    return this.#process.output;
  }

  get grpc(): string {
    return this.#known().grpc;
  }

  /** host:port of /livez, /readyz and /metrics. */
  get http(): string {
    return this.#known().http;
  }

  #known(): { grpc: string; http: string } {
    if (this.#addresses === undefined) throw new Error('the banner has not come yet');
    return this.#addresses;
  }

  launch(): void {
    this.#addresses = undefined;
    this.#process = new ServiceProcess(
      'standalone',
      {
        DATA_DIR: this.dataDir,
        EMBEDDED_POSTGRES_PORT: '0',
        GRPC_LISTEN: '127.0.0.1:0',
        HTTP_LISTEN: '127.0.0.1:0',
        LOG_FORMAT: 'json',
        ...this.env,
      },
      this.dataDir,
    );
  }

  async untilReady(timeoutMs = 30_000): Promise<void> {
    await untilTrue(
      () => {
        const { stdout, exit } = this.#process;
        const grpc = /gRPC +(\S+)/.exec(stdout)?.[1];
        const http = /HTTP +http:\/\/([^/\s]+)\//.exec(stdout)?.[1];
        if (grpc !== undefined && http !== undefined) this.#addresses = { grpc, http };
        return this.#addresses !== undefined || exit !== undefined;
      },
      { timeoutMs, what: () => `standalone is ready: ${this.output}` },
    );
    if (this.#addresses === undefined) throw new Error(`standalone ended at its start: ${this.output}`);
  }

  /** A client that is closed when the test ends. After a restart make a new one: the port is another. */
  api(): TestApi {
    return connectApi(this.t, this.grpc);
  }

  /** The URL of the embedded PostgreSQL. */
  get databaseUrl(): string {
    const given = this.env['DATABASE_URL'];
    if (given !== undefined) return given;
    const password = readFileSync(join(this.dataDir, 'postgres-password'), 'utf8').trim();
    const port = readFileSync(join(this.dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[3]!;
    return `postgres://ssom:${password}@127.0.0.1:${port}/ssom`;
  }

  kill(signal: NodeJS.Signals = 'SIGTERM') {
    return this.#process.kill(signal);
  }

  /** Ends it with `signal` if it runs, and starts it again on the same folder. */
  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.kill(signal);
    this.launch();
    await this.untilReady();
  }

  async stop(): Promise<void> {
    await stopped(this.#process);
    if (existsSync(this.dataDir)) killPostgresOf(this.dataDir);
  }
}

/** Starts the compiled service with everything embedded; it is stopped, and its data removed, when the test ends. */
export async function startStandalone(t: TestContext, options: StandaloneOptions = {}): Promise<Standalone> {
  const folder = options.dataDir === undefined ? temporaryFolder('ssom-data-') : undefined;
  const dataDir = options.dataDir ?? folder!.path;
  const standalone = new Standalone(t, dataDir, options.env ?? {});
  const takeBack = atExit(() => killPostgresOf(dataDir));
  defer(t, async () => {
    await standalone.stop();
    takeBack();
    folder?.remove();
  });
  standalone.launch();
  if (options.ready !== false) await standalone.untilReady();
  return standalone;
}
