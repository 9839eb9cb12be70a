// One background process: started once, known by its pid file, and signalled only while it is proven to be ours.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../make-folder.mjs';
import { StackError } from './errors.mjs';
import { withLock } from './lock.mjs';
import { pathsOf } from './paths.mjs';
import { assertFree } from './ports.mjs';
import { atExit, run } from './tools.mjs';

/**
 * @typedef {object} RunFile what is written beside a running process
 * @property {number} pid
 * @property {string} marker a part of the process's command line that no other process has: its data folder
 * @property {Record<string, number>} ports
 * @property {string} started ISO time
 * @property {NodeJS.Signals} stopSignal
 */

/**
 * @typedef {object} Spec
 * @property {string} dir the stack's folder
 * @property {string} name
 * @property {Record<string, number>} ports by a short name
 * @property {Record<string, string>} variables the environment variable that moves each port, by the same name
 * @property {() => Promise<{ command: string, args: string[], env?: NodeJS.ProcessEnv, cwd?: string, uid?: number,
 * gid?: number }>} prepare
 *   what to run; called only when a process is to be started, and only once it is known that the ports are free
 * @property {(ports: Record<string, number>) => Promise<boolean>} ready whether the process answers as it should
 * @property {number} readyMs
 * @property {NodeJS.Signals} [stopSignal]
 * @property {boolean | undefined} [killAtExit]
 * @property {import('./stack.mjs').Progress | undefined} [progress]
 */

const POLL_MS = 50;
/** A broker that is leaving hands over and closes its logs; past this it is killed. */
const STOP_MS = 20_000;

/** @param {string} file @returns {RunFile | undefined} */
function readRunFile(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // none, or cut off while it was written: nothing in it can be trusted
  }
}

/** @param {number} pid @returns {Promise<string>} empty: no such process, or it is a zombie */
async function commandLine(pid) {
  if (process.platform !== 'linux') return run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => '');
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
}

/** Process ids are handed out again: only a command line with our data folder in it is ours. @param {RunFile} file */
const isOurs = async (file) => (await commandLine(file.pid)).includes(file.marker);

/**
 * @param {string} dir
 * @param {string} name
 * @returns {Promise<{ pid?: number, ports?: Record<string, number>, started?: string, stale: boolean }>}
 *   stale: there is a pid file, but its process has died
 */
export async function statusOf(dir, name) {
  const file = readRunFile(pathsOf(dir, name).run);
  if (file === undefined) return { stale: false };
  if (!(await isOurs(file))) return { stale: true };
  return { pid: file.pid, ports: file.ports, started: file.started, stale: false };
}

/**
 * Starts the process, or finds it running, and waits until it is ready.
 * @param {Spec} spec
 * @returns {Promise<import('./stack.mjs').Daemon>}
 * @throws {StackError}
 */
export function startDaemon(spec) {
  const where = pathsOf(spec.dir, spec.name);
  const wait = () => spec.progress?.('another command is at work on it: waiting');
  return withLock(where.data, () => start(spec), wait);
}

/** @param {Spec} spec @returns {Promise<import('./stack.mjs').Daemon>} */
async function start(spec) {
  const where = pathsOf(spec.dir, spec.name);
  const file = readRunFile(where.run);
  if (file !== undefined && (await isOurs(file))) {
    if (!(await becomesReady(spec, file))) {
      throw new StackError(
        `${spec.name}: pid ${file.pid} runs but is not ready after ${spec.readyMs / 1000} s: stop it, or wait.\n${logTail(where.log)}`,
      );
    }
    return handle(spec, file, true);
  }
  if (file !== undefined) {
    spec.progress?.(`it was not stopped cleanly (pid ${file.pid} is gone): starting it again`);
    await gone(file, 5000); // it may have been killed a moment ago
    await rm(where.run);
  }
  await assertFree(
    spec.name,
    Object.fromEntries(Object.entries(spec.ports).map(([key, port]) => [spec.variables[key] ?? key, port])),
  );
  for (const target of [where.data, path.dirname(where.log), path.dirname(where.run)]) makeFolder(target);
  const { command, args, ...options } = await spec.prepare();

  rotate(where.log);
  const log = openSync(where.log, 'a', 0o600);
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const failed = new Promise((resolve) => child.once('error', resolve));
  if (child.pid === undefined) throw new StackError(`${spec.name}: ${command}: ${String(await failed)}`);
  /** @type {RunFile} */
  const made = {
    pid: child.pid,
    marker: where.data + path.sep,
    ports: spec.ports,
    started: new Date().toISOString(),
    stopSignal: spec.stopSignal ?? 'SIGTERM',
  };
  // At once and synchronously: from here on an interrupted start is found again by the next one.
  writeFileSync(where.run, JSON.stringify(made), { mode: 0o600 });
  child.unref();
  if (spec.killAtExit) atExit(() => killNow(where.run, made));
  if (!(await becomesReady(spec, made))) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (!ended) await end(made);
    await rm(where.run, { force: true });
    const what = ended
      ? `ended with ${child.signalCode ?? child.exitCode} while it started`
      : `was not ready within ${spec.readyMs / 1000} s, and was stopped`;
    throw new StackError(`${spec.name} ${what}.\n${logTail(where.log)}`);
  }
  return handle(spec, made, false);
}

/** @param {Spec} spec @param {RunFile} file @returns {Promise<boolean>} false: it ended, or its time is up */
async function becomesReady(spec, file) {
  const until = performance.now() + spec.readyMs;
  while (performance.now() < until) {
    if (!(await isOurs(file))) return false;
    if (await spec.ready(file.ports).catch(() => false)) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/** @param {Spec} spec @param {RunFile} file @param {boolean} alreadyRunning @returns {import('./stack.mjs').Daemon} */
function handle(spec, file, alreadyRunning) {
  const where = pathsOf(spec.dir, spec.name);
  return {
    name: spec.name,
    pid: file.pid,
    ports: file.ports,
    alreadyRunning,
    dataDir: where.data,
    logFile: where.log,
    running: () => isOurs(file),
    stop: () =>
      withLock(where.data, async () => {
        await end(file);
        if (readRunFile(where.run)?.pid === file.pid) await rm(where.run);
      }),
    async kill(signal = 'SIGKILL') {
      if (!(await isOurs(file))) return;
      signalTo(file.pid, signal);
      if (signal === 'SIGKILL') await gone(file, STOP_MS);
    },
  };
}

/**
 * Stops what runs under this name, if anything does.
 * @param {string} dir
 * @param {string} name
 * @returns {Promise<'stopped' | 'not running' | 'had died'>}
 */
export function stopDaemon(dir, name) {
  const where = pathsOf(dir, name);
  return withLock(where.data, async () => {
    const file = readRunFile(where.run);
    const alive = file !== undefined && (await isOurs(file));
    if (alive) await end(file);
    await rm(where.run, { force: true });
    if (alive) return 'stopped';
    return file === undefined ? 'not running' : 'had died';
  });
}

/**
 * Removes a component's data. Never its downloads, and its log stays for whoever looks for the reason.
 * @param {string} dir
 * @param {string} name
 */
export async function removeData(dir, name) {
  const where = pathsOf(dir, name);
  await withLock(where.data, async () => {
    const file = readRunFile(where.run);
    if (file !== undefined && (await isOurs(file)))
      throw new StackError(`${name} is running: stop it before its data is removed`);
    await rm(where.data, { recursive: true, force: true });
  });
}

/** @param {RunFile} file */
async function end(file) {
  if (!(await isOurs(file))) return;
  signalTo(file.pid, file.stopSignal);
  signalTo(file.pid, 'SIGCONT'); // a stopped process (SIGSTOP) would sleep through the other signal
  if (await gone(file, STOP_MS)) return;
  if (!(await isOurs(file))) return;
  signalTo(file.pid, 'SIGKILL');
  if (!(await gone(file, 5000))) throw new StackError(`pid ${file.pid} survived SIGKILL`);
}

/** @param {RunFile} file @param {number} ms @returns {Promise<boolean>} */
async function gone(file, ms) {
  const until = performance.now() + ms;
  while (!(await hasEnded(file))) {
    if (performance.now() > until) return false;
    await sleep(20);
  }
  return true;
}

/**
 * A process that is being killed loses its command line first, and its ports and file locks only some milliseconds
 * later, with its last thread: until then its successor could not start.
 * @param {RunFile} file
 */
async function hasEnded(file) {
  const command = await commandLine(file.pid);
  if (command !== '' || process.platform !== 'linux') return !command.includes(file.marker);
  const threads = await readdir(`/proc/${file.pid}/task`).catch(() => []);
  if (threads.length !== 1) return threads.length === 0;
  const stat = await readFile(`/proc/${file.pid}/stat`, 'utf8').catch(() => '');
  return stat === '' || /\) [ZX] /.test(stat);
}

/** @param {number} pid @param {NodeJS.Signals} signal */
function signalTo(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
  }
}

/** For the exit of a test's process, where nothing can be awaited. @param {string} runFile @param {RunFile} file */
function killNow(runFile, file) {
  // A pid that is no longer in the pid file was stopped, or was replaced by a later start.
  if (readRunFile(runFile)?.pid !== file.pid) return;
  try {
    if (process.platform === 'linux' && !readFileSync(`/proc/${file.pid}/cmdline`, 'utf8').includes(file.marker))
      return;
    process.kill(file.pid, 'SIGKILL');
    rmSync(runFile, { force: true });
  } catch {
    // It is gone already.
  }
}

/** One old log is kept: it holds the reason of the last death. @param {string} log */
function rotate(log) {
  makeFolder(path.dirname(log));
  try {
    renameSync(log, `${log}.1`);
  } catch {
    // The first start.
  }
}

/** @param {string} log @returns {string} */
function logTail(log) {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15);
  return `The last lines of ${log}:\n${lines.map((line) => `  | ${line}`).join('\n')}`;
}
