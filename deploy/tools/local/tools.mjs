// The tools that the stack needs from the system, and what to type where one is missing.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { StackError } from './errors.mjs';

const INSTALL = 'apt-get install -y openjdk-17-jre-headless maven golang-go';

/** @param {string} name @param {NodeJS.ProcessEnv} [env] @returns {string | undefined} its path */
export function which(name, env = process.env) {
  for (const folder of (env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(folder, name);
    if (folder !== '' && existsSync(file)) return file;
  }
  return undefined;
}

/**
 * @returns {string} the java to run: of JAVA_HOME if it is set, else of PATH
 * @throws {StackError} none, or one older than 17
 */
export function java() {
  const home = process.env['JAVA_HOME'];
  const file = home ? path.join(home, 'bin', 'java') : which('java');
  if (file === undefined || !existsSync(file)) {
    throw new StackError(
      `java was not found${home ? ` in JAVA_HOME (${home})` : ''}. Kafka and the schema registry need Java 17 or newer: ${INSTALL}`,
    );
  }
  const said = spawnSync(file, ['-version'], { encoding: 'utf8' });
  const version = /version "(\d+)/.exec(`${said.stderr}${said.stdout}`)?.[1];
  if (version === undefined || Number(version) < 17) {
    throw new StackError(
      `${file} is Java ${version ?? 'of an unknown version'}, Kafka and the schema registry need 17 or newer: ${INSTALL}` +
        ' (or point JAVA_HOME at one)',
    );
  }
  return file;
}

/** @returns {string} Maven, which downloads the jars. @throws {StackError} */
export function maven() {
  const file = which('mvn');
  if (file === undefined) {
    throw new StackError(`mvn was not found. Maven downloads the jars of Kafka and of the schema registry: ${INSTALL}`);
  }
  return file;
}

/** @returns {string} Go, which builds Jaeger. @throws {StackError} */
export function go() {
  const file = which('go');
  if (file === undefined) {
    throw new StackError(
      `go was not found. Jaeger is built with it: ${INSTALL} (Go 1.24.6 or newer, or 1.21 and newer where it may fetch ` +
        'its own toolchain; a distribution whose golang-go is older: install from https://go.dev/dl)',
    );
  }
  return file;
}

/**
 * Jaeger's own go.mod names the Go it demands. From 1.21 on, Go fetches a newer toolchain by itself unless
 * GOTOOLCHAIN=local forbids it.
 * @param {string} file the go command
 * @param {string} wanted e.g. "1.24.6"
 * @throws {StackError}
 */
export function checkGo(file, wanted) {
  const told = spawnSync(file, ['env', 'GOVERSION', 'GOTOOLCHAIN'], { encoding: 'utf8' }).stdout.split('\n');
  const have = (told[0] ?? '').replace(/^go/, '');
  const fetches = compareVersions(have, '1.21') >= 0 && (told[1] ?? '') !== 'local';
  if (compareVersions(have, wanted) < 0 && !fetches) {
    throw new StackError(
      `${file} is Go ${have}, this Jaeger demands ${wanted} or newer: install one from https://go.dev/dl and put it first ` +
        'in PATH (or, from Go 1.21 on, allow it to fetch its toolchain: GOTOOLCHAIN=auto)',
    );
  }
}

/** @param {string} a @param {string} b */
function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** @type {Set<() => void>} */
const beforeExit = new Set();
// One listener for all: a stack of several brokers has more processes than Node takes for a leak.
process.once('exit', () => {
  for (const work of beforeExit) work();
});

/**
 * Does something, synchronously, when this process ends.
 * @param {() => void} work
 * @returns {() => void} takes it back
 */
export function atExit(work) {
  beforeExit.add(work);
  return () => void beforeExit.delete(work);
}

/**
 * Runs a command to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, input?: string, uid?: number, gid?: number }} [options]
 * @returns {Promise<string>} its standard output
 * @throws {StackError} it failed: with the last 30 lines that it wrote
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const { input, ...rest } = options;
    const child = spawn(command, args, { ...rest, stdio: ['pipe', 'pipe', 'pipe'] });
    // Ends with us when we are interrupted: a download goes on in a later run, from a new temporary folder.
    const ended = atExit(() => child.kill());
    let stdout = '';
    let all = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      all += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (all += text));
    child.stdin.on('error', () => undefined); // a command that ends without reading its input
    child.stdin.end(input ?? '');
    child.once('error', (error) => {
      ended();
      reject(new StackError(`${command}: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      ended();
      if (code === 0) resolve(stdout);
      else {
        const tail = all.trimEnd().split('\n').slice(-30).join('\n');
        reject(new StackError(`${path.basename(command)} ${args.join(' ')}\nended with ${signal ?? code}:\n${tail}`));
      }
    });
  });
}
