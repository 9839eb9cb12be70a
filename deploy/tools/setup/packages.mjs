// npm's packages, without their install scripts: the two that matter are steps of their own, bounded and checked.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  childEnv,
  failureText,
  NODE_MODULES,
  npmCli,
  readJson,
  readStamp,
  ROOT,
  run,
  same,
  SetupError,
  sha256,
  step,
  updateStamp,
} from './common.mjs';

const LOCK = join(ROOT, 'package-lock.json');
/** npm's own record of what is installed; written at the very end of an installation. */
const INSTALLED = join(NODE_MODULES, '.package-lock.json');

/** @returns {string} the hash of package-lock.json */
export const lockHash = () => sha256(readFileSync(LOCK));

const wanted = () => ({ lock: lockHash(), platform: `${process.platform}-${process.arch}` });

/** @returns {boolean} */
export function packagesNeeded() {
  return !existsSync(INSTALLED) || !same(readStamp().packages, wanted());
}

/** @returns {Promise<void>} */
export async function installPackages() {
  // Installed by hand, or the lock file came back to what is installed: nothing to fetch.
  if (!installedAgrees()) {
    const npm = npmCli();
    await step('packages: npm ci', async (result) => {
      // First the records: an interruption from here on must not look like an installation.
      rmSync(join(NODE_MODULES, '.ssom-setup.json'), { force: true });
      rmSync(INSTALLED, { force: true });
      // --include=dev: NODE_ENV=production would leave out the compiler.
      // --loglevel: under `npm run --silent` a failure would be silent too.
      const quiet = ['--no-audit', '--no-fund', '--no-progress', '--loglevel=notice'];
      const args = ['ci', '--ignore-scripts', '--include=dev', ...quiet];
      const { ok, output } = await run(process.execPath, [npm, ...args], { env: childEnv({ NO_COLOR: '1' }) });
      if (!ok) throw new SetupError(`npm ci failed:\n${failureText('packages', output)}`);
      result(/added \d+ packages/.exec(output)?.[0] ?? 'done');
    });
  }
  updateStamp({ packages: wanted() });
}

/** @typedef {{ version?: string, integrity?: string, optional?: boolean, os?: string[], cpu?: string[] }} Package */

/** @returns {boolean} whether node_modules holds what package-lock.json says */
function installedAgrees() {
  /** @type {Record<string, Package> | undefined} */
  const installed = readJson(INSTALLED)?.packages;
  /** @type {Record<string, Package> | undefined} */
  const locked = readJson(LOCK)?.packages;
  if (installed === undefined || locked === undefined) return false;
  for (const [path, package_] of Object.entries(locked)) {
    if (path === '') continue;
    const there = installed[path];
    if (there === undefined) {
      if (package_.optional !== true || fitsHere(package_)) return false;
    } else if (there.version !== package_.version || there.integrity !== package_.integrity) {
      return false;
    }
  }
  return Object.keys(installed).every((path) => path in locked && existsSync(join(ROOT, path, 'package.json')));
}

/** @param {Package} package_ with negations ('!win32') taken for a fit: at worst npm ci runs once more */
function fitsHere({ os, cpu }) {
  const fits = (/** @type {string[] | undefined} */ list, /** @type {string} */ value) =>
    list === undefined || list.includes(value) || list.some((name) => name.startsWith('!'));
  return fits(os, process.platform) && fits(cpu, process.arch);
}
