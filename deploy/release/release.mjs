// npm run release -- VERSION [--dry-run]: writes down what is released with the present commit. Everything after it is
// held against that; the release of it, a tag and a commit, is for who runs this.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { childEnv, readJson, ROOT } from '../tools/setup/common.mjs';
import { dayOf, isNewer } from './changelog.mjs';
import { readRecord } from './compare.mjs';
import { recordOf, writeRecord } from './record.mjs';

const VERSION = /^\d+\.\d+\.\d+$/;

/** Something to be done first; shown without a stack. */
class Refused extends Error {
  name = 'Refused';
}

/** @param {string[]} args @returns {string} */
const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();

/** @param {string} version @param {string} last that of the last release @returns {string} the day of the release */
function refuseUnready(version, last) {
  if (!VERSION.test(version)) throw new Refused(`a version has three numbers, as 1.2.3: "${version}" does not`);
  if (!isNewer(version, last))
    throw new Refused(`${last} was released: a version after it is greater, ${version} is not`);
  const dirty = git('status', '--porcelain');
  if (dirty !== '')
    throw new Refused(`what is released is a commit, and these are in none: commit or remove\n${dirty}`);
  const own = readJson(join(ROOT, 'package.json'))?.version;
  if (own !== version)
    throw new Refused(`package.json says ${own}: npm version ${version} --no-git-tag-version, and commit it`);
  const day = dayOf(readFileSync(join(ROOT, 'deploy', 'CHANGELOG.md'), 'utf8'), version);
  if (day === undefined)
    throw new Refused(`deploy/CHANGELOG.md has no section "## ${version} (YYYY-MM-DD)": name its "## Unreleased" so`);
  const checks = spawnSync(process.execPath, ['test/run.mjs', '--only', 'checks'], {
    cwd: ROOT,
    env: childEnv(),
    stdio: 'inherit',
  });
  if (checks.status !== 0) throw new Refused('a check failed, see above: mend it, commit, and release that');
  return day;
}

/** @param {Record<string, string>} now @param {Record<string, string>} before */
const added = (now, before) =>
  Object.keys(now)
    .filter((name) => !Object.hasOwn(before, name))
    .join(', ') || 'none';

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'dry-run': { type: 'boolean', default: false } },
  });
  const [version = '', ...more] = positionals;
  if (version === '' || more.length > 0) throw new Refused('usage: npm run release -- VERSION [--dry-run]');
  const last = readRecord(ROOT);
  const date = refuseUnready(version, last.version);
  const commit = git('rev-parse', 'HEAD');
  const made = await recordOf(ROOT, { version, date, commit }, last.deprecated);
  if (!values['dry-run']) writeRecord(ROOT, made);
  process.stdout.write(`
${values['dry-run'] ? 'would release' : 'releases'} ${version} (${date}), commit ${commit}, after ${last.version}
schemas that are new:         ${added(made.record.schemas, last.schemas)}
migrations that are new:      ${added(made.record.migrations, last.migrations)}
deprecated in protos, new:    ${added(made.record.deprecated, last.deprecated)}
`);
  if (values['dry-run']) return;
  process.stdout.write(`
deploy/release says so now. Commit it, and name the commit that was released:
  git add deploy/release && git commit -m 'Release ${version}'
  git tag -a v${version} -m 'Release ${version}' ${commit}
  git push --atomic origin HEAD v${version}
`);
}

await main().catch((error) => {
  if (!(error instanceof Refused)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
