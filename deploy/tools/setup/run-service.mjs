// The service as a child of `npm start`: signals are handed on, and it ends when we do.
import { spawn } from 'child_process';
import { constants } from 'os';

/** A Ctrl-C reaches us from the terminal and once more from npm: what comes within this time is one wish to stop. */
const SAME_SIGNAL_MS = 500;
/**
 * The largest default of SHUTDOWN_TIMEOUT_MS, after which the service ends by itself, and what it may take beyond that.
 */
const SHUTDOWN_TIMEOUT_MS = 8000;
const SPARE_MS = 3000;

/**
 * @param {string} main the service's main module
 * @param {string[]} args
 */
export function runService(main, args) {
  const child = spawn(process.execPath, [main].concat(args), {
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
      if (last === -Infinity) killLater(signal);
      last = performance.now();
      child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    });
  });

  /** One whose event loop stands still hears no signal. */
  function killLater(/** @type {string} */ signal) {
    const limitMs = (Number(process.env['SHUTDOWN_TIMEOUT_MS']) || SHUTDOWN_TIMEOUT_MS) + SPARE_MS;
    setTimeout(() => {
      process.stderr.write(
        `the service has not ended within ${limitMs / 1000} s after ${signal} and is killed; ` +
          'if its PostgreSQL runs on, the next start ends it\n',
      );
      child.kill('SIGKILL');
    }, limitMs);
  }

  child.on('error', (error) => {
    process.stderr.write(`cannot start the service: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? code : 128 + constants.signals[signal]);
  });
}
