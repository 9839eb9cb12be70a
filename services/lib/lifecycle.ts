import { spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Logger } from './logging.js';
import { wait } from './retry.js';

/** What every role is: it runs until the signal aborts, and gives back what it took. */
export interface Service {
  run(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

type Closer = { readonly name: string; readonly close: () => Promise<void> | void };

/** Things to close, the last opened first. A failure to close one does not keep the others open. */
export class Closers {
  readonly #closers: Closer[] = [];

  constructor(private readonly logger: Logger) {}

  add(name: string, close: Closer['close']): void {
    this.#closers.push({ name, close });
  }

  async close(): Promise<void> {
    for (let next = this.#closers.pop(); next !== undefined; next = this.#closers.pop()) {
      const started = performance.now();
      try {
        await next.close();
        this.logger.debug({ what: next.name, ms: Math.round(performance.now() - started) }, 'closed');
      } catch (error) {
        this.logger.error({ what: next.name, err: error }, 'could not be closed');
      }
    }
  }
}

/**
 * Runs a periodic task, never two at once, until the signal aborts. A failed run is reported and the next one comes.
 */
export async function every(
  intervalMs: number,
  signal: AbortSignal,
  task: () => Promise<void>,
  onFailure: (error: Error) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await task();
    } catch (error) {
      if (!signal.aborted) onFailure(error as Error);
    }
    // Jitter of 10 % keeps the instances of a role from asking the database all at once.
    await wait(intervalMs * (0.95 + Math.random() * 0.1), signal);
  }
}

/** Work that holds a thread of libuv's pool and may never give it back. */
let heldThreads = 0;

/** @returns what to call when the work is done after all */
export function holdThread(): () => void {
  heldThreads += 1;
  let held = true;
  return () => {
    if (held) heldThreads -= 1;
    held = false;
  };
}

/** How to end, without waiting, what this process has started beside it. */
const started = new Set<() => void>();

/**
 * However this process ends, but by SIGKILL, it calls `stop` before. What was started would run on without a parent.
 * @param stop ends it at once, and returns when it has ended
 * @returns what to call when it has ended otherwise
 */
export function endsWithUs(stop: () => void): () => void {
  if (started.size === 0) process.once('exit', stopStarted);
  started.add(stop);
  return () => started.delete(stop);
}

function stopStarted(): void {
  for (const stop of started) {
    started.delete(stop);
    stop();
  }
}

const KILL_TIMER = fileURLToPath(new URL('kill-timer.js', import.meta.url));
/** How long ending may take after everything else is over. */
const EXIT_MS = 1000;

let killTimer: Writable | undefined;

/**
 * Has this process killed unless it has ended in `ms`; the last call counts. A timer of its own would not do: its
 * thread may be held up, by a native call or in process.exit.
 */
function killIn(ms: number): void {
  if (killTimer === undefined) killTimer = startKillTimer(ms);
  else killTimer.write(`${ms}\n`);
}

/** @returns its standard input; undefined without memory or descriptors for it: the process then ends as it can */
function startKillTimer(ms: number): Writable | undefined {
  try {
    // Its own group: Ctrl-C at the terminal does not reach it.
    const child = spawn(process.execPath, [KILL_TIMER, String(process.pid), String(ms)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: {},
    });
    child.on('error', () => undefined);
    // Without descriptors there is none, whatever its type says.
    const stdin = child.stdin as Writable | null | undefined;
    stdin?.on('error', () => undefined);
    child.unref();
    return stdin ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Ends this process, and before it what it has started. process.exit waits for libuv's pool, which a Kafka consumer
 * without brokers may hold for ever: then the process kills itself, or is killed after EXIT_MS.
 */
export function endProcess(code: number): never {
  stopStarted();
  if (heldThreads > 0) {
    process.kill(process.pid, 'SIGKILL');
    // The kernel does not let the first process of a container kill itself.
    process.abort();
  }
  if (code !== 0) killIn(EXIT_MS);
  process.exit(code);
}

/**
 * What nobody has caught ends this process, with exit code 1 and one line in the log: its state is not known any more.
 */
export function endOnUnattended(logger: Logger): void {
  const end = (what: string) => (error: unknown) => {
    logger.fatal({ err: error }, `${what}; ending`);
    endProcess(1);
  };
  process.on('unhandledRejection', end('a promise failed unattended'));
  process.on('uncaughtException', end('an error was not caught'));
}

/** SIGHUP: the terminal was closed; SIGQUIT: Ctrl-\\ was pressed. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * An AbortSignal that aborts at the first signal that would end the process. The second one, or `forceAfterMs` after
 * the first, ends the process at once with exit code 1; where that is held up the process is killed EXIT_MS later.
 */
export function shutdownSignal(logger: Logger, forceAfterMs: number): AbortSignal {
  const controller = new AbortController();
  // Every loop of every role listens to it; ten listeners are no leak here.
  setMaxListeners(100, controller.signal);
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      logger.warn({ signal: name }, 'second signal: ending at once');
      endProcess(1);
    }
    killIn(forceAfterMs + EXIT_MS);
    logger.info({ signal: name }, 'shutting down; a second signal ends at once');
    setTimeout(() => {
      logger.error({ forceAfterMs }, 'the shutdown took too long and is forced');
      endProcess(1);
    }, forceAfterMs).unref();
    controller.abort(new Error(name));
  };
  for (const name of ENDING_SIGNALS) process.on(name, onSignal);
  return controller.signal;
}
