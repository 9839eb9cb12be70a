import { randomUUID } from 'node:crypto';
import { chmodSync, closeSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { makeFolder } from '../../lib/make-folder.js';

const NAME = 'instance.sock';

/**
 * Makes sure that one instance alone uses a data folder. The lock is a Unix socket in the folder that the instance
 * listens on, so it goes with the process, however that ends, and all who use the folder find it.
 * @returns a function that gives the lock back
 * @throws if a living instance holds it
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const folder = await openFolder(dataDir);
  // The path of a socket may have 107 bytes only, wherever the folder lies.
  const path = (name: string) =>
    process.platform === 'linux' ? `/proc/self/fd/${folder}/${name}` : join(dataDir, name);
  try {
    for (let attempt = 0; ; attempt += 1) {
      const server = await listen(path(NAME));
      if (server !== undefined) {
        chmodSync(path(NAME), 0o600);
        return () => unlock(server, folder);
      }
      const pid = await askHolder(path(NAME));
      if (pid !== undefined || attempt > 2) {
        throw new Error(
          `the data folder ${dataDir} is in use by a running instance (pid ${pid ?? 'unknown'}); stop it, or set another DATA_DIR`,
        );
      }
      await removeLeftover(path);
    }
  } catch (error) {
    closeSync(folder);
    throw error;
  }
}

/** The folder last: libuv removes the socket by the path that it was made with. */
async function unlock(server: Server, folder: number): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  closeSync(folder);
}

async function openFolder(dataDir: string): Promise<number> {
  try {
    await makeFolder(dataDir, 0o700);
    return openSync(dataDir, 'r');
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? `${path} is a file` : message;
    throw new Error(`DATA_DIR ${dataDir} is no folder that can be used: ${reason}; set another DATA_DIR`, {
      cause: error,
    });
  }
}

/**
 * Takes away the socket of a dead instance. Somebody else may have done so meanwhile, and listens there: that one is
 * put back.
 */
async function removeLeftover(path: (name: string) => string): Promise<void> {
  const aside = path(`${NAME}-${randomUUID().slice(0, 8)}`);
  try {
    renameSync(path(NAME), aside);
    if ((await askHolder(aside)) !== undefined) linkSync(aside, path(NAME));
  } catch {
    // Somebody was quicker; the next attempt finds out who.
  } finally {
    rmSync(aside, { force: true });
  }
}

async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.end(String(process.pid)));
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => resolve(server.unref()));
  });
}

/** The pid of whoever listens; undefined if nobody does any more. */
async function askHolder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let answer = '';
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? undefined : 'unknown'),
    );
    socket.on('end', () => resolve(answer));
  });
}
