import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

const module = (path: string) => pathToFileURL(join(ROOT, '.build', 'services', path)).href;
const LIMIT_MS = 500;
/** The limit and the second after it, on a machine that is busy; what is held up would stay for ever. */
const GONE_MS = 10_000;

/** Waits until somebody writes, which nobody does: it holds a thread of libuv's pool for ever. */
const HOLD_THREAD = "open(fifo, 'r', () => undefined);";
const HOLD_MAIN_THREAD = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);';

/** Descriptors that a process may have; it takes all of them. */
const FEW_FILES = 100;
const TAKE_FILES =
  "try { for (;;) openSync('/dev/null'); } catch (error) { if (error.code !== 'EMFILE') throw error; }";

/** Sends signals to a process, and waits for its end. */
async function end(t: TestContext, ending: string, signals: readonly NodeJS.Signals[], before = '') {
  const folder = temporaryFolder();
  defer(t, folder.remove);
  const fifo = join(folder.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const script = `
    import { open, openSync } from 'node:fs';
    import { endProcess, shutdownSignal } from '${module('lib/lifecycle.js')}';
    import { silentLogger } from '${module('lib/logging.js')}';
    const fifo = ${JSON.stringify(fifo)};
    const signal = shutdownSignal(silentLogger(), ${LIMIT_MS});
    setInterval(() => undefined, 1000);
    signal.addEventListener('abort', () => { ${ending} console.log('told'); });
    ${before}
    console.log('ready');`;
  const command = `ulimit -n ${FEW_FILES}; exec "$0" --input-type=module -e "$1"`;
  const child = spawn('sh', ['-c', command, process.execPath, script], { stdio: ['ignore', 'pipe', 'inherit'] });
  defer(t, () => child.kill('SIGKILL'));
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  await once(child.stdout, 'data');
  for (const [index, signal] of signals.entries()) {
    if (index > 0) await once(child.stdout, 'data');
    child.kill(signal);
  }
  const force = setTimeout(() => child.kill('SIGKILL'), GONE_MS);
  const started = performance.now();
  const [code, signal] = await exited;
  clearTimeout(force);
  return { pid: child.pid!, code, signal, ms: performance.now() - started };
}

/** The processes that would kill this one. */
function killTimersOf(pid: number): string[] {
  const commands = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
  return commands.filter((command) => command.includes(`kill-timer.js\0${pid}\0`));
}

for (const [what, ending, signals] of [
  ['a thread of the pool that is held while it ends by its time limit', HOLD_THREAD, ['SIGTERM']],
  ['a thread of the pool that is held while a second signal ends it', HOLD_THREAD, ['SIGTERM', 'SIGTERM']],
  ['a thread of the pool that is held while it ends in order', `${HOLD_THREAD} endProcess(0);`, ['SIGTERM']],
  ['its own thread that is held', HOLD_MAIN_THREAD, ['SIGTERM']],
] as const) {
  test(`${what} does not keep a process alive`, { timeout: 30_000 }, async (t) => {
    const { signal, ms } = await end(t, ending, signals);
    assert.ok(ms < GONE_MS, `it was there for ${Math.round(ms)} ms`);
    assert.equal(signal, 'SIGKILL');
  });
}

for (const [what, ending, signals, code] of [
  ['in order', 'endProcess(0);', ['SIGTERM'], 0],
  ['by its time limit', '', ['SIGTERM'], 1],
  ['by a second signal', '', ['SIGTERM', 'SIGTERM'], 1],
] as const) {
  test(`a process that ends ${what} has its own exit code, and nothing is left of it`, async (t) => {
    const ended = await end(t, ending, signals);
    assert.deepEqual({ code: ended.code, signal: ended.signal }, { code, signal: null });
    await untilTrue(() => killTimersOf(ended.pid).length === 0, { what: 'the end of what would have killed it' });
  });
}

test('a process without a descriptor left ends in order', async (t) => {
  const { code, signal } = await end(t, 'endProcess(0);', ['SIGTERM'], TAKE_FILES);
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
});
