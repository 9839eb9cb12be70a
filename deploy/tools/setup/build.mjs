// Compiles the TypeScript sources into .build, where tsc keeps its notes too (see tsconfig.json), when they changed. By
// content, not by time: a git checkout or a copy changes only times. Reading 300 files takes 20 ms.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { NODE_MODULES, readJson, ROOT, run, SetupError, sha256, step, writeJson } from './common.mjs';
import { lockHash } from './packages.mjs';

const OUT = join(ROOT, '.build');
const STAMP = join(OUT, '.ssom-build.json');
const CONFIG = join(ROOT, 'tsconfig.json');
const SOURCE = /\.[mc]?ts$/;
const OUTPUT = /(?:\.d)?(\.[mc]?)[jt]s(?:\.map)?$/;

/**
 * `inputs`: the hash of everything that the outputs were made of; `outputs`: what must be there, relative to .build.
 * `running` while a compilation is at work: whoever finds it knows that the outputs and tsc's own notes may disagree.
 *
 * @typedef {{ state: 'done' | 'running' | 'failed', inputs: string, outputs: string[] }} Stamp
 */

/** @param {string} folder @param {RegExp} wanted @returns {string[]} paths below it, sorted */
function filesBelow(folder, wanted) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(path, wanted);
      return wanted.test(entry.name) ? [path] : [];
    });
}

/** @returns {string[]} the top folders that tsconfig.json includes: 'services/**' is services */
function sourceFolders() {
  // Comments and trailing commas are allowed in it; strings, which may look like comments, are kept.
  const json = readFileSync(CONFIG, 'utf8')
    .replace(/("(?:[^"\\]|\\.)*")|\/\/.*|\/\*[^]*?\*\//g, '$1')
    .replace(/,(\s*[}\]])/g, '$1');
  /** @type {string[]} */
  const include = JSON.parse(json).include ?? ['services', 'test'];
  return [...new Set(include.map((glob) => glob.replace(/^\.\//, '').split('/')[0] ?? ''))].sort();
}

/** @returns {string[]} absolute paths */
const sources = () => sourceFolders().flatMap((folder) => filesBelow(join(ROOT, folder), SOURCE));

/** @returns {string} */
function inputsHash() {
  const files = [CONFIG, ...sources()];
  return sha256(
    [lockHash(), ...files.map((file) => `${relative(ROOT, file)} ${sha256(readFileSync(file))}`)].join('\n'),
  );
}

/** @returns {boolean} */
export function buildNeeded() {
  if (!existsSync(CONFIG) || !existsSync(NODE_MODULES)) return true;
  /** @type {Stamp | undefined} */
  const stamp = readJson(STAMP);
  return stamp?.state !== 'done' || !outputsComplete(stamp) || stamp.inputs !== inputsHash();
}

/** @param {Stamp} stamp */
const outputsComplete = (stamp) => stamp.outputs.every((file) => existsSync(join(OUT, file)));

/** @returns {Promise<void>} */
export async function build() {
  if (!existsSync(CONFIG)) throw new SetupError('tsconfig.json is missing');
  await step('build: tsc', async (result) => {
    /** @type {Stamp | undefined} */
    const before = readJson(STAMP);
    // tsc writes only what it believes to have changed: its notes must belong to the files that are there.
    const trusted = before !== undefined && before.state !== 'running' && outputsComplete(before);
    if (!trusted) rmSync(OUT, { recursive: true, force: true });
    const inputs = inputsHash(); // before tsc reads them: an edit meanwhile makes the next run compile again
    const outputs = trusted ? before.outputs : [];
    writeStamp({ state: 'running', inputs, outputs });
    const tsc = createRequire(CONFIG).resolve('typescript/bin/tsc');
    const pretty = String(process.stdout.isTTY === true);
    const { ok, output } = await run(process.execPath, [tsc, '-p', CONFIG, '--pretty', pretty]);
    removeStale();
    if (!ok) {
      writeStamp({ state: 'failed', inputs, outputs: [] });
      throw new SetupError(`the sources do not compile:\n${output.trimEnd()}`);
    }
    makeCommandsExecutable();
    const made = filesBelow(OUT, OUTPUT).map((file) => relative(OUT, file));
    writeStamp({ state: 'done', inputs, outputs: made });
    result(`${sources().length} sources compiled`);
  });
}

/** tsc sets no executable bit, which the commands that package.json names need. */
function makeCommandsExecutable() {
  const { bin = {} } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const file of Object.values(bin)) {
    if (existsSync(join(ROOT, file))) chmodSync(join(ROOT, file), 0o755);
  }
}

/** @param {Stamp} stamp */
function writeStamp(stamp) {
  mkdirSync(OUT, { recursive: true });
  writeJson(STAMP, stamp);
}

/** Removes what was compiled from sources that are gone: the test runner would still run it. */
function removeStale() {
  for (const file of filesBelow(OUT, OUTPUT)) {
    const stem = join(ROOT, relative(OUT, file)).replace(OUTPUT, '');
    const kind = OUTPUT.exec(file)?.[1] ?? '.';
    if (![`${kind}ts`, `${kind}js`].some((extension) => existsSync(`${stem}${extension}`))) rmSync(file);
  }
}
