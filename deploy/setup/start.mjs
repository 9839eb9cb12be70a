// `npm start`: the set-up, then the whole service in one process, with our arguments handed on.
import { spawn } from 'child_process';
import { constants } from 'os';
import { fileURLToPath } from 'url';

import { setupOrExit } from './setup.mjs';

const MAIN = fileURLToPath(new URL('../../.build/services/main.js', import.meta.url));
/** A Ctrl-C reaches us from the terminal and once more from npm: what comes within this time is one wish to stop. */
const SAME_SIGNAL_MS = 500;

function start() {
  const child = spawn(process.execPath, [MAIN, 'standalone'].concat(process.argv.slice(2)), {
    // In a process group of its own, so that a signal to ours, which the terminal sends, reaches the service through
    // us alone and exactly once, and never the PostgreSQL that it runs and still needs while it drains.
    detached: true,
    // The channel closes when this process ends, however it ends: SSOM_PARENT_IPC tells the service to stop then.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: Object.assign(
      // Blocking calls of the Kafka client hold threads of this pool, 4 by default; it is sized when Node starts.
      { UV_THREADPOOL_SIZE: '16' },
      process.env,
      { SSOM_PARENT_IPC: '1' },
    ),
  });

  let last = -Infinity;
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  signals.forEach((signal) => {
    process.on(signal, () => {
      if (performance.now() - last < SAME_SIGNAL_MS) return;
      last = performance.now();
      child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    });
  });

  child.on('error', (error) => {
    process.stderr.write(`cannot start the service: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? code : 128 + constants.signals[signal]);
  });
}

setupOrExit({ quiet: true }).then(start);
