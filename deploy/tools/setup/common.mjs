// What the set-up steps share: where things are, running a child process, printing a step, the stamp.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = realpathSync(fileURLToPath(new URL('../../..', import.meta.url)));
export const NODE_MODULES = join(ROOT, 'node_modules');
/** Ignored by git: the lock and the log of a failed step. */
const LOCAL = join(ROOT, '.local');
const STAMP = join(NODE_MODULES, '.ssom-setup.json');

/** A failure whose message tells the reader what to do; shown without a stack. */
export class SetupError extends Error {
  name = 'SetupError';
}

/** @param {string | Buffer} data */
export const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** @param {string} file @returns {any} undefined when it is missing or not JSON */
export function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Written aside and renamed, so that a reader sees the old or the new file, never half of one. */
export function writeJson(/** @type {string} */ file, /** @type {unknown} */ value) {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(temporary, file);
}

/** @param {string} name @returns {string} a path in the folder for the set-up's own files */
export function localFile(name) {
  mkdirSync(LOCAL, { recursive: true });
  return join(LOCAL, name);
}

/**
 * What is known to be done. It lives in node_modules, so whatever empties that folder forgets it too.
 *
 * @returns {{ packages?: object, kafkaClient?: object }}
 */
export const readStamp = () => readJson(STAMP) ?? {};

/** @param {{ packages?: object, kafkaClient?: object }} changes */
export function updateStamp(changes) {
  writeJson(STAMP, { ...readStamp(), ...changes });
}

/** @param {unknown} a @param {unknown} b */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * npm's own script, to be run by the Node that runs us: `npm` in the PATH may belong to another one.
 *
 * @returns {string}
 */
export function npmCli() {
  const beside = (/** @type {string} */ dir) => join(dir, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
  const candidates = [process.env['npm_execpath'] ?? '', beside(dirname(realpathSync(process.execPath)))];
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    if (dir === '' || !existsSync(join(dir, 'npm'))) continue;
    const real = realpathSync(join(dir, 'npm'));
    candidates.push(real, beside(dirname(real)), join(dirname(real), 'node_modules', 'npm', 'bin', 'npm-cli.js'));
  }
  const found = candidates.find((file) => basename(file) === 'npm-cli.js' && existsSync(file));
  if (found === undefined) throw new SetupError('npm is not in the PATH: install it (it comes with Node)');
  return realpathSync(found);
}

/**
 * The environment of a child, in which plain `node` is the Node that runs us, as some tools call it by that name.
 * The PATH changes only when it must: its order may be meant.
 *
 * @param {Record<string, string | undefined>} [changes]
 */
export function childEnv(changes = {}) {
  const path = process.env['PATH'] ?? '';
  const first = path.split(delimiter).find((dir) => dir !== '' && existsSync(join(dir, 'node')));
  const us = realpathSync(process.execPath);
  const right = first !== undefined && realpathSync(join(first, 'node')) === us;
  return { ...process.env, PATH: right ? path : `${dirname(us)}${delimiter}${path}`, ...changes };
}

/** @type {(child: { pid: number } | undefined) => void} */
let onChild = () => {};
/** @type {import('node:child_process').ChildProcess | undefined} */
let running;

/** Calls `listener` with each child that starts, and with undefined when it has ended. */
export function watchChildren(/** @type {typeof onChild} */ listener) {
  onChild = listener;
}

/** Ends the running child with everything that it started. */
export function killChild(/** @type {NodeJS.Signals} */ signal = 'SIGKILL') {
  if (running?.pid !== undefined) killGroup(running.pid, signal);
}

/** @param {number} pid @param {NodeJS.Signals} signal */
export function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

const KEPT_OUTPUT = 1 << 20;

/**
 * Runs a program to its end, with its output kept rather than shown. It leads a process group of its own, so that
 * a time-out, an interruption or the next set-up can end it with all its children.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number, input?: string }} [options]
 * @returns {Promise<{ ok: boolean, output: string, timedOut: boolean }>} ok: exit code 0. Never rejects: a program
 *   that cannot be started is one that failed.
 */
export function run(command, args, { cwd = ROOT, env = childEnv(), timeoutMs, input = '' } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let timedOut = false;
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const end = (/** @type {boolean} */ ok) => {
      clearTimeout(timer);
      running = undefined;
      onChild(undefined);
      resolve({ ok: ok && !timedOut, output, timedOut });
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output = (output + text).slice(-KEPT_OUTPUT)));
    }
    child.on('error', (error) => {
      output += error.message;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
    if (child.pid === undefined) return;
    running = child;
    onChild({ pid: child.pid });
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => {
        timedOut = true;
        killChild();
      }, timeoutMs);
    }
    child.stdin.on('error', () => {}); // a child that ends without reading its input
    child.stdin.end(input);
  });
}

/** Keeps all of a failed step's output in a file and returns its last lines with that file's name. */
export function failureText(/** @type {string} */ step, /** @type {string} */ output) {
  const file = localFile(`setup-${step}.log`);
  writeFileSync(file, output);
  const lines = output.trimEnd().split('\n');
  const tail = lines.slice(-40).join('\n');
  return lines.length <= 40 ? tail : `${tail}\n(all ${lines.length} lines: ${file})`;
}

const HEARTBEAT_MS = 5_000;

/**
 * Prints one line a step: its name at once, a dot every 5 s while it lasts, its result and time at the end.
 *
 * @template T
 * @param {string} name
 * @param {(result: (text: string) => void) => Promise<T> | T} work calls `result` with what to print at the end
 * @returns {Promise<T>}
 */
export async function step(name, work) {
  const started = performance.now();
  let text = 'done';
  process.stdout.write(`set-up: ${name} ...`);
  const heartbeat = setInterval(() => process.stdout.write('.'), HEARTBEAT_MS);
  try {
    return await work((result) => (text = result));
  } catch (error) {
    text = 'FAILED';
    throw error;
  } finally {
    clearInterval(heartbeat);
    process.stdout.write(` ${text} (${seconds(started)})\n`);
  }
}

/** @param {number} started of `performance.now()` */
export const seconds = (started) => `${((performance.now() - started) / 1000).toFixed(1)} s`;
