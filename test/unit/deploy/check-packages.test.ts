import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';

const CHECK = join(ROOT, 'deploy', 'tools', 'check-packages.mjs');
const HASH = `sha512-${createHash('sha512').digest('base64')}`;

/** A checkout with these packages in its lock file. */
function checkout(t: TestContext, packages: Readonly<Record<string, object>>): string {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const dependencies = Object.fromEntries(Object.keys(packages).map((name) => [name, '1.0.0']));
  const root = { name: 'checkout', version: '1.0.0', dependencies };
  const entries = Object.entries(packages).map(([name, entry]) => [
    `node_modules/${name}`,
    { version: '1.0.0', integrity: HASH, license: 'MIT', ...entry },
  ]);
  const lock = {
    ...{ name: 'checkout', version: '1.0.0', lockfileVersion: 3, requires: true },
    packages: { '': root, ...(Object.fromEntries(entries) as object) },
  };
  writeFileSync(join(folder.path, 'package.json'), JSON.stringify(root));
  writeFileSync(join(folder.path, 'package-lock.json'), JSON.stringify(lock));
  return folder.path;
}

async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [CHECK, ...args], { env: { ...process.env, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stdout, problems: stderr.trim().split('\n').sort() };
}

test('a package that is not pinned, from elsewhere, of another licence, or runs a script is named', async (t) => {
  const folder = checkout(t, {
    good: { resolved: 'https://registry.example/@scope/good/-/good-1.0.0.tgz' },
    loose: { integrity: undefined },
    weak: { integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' },
    fork: { resolved: 'git+ssh://git@example.com/fork.git#0123456' },
    copyleft: { license: 'AGPL-3.0-only' },
    silent: { license: undefined },
    runs: { hasInstallScript: true },
  });
  const { status, problems } = await run([folder]);
  assert.equal(status, 1);
  assert.deepEqual(
    problems.filter((problem) => !problem.includes('is listed in packages.json')),
    [
      'copyleft@1.0.0: its licence AGPL-3.0-only is not accepted in packages.json',
      'node_modules/fork: does not come from the registry',
      'node_modules/loose: is not pinned by a hash (sha512)',
      'node_modules/runs: runs a script at its installation; say what for in packages.json',
      'node_modules/weak: is not pinned by a hash (sha512)',
      'silent@1.0.0: states no licence; say in packages.json which it is',
    ],
  );
  assert.ok(problems.includes('protobufjs: is listed in packages.json, and runs no script'));
});

/** A registry that knows of one weakness, or of none because nobody may ask; @returns its address */
async function registry(t: TestContext, severity: string | undefined): Promise<string> {
  const server = createServer((request, response) => {
    const isBulk = request.url!.endsWith('/advisories/bulk');
    response.setHeader('content-type', 'application/json');
    if (severity === undefined) return void response.writeHead(405).end();
    const weakness = { id: 1, url: 'https://advisories.example/1', title: 'weak', severity, vulnerable_versions: '<2' };
    if (isBulk) return void response.end(JSON.stringify({ weak: [weakness] }));
    const version = { name: 'weak', version: '1.0.0', dist: { integrity: HASH, tarball: '' } };
    response.end(JSON.stringify({ name: 'weak', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('a known weakness fails if it is a high one, and a registry that is not to be asked does not', async (t) => {
  const audit = async (severity: string | undefined) => {
    // npm keeps what it was told of a weakness.
    const folder = checkout(t, { weak: {} });
    const environment = { npm_config_registry: await registry(t, severity), npm_config_cache: join(folder, 'cache') };
    return run(['--audit', folder], environment);
  };
  const [high, low, away] = await Promise.all(['high', 'low', undefined].map(audit));
  assert.deepEqual([high!.status, high!.problems], [1, ['weak *: high; see npm audit']]);
  assert.deepEqual([low!.status, low!.stdout], [0, 'known weaknesses: 1, high or critical: 0\n']);
  assert.equal(away!.status, 0);
  assert.match(away!.stdout, /^known weaknesses cannot be asked for here: 405/);
});
