// Checks what packages a folder (the repository's, if none is named) brings along: each is pinned by its hash and comes
// from the registry, has a licence that packages.json accepts, and runs nothing at its installation that is not listed
// there. With --audit it asks the registry for known weaknesses instead: a high one fails, a registry that is not to be
// asked does not.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { childEnv, npmCli, ROOT } from './setup/common.mjs';

/**
 * @typedef {object} Locked
 * @property {boolean} [link]
 * @property {boolean} [inBundle]
 * @property {string} [resolved]
 * @property {string} [integrity]
 * @property {boolean} [hasInstallScript]
 */
/** @typedef {{ license?: { id?: string, name?: string }, expression?: string }} Licence */
/** @typedef {{ name: string, version: string, licenses?: Licence[] }} Component */
/** @typedef {Record<'licences' | 'unstated' | 'installScripts', Record<string, string>>} Accepted */
/** @typedef {{ name: string, severity: string, range: string }} Weakness */

const SHA512 = /^sha512-[A-Za-z0-9+/]{86}==$/;
const TARBALL = /^https:\/\/[^/]+\/(@[^/]+\/)?[^/]+\/-\/[^/]+\.tgz$/;
const AUDIT_MS = 60_000;

/** @param {string} file @returns {any} */
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** @param {string} folder @param {string[]} args @returns {{ stdout: string, stderr: string }} */
function npm(folder, ...args) {
  const { stdout, stderr } = spawnSync(process.execPath, [npmCli(), ...args], {
    cwd: folder,
    env: childEnv({ NO_COLOR: '1', npm_config_loglevel: 'error' }),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: AUDIT_MS,
  });
  return { stdout, stderr };
}

/** @param {Accepted} accepted @param {[string, Locked][]} locked @returns {string[]} */
function problemsOfLock({ installScripts }, locked) {
  const problems = [];
  const listed = Object.keys(installScripts).map((pattern) => ({ pattern, isUsed: false }));
  for (const [path, { link, inBundle, resolved, integrity, hasInstallScript }] of locked) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (link === true || inBundle === true || (resolved !== undefined && !TARBALL.test(resolved)))
      problems.push(`${path}: does not come from the registry`);
    else if (!SHA512.test(integrity ?? '')) problems.push(`${path}: is not pinned by a hash (sha512)`);
    if (hasInstallScript !== true) continue;
    const entry = listed.find(({ pattern }) => pattern === name || pattern === name.replace(/\/.*/, '/*'));
    if (entry === undefined) problems.push(`${path}: runs a script at its installation; say what for in packages.json`);
    else entry.isUsed = true;
  }
  const stale = listed.filter(({ isUsed }) => !isUsed);
  return [...problems, ...stale.map(({ pattern }) => `${pattern}: is listed in packages.json, and runs no script`)];
}

/** @param {Accepted} accepted @param {Component[]} components @returns {string[]} */
function problemsOfLicences({ licences, unstated }, components) {
  return components.flatMap(({ name, version, licenses = [] }) => {
    const ids = licenses.map(({ license, expression }) => license?.id ?? license?.name ?? expression ?? '');
    if (ids.length === 0 && Object.hasOwn(unstated, name)) return [];
    if (ids.length === 0) return [`${name}@${version}: states no licence; say in packages.json which it is`];
    const others = ids.filter((id) => !Object.hasOwn(licences, id));
    return others.map((id) => `${name}@${version}: its licence ${id} is not accepted in packages.json`);
  });
}

/** @param {string} folder @returns {string[]} */
function check(folder) {
  /** @type {Accepted} */
  const accepted = readJson(join(ROOT, 'deploy', 'tools', 'packages.json'));
  /** @type {Record<string, Locked>} */
  const packages = readJson(join(folder, 'package-lock.json')).packages;
  const locked = Object.entries(packages).filter(([path]) => path !== '');
  const args = ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--omit=dev'];
  const { stdout, stderr } = npm(folder, ...args);
  /** @type {{ components: Component[] }} */
  let bill;
  try {
    bill = JSON.parse(stdout);
  } catch {
    return [`npm ${args.join(' ')} made none: ${stderr.trim()}`];
  }
  return [...problemsOfLock(accepted, locked), ...problemsOfLicences(accepted, bill.components)];
}

/** @param {string} folder @returns {string[]} */
function audit(folder) {
  const { stdout, stderr } = npm(folder, 'audit', '--json', '--omit=dev');
  /** @type {{ message?: string, vulnerabilities?: Record<string, Weakness> }} */
  let answer = {};
  try {
    answer = JSON.parse(stdout);
  } catch {
    // What it said instead is shown below.
  }
  if (answer.vulnerabilities === undefined) {
    const said = answer.message ?? stderr.trim().split('\n')[0];
    process.stdout.write(`known weaknesses cannot be asked for here: ${said}\n`);
    return [];
  }
  const found = Object.values(answer.vulnerabilities);
  const grave = found.filter(({ severity }) => severity === 'high' || severity === 'critical');
  process.stdout.write(`known weaknesses: ${found.length}, high or critical: ${grave.length}\n`);
  return grave.map(({ name, range, severity }) => `${name} ${range}: ${severity}; see npm audit`);
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { audit: { type: 'boolean' } } });
const folder = resolve(positionals[0] ?? ROOT);
const problems = values.audit === true ? audit(folder) : check(folder);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
