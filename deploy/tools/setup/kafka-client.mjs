// The Kafka client's native part. Sources, in this order: what is there and loads, our cache of compiled ones, the
// prebuilt binary of its releases page, a compilation against the system's libraries.
//
// Everything is made in a scratch folder and moved into place when complete. So an interruption leaves either no
// binary or a whole one, and a compilation's 300 MB of objects do not stay.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { makeFolder } from '../make-folder.mjs';
import {
  childEnv,
  failureText,
  NODE_MODULES,
  npmCli,
  readJson,
  readStamp,
  run,
  same,
  SetupError,
  step,
  updateStamp,
} from './common.mjs';
import { installSystemPackages } from './system-packages.mjs';

const PACKAGE = '@confluentinc/kafka-javascript';
const FOLDER = join(NODE_MODULES, PACKAGE);
/** Beside the packages, so that the compilation finds `nan`, and a rename into FOLDER stays on one file system. */
const SCRATCH = join(NODE_MODULES, '.ssom-kafka-client');
/** The releases page answers or refuses at once; where packets just vanish, the compilation should not wait long. */
const PREBUILT_TIMEOUT_MS = 20_000;

/** @param {string} folder with `build/Release` below @returns {string | undefined} the native module */
function nativeFile(folder) {
  const release = join(folder, 'build', 'Release');
  const name = existsSync(release) ? readdirSync(release).find((file) => file.endsWith('.node')) : undefined;
  return name === undefined ? undefined : join(release, name);
}

/** @returns {object | undefined} what was checked to load; it changes with the file and with whatever loads it */
function fingerprint() {
  const file = nativeFile(FOLDER);
  if (file === undefined) return undefined;
  const { size, mtimeMs } = statSync(file);
  return { version: clientVersion(), runtime: runtime(), size, mtimeMs };
}

const clientVersion = () => /** @type {string} */ (readJson(join(FOLDER, 'package.json'))?.version);
const runtime = () => `${process.versions.modules}-${process.platform}-${process.arch}`;

/** @returns {boolean} */
export function kafkaClientNeeded() {
  const now = fingerprint();
  return now === undefined || !same(readStamp().kafkaClient, now);
}

/** @returns {Promise<void>} */
export async function bringKafkaClient() {
  rmSync(SCRATCH, { recursive: true, force: true });
  if (nativeFile(FOLDER) === undefined || (await loadError()) !== undefined) {
    if (!((await fromCache()) || (await prebuilt()))) await compile();
  }
  rmSync(SCRATCH, { recursive: true, force: true });
  updateStamp({ kafkaClient: fingerprint() ?? {} });
}

/** @returns {Promise<string | undefined>} why it does not load, in a process of its own: a bad binary can crash it */
async function loadError() {
  const { ok, output } = await run(process.execPath, ['-e', `require(${JSON.stringify(PACKAGE)})`]);
  return ok ? undefined : output;
}

/**
 * @param {string} folder with a complete `build` below, which is moved away
 * @returns {Promise<string | undefined>} why it does not load; it is removed again then
 */
async function moveIntoPlace(folder) {
  rmSync(join(FOLDER, 'build'), { recursive: true, force: true });
  renameSync(join(folder, 'build'), join(FOLDER, 'build'));
  const error = await loadError();
  if (error !== undefined) rmSync(join(FOLDER, 'build'), { recursive: true, force: true });
  return error;
}

/** @returns {string | undefined} this client's folder in the cache that SSOM_CACHE_DIR names */
function cacheFolder() {
  const cache = process.env['SSOM_CACHE_DIR'];
  if (cache === undefined || cache === '') return undefined;
  const name = [clientVersion(), process.versions.modules, process.platform, libc(), process.arch].join('-');
  return join(cache, 'kafka-javascript', name);
}

function libc() {
  if (process.platform !== 'linux') return 'system';
  const { report } = process;
  /** @type {any} */ (report).excludeNetwork = true; // it would look up every address's name
  return /** @type {any} */ (report.getReport()).header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

/** @returns {Promise<boolean>} */
async function fromCache() {
  const cached = cacheFolder();
  if (cached === undefined || nativeFile(cached) === undefined) return false;
  return await step('Kafka client: from the cache', async (result) => {
    cpSync(join(cached, 'build'), join(SCRATCH, 'cached', 'build'), { recursive: true, verbatimSymlinks: true });
    const error = await moveIntoPlace(join(SCRATCH, 'cached'));
    if (error !== undefined) result('does not load here');
    return error === undefined;
  });
}

/** Adds a compiled client to the cache, whole or not at all. */
function fillCache() {
  const cached = cacheFolder();
  if (cached === undefined) return;
  const temporary = `${cached}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  cpSync(join(FOLDER, 'build'), join(temporary, 'build'), { recursive: true, verbatimSymlinks: true });
  rmSync(cached, { recursive: true, force: true });
  renameSync(temporary, cached);
}

/** @returns {Promise<boolean>} */
async function prebuilt() {
  return await step('Kafka client: prebuilt binary', async (result) => {
    // The package's own install script less its --fallback-to-build, which compiles statically from downloads.
    const folder = join(SCRATCH, 'prebuilt');
    mkdirSync(folder, { recursive: true });
    cpSync(join(FOLDER, 'package.json'), join(folder, 'package.json'));
    const script = createRequire(join(FOLDER, 'package.json')).resolve('@mapbox/node-pre-gyp/bin/node-pre-gyp');
    const { ok, timedOut } = await run(process.execPath, [script, 'install'], {
      cwd: folder,
      timeoutMs: PREBUILT_TIMEOUT_MS,
    });
    if (!ok || nativeFile(folder) === undefined) {
      result(timedOut ? `no answer in ${PREBUILT_TIMEOUT_MS / 1000} s` : 'cannot be had');
      return false;
    }
    const error = await moveIntoPlace(folder);
    if (error !== undefined) result('does not load here');
    return error === undefined;
  });
}

/** @returns {Promise<void>} */
async function compile() {
  await installSystemPackages();
  const cores = availableParallelism();
  const folder = join(SCRATCH, 'compile');
  // Measured 65 to 85 s on 2 cores; for other counts it is a guess, as only librdkafka's half uses all of them.
  const estimate = Math.max(40, Math.round(180 / cores / 10) * 10);
  await step(`Kafka client: compiling, about ${estimate} s on ${cores} cores`, async (result) => {
    cpSync(FOLDER, folder, { recursive: true, filter: (source) => source !== join(FOLDER, 'build') });
    const nodeGyp = createRequire(npmCli()).resolve('node-gyp/bin/node-gyp.js');
    const { ok, output } = await run(process.execPath, [nodeGyp, 'configure', 'build'], {
      cwd: folder,
      env: compileEnv(),
    });
    if (!ok) throw new SetupError(`the Kafka client does not compile:\n${failureText('kafka-client', output)}`);
    const slim = join(SCRATCH, 'slim');
    await keepWhatRuns(folder, slim);
    const error = await moveIntoPlace(slim);
    if (error !== undefined) throw new SetupError(`the compiled Kafka client does not load:\n${error}`);
    fillCache();
    result('compiled');
  });
}

/** @returns {NodeJS.ProcessEnv} */
function compileEnv() {
  /** @type {Record<string, string | undefined>} */
  const changes = { CKJS_LINKING: 'dynamic' };
  // The package does not build with JOBS (tried with 2); librdkafka's own make uses all cores by itself. And a make
  // around us would hand its job count on.
  for (const name of ['JOBS', 'MAKEFLAGS', 'MFLAGS', 'MAKELEVEL']) changes[name] = undefined;
  const headers = nodeHeaders();
  for (const name of Object.keys(process.env)) {
    if (/^npm_(config|package_config_node_gyp)_jobs$/i.test(name)) changes[name] = undefined;
    // npm's configuration may name the headers of another Node than the one that runs us.
    if (headers !== undefined && /^npm_(config|package_config_node_gyp)_nodedir$/i.test(name))
      changes[name] = undefined;
  }
  // By environment, since node-gyp lets that win over its arguments. Without it node-gyp downloads them.
  if (headers !== undefined) changes['npm_config_nodedir'] = headers;
  return childEnv(changes);
}

/** @returns {string | undefined} the folder of the running Node's own headers (its include/node is below) */
function nodeHeaders() {
  const candidates = [dirname(dirname(realpathSync(process.execPath))), '/usr', '/usr/local'];
  return candidates.find((folder) => {
    const file = join(folder, 'include', 'node', 'node_version.h');
    if (!existsSync(file) || !existsSync(join(folder, 'include', 'node', 'node.h'))) return false;
    // The same ABI: /usr/include may hold the distribution's Node beside a newer one elsewhere.
    return new RegExp(`NODE_MODULE_VERSION\\s+${process.versions.modules}\\b`).test(readFileSync(file, 'utf8'));
  });
}

/**
 * Copies the module and the shared libraries it links, stripped: 3 MB of the 300.
 *
 * @param {string} from @param {string} to
 */
async function keepWhatRuns(from, to) {
  for (const [folder, wanted] of /** @type {const} */ ([
    ['Release', /\.node$/],
    ['deps', /\.(so|dylib)(\.|$)|\.\d+\.dylib$/],
  ])) {
    const source = join(from, 'build', folder);
    const target = join(to, 'build', folder);
    makeFolder(target);
    if (!existsSync(source)) continue;
    for (const name of readdirSync(source).filter((file) => wanted.test(file))) {
      const file = join(target, name);
      cpSync(join(source, name), file, { verbatimSymlinks: true });
      if (process.platform !== 'linux' || statSync(join(source, name)).isDirectory()) continue;
      chmodSync(join(source, name), 0o755);
      await run('strip', ['--strip-unneeded', file]); // only smaller: it may fail
    }
  }
}
