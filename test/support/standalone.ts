import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connectApi, type TestApi } from './api.js';
import { atExit, killPostgresOf, temporaryFolder } from './cleanup.js';
import { defer } from './defer.js';
import { type Environment, RoleProcess } from './role-process.js';
import { untilTrue } from './until-true.js';

/** As `npm start` has it: stack traces name the sources. */
const NODE_OPTIONS = ['--enable-source-maps'];

/** Starts one role as a process of its own; it is stopped when the test ends. Says nothing of whether it is ready. */
export function startRole(t: TestContext, role: string, env: Environment = {}): RoleProcess {
  const folder = temporaryFolder();
  const child = new RoleProcess(
    role,
    { GRPC_LISTEN: '127.0.0.1:0', HTTP_LISTEN: '127.0.0.1:0', LOG_FORMAT: 'json', ...env },
    { cwd: folder.path, nodeOptions: NODE_OPTIONS },
  );
  defer(t, async () => {
    await child.stop();
    folder.remove();
  });
  return child;
}

export interface StandaloneOptions {
  readonly env?: Environment;
  /** Default: a new temporary one, removed when the test ends. */
  readonly dataDir?: string;
  /** Wait until the banner is there; default true. Without it there are no addresses. */
  readonly ready?: boolean;
}

/** The whole service in one process, as `npm start` runs it. */
export class Standalone {
  #process!: RoleProcess;
  #addresses: { grpc: string; http: string } | undefined;

  constructor(
    private readonly t: TestContext,
    readonly dataDir: string,
    private readonly env: Environment,
  ) {}

  get process(): RoleProcess {
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
    this.#process = new RoleProcess(
      'standalone',
      {
        DATA_DIR: this.dataDir,
        EMBEDDED_POSTGRES_PORT: '0',
        GRPC_LISTEN: '127.0.0.1:0',
        HTTP_LISTEN: '127.0.0.1:0',
        LOG_FORMAT: 'json',
        ...this.env,
      },
      { cwd: this.dataDir, nodeOptions: NODE_OPTIONS },
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
    await this.#process.stop();
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
