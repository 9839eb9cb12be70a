// A lock between processes that cannot go stale: whoever listens on the socket holds it, and the kernel closes the
// socket of a process that dies.
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** @param {string} key */
function addressOf(key) {
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 32);
  // Linux: an abstract socket, which leaves no file behind. Elsewhere a file, whose leftovers refuse a connection.
  return process.platform === 'linux' ? `\0ssom-stack-${hash}` : path.join(os.tmpdir(), `ssom-stack-${hash}.sock`);
}

/** @param {string} address @returns {Promise<net.Server | undefined>} undefined: another process holds it */
function listen(address) {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen({ path: address }, () => resolve(server));
  });
}

/** @param {string} address @returns {Promise<boolean>} */
function answers(address) {
  return new Promise((resolve) => {
    const socket = net.connect({ path: address });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Runs `work` while no other process of this machine, nor another caller in this one, runs under the same key.
 * @template T
 * @param {string} key an absolute path
 * @param {() => Promise<T>} work
 * @param {() => void} [onWait] called once when the lock is taken by another
 * @returns {Promise<T>}
 */
export async function withLock(key, work, onWait) {
  const address = addressOf(key);
  let server = await listen(address);
  if (server === undefined) onWait?.();
  while (server === undefined) {
    await sleep(100);
    if (process.platform !== 'linux' && !(await answers(address))) await rm(address, { force: true });
    server = await listen(address);
  }
  try {
    return await work();
  } finally {
    server.close();
  }
}
