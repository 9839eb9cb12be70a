// Ports: finding a free one, waiting for one, and telling who has one.
import { randomInt } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import net from 'node:net';
import tls from 'node:tls';
import { StackError } from './errors.mjs';
import { run, which } from './tools.mjs';

/** Everything listens here and nowhere else: none of it asks for a password by default. */
export const LOOPBACK = '127.0.0.1';

/** @param {number} port @returns {Promise<net.Server>} */
function listen(port) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => resolve(server));
  });
}

/** @param {net.Server} server */
const close = (server) => new Promise((resolve) => server.close(resolve));

/**
 * Who is told a port here takes it later, when a server starts; so none is from where Linux (from 32768 on) and macOS
 * (from 49152 on) take the ports of connections and of who listens at 0. One of those is soon another's.
 */
const FREE = { from: 20_000, to: 32_767 };
const TRIES = 100;

/** @param {number} count @returns {Promise<number[]>} different ports that were free a moment ago */
export async function freePorts(count) {
  /** @type {Map<number, net.Server>} */
  const servers = new Map();
  try {
    for (let tries = count + TRIES; servers.size < count; tries -= 1) {
      const port = randomInt(FREE.from, FREE.to + 1);
      if (servers.has(port)) continue;
      try {
        servers.set(port, await listen(port));
      } catch (error) {
        if (tries <= 0) throw error;
      }
    }
    return [...servers.keys()];
  } finally {
    await Promise.all([...servers.values()].map(close));
  }
}

/**
 * Replaces every 0 by a free port.
 * @template {Record<string, number>} T
 * @param {T} ports
 * @returns {Promise<T>}
 */
export async function choosePorts(ports) {
  const zero = Object.keys(ports).filter((key) => ports[key] === 0);
  const free = await freePorts(zero.length);
  return { ...ports, ...Object.fromEntries(zero.map((key, i) => [key, free[i]])) };
}

/**
 * @param {string} name the component that wants them
 * @param {Record<string, number>} ports by the environment variable that moves each
 * @throws {StackError} one is taken: by whom, and the variable that moves it
 */
export async function assertFree(name, ports) {
  const problems = [];
  for (const [variable, port] of Object.entries(ports)) {
    try {
      await close(await listen(port));
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code !== 'EADDRINUSE') {
        problems.push(`port ${port} can't be used (${code}): choose another with ${variable}`);
        continue;
      }
      const user = await userOf(port);
      const other = port + (port < 50_000 ? 10_000 : -10_000);
      problems.push(
        `port ${port} is taken${user ? ` by ${user}` : ''}: stop that process, or move this one with ${variable}=${other}`,
      );
    }
  }
  if (problems.length > 0) throw new StackError(`${name}: ${problems.join(`\n${name}: `)}`);
}

/**
 * @param {number} port
 * @returns {Promise<string | undefined>} "pid 123 (its command line)"; undefined where the system does not tell us
 */
async function userOf(port) {
  const pid = process.platform === 'linux' ? await pidOnLinux(port) : await pidByLsof(port);
  if (pid === undefined) return undefined;
  const command = await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => '');
  return `pid ${pid}${command ? ` (${shorten(command.trim())})` : ''}`;
}

/** @param {string} text the two ends of a long command line say what it is */
const shorten = (text) => (text.length <= 120 ? text : `${text.slice(0, 60)} ... ${text.slice(-55)}`);

/** @param {number} port @returns {Promise<number | undefined>} */
async function pidOnLinux(port) {
  const LISTEN = '0A';
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (await readFile(table, 'utf8').catch(() => '')).split('\n')) {
      const field = line.trim().split(/\s+/);
      if (field[3] === LISTEN && field[1]?.endsWith(`:${wanted}`)) inodes.add(`socket:[${field[9]}]`);
    }
  }
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const folder = `/proc/${pid}/fd`;
    for (const fd of await readdir(folder).catch(() => [])) {
      if (inodes.has(await readlink(`${folder}/${fd}`).catch(() => ''))) return Number(pid);
    }
  }
  return undefined; // another user's process, or one outside this container
}

/** @param {number} port @returns {Promise<number | undefined>} */
async function pidByLsof(port) {
  if (which('lsof') === undefined) return undefined;
  const told = await run('lsof', ['-nP', '-t', `-iTCP:${port}`, '-sTCP:LISTEN']).catch(() => '');
  return Number.parseInt(told, 10) || undefined;
}

/**
 * Sends bytes and collects the answer.
 * @param {number} port
 * @param {Buffer} request
 * @param {(answer: Buffer) => boolean} complete
 * @param {tls.ConnectionOptions} [secure] by TLS, with these; without it in clear
 * @returns {Promise<Buffer>} what came until `complete`, or until the other side closed
 */
export function exchange(port, request, complete, secure) {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const where = { host: LOOPBACK, port };
    const socket = secure === undefined ? net.connect(where) : tls.connect({ ...secure, ...where });
    const done = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2000, () => socket.destroy(new Error(`port ${port} did not answer within 2 s`)));
    socket.once('connect', () => socket.write(request));
    socket.once('error', reject);
    socket.once('end', done);
    socket.on('data', (data) => {
      answer = Buffer.concat([answer, data]);
      if (complete(answer)) done();
    });
  });
}
