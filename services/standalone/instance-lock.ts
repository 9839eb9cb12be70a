import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes sure that one instance alone uses a data folder. The lock is a Unix socket that the instance listens on, so it goes
 * with the process, however that ends. The socket lies in the temporary folder, since its path may have 107 bytes only.
 * @returns a function that gives the lock back
 * @throws if a living instance holds it
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'EEXIST' ? 'it is a file' : (error as Error).message;
    throw new Error(`DATA_DIR ${dataDir} is no folder that can be used: ${reason}; set another DATA_DIR`, {
      cause: error,
    });
  }
  const name = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 24);
  const path = join(tmpdir(), `ssom-alert-${name}.sock`);
  for (let attempt = 0; ; attempt += 1) {
    const server = await listen(path);
    if (server !== undefined) {
      return () => new Promise((resolve) => server.close(() => resolve()));
    }
    const pid = await askHolder(path);
    if (pid !== undefined || attempt > 2) {
      throw new Error(
        `the data folder ${dataDir} is in use by a running instance (pid ${pid ?? 'unknown'}); stop it, or set another DATA_DIR`,
      );
    }
    rmSync(path, { force: true });
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
