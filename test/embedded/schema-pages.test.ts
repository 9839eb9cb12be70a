import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before, describe } from 'node:test';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../../services/lib/registry/embedded.js';
import { ROOT } from '../../services/lib/root.js';

// The compiler has the services only: the tests of the copy would compile for another minute.
const COPIED = [
  'services',
  'schemas',
  'proto',
  'deploy',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'buf.yaml',
];
/** It takes 12 s, on a busy machine minutes: once, at the end, for what all examples changed. */
const COMPILES = /^npm run setup$/m;
const COMMANDS_MAX_MS = 600_000;

/** A checkout that may be changed: whatever runs there finds the packages of ours, and the command of its own. */
function copyTree(to: string): void {
  for (const name of COPIED) cpSync(join(ROOT, name), join(to, name), { recursive: true });
  mkdirSync(join(to, '.build'));
  cpSync(join(ROOT, '.build/services'), join(to, '.build/services'), { recursive: true });
  const packages = join(ROOT, 'node_modules');
  const commands = join(to, 'node_modules/.bin');
  mkdirSync(commands, { recursive: true });
  for (const name of readdirSync(packages))
    if (name !== '.bin') symlinkSync(join(packages, name), join(to, 'node_modules', name));
  for (const name of readdirSync(join(packages, '.bin')))
    symlinkSync(realpathSync(join(packages, '.bin', name)), join(commands, name));
  rmSync(join(commands, 'ssom-alert'), { force: true });
  symlinkSync(join(to, 'deploy/tools/setup/ssom-alert.mjs'), join(commands, 'ssom-alert'));
}

/** The examples of schemas/README.md: headings and commands. */
function examples(): { heading: string; commands: string }[] {
  const text = readFileSync(join(ROOT, 'schemas/README.md'), 'utf8');
  return [...text.matchAll(/^## (.+)\n(?:(?!^## )[^])*?^```sh\n([^]*?)^```$/gm)].map(([, heading, commands]) => ({
    heading: heading!,
    commands: commands!,
  }));
}

describe('the examples of schemas/README.md run as they stand', () => {
  let tree: string;
  let registry: EmbeddedRegistry;

  before(async () => {
    tree = mkdtempSync(join(tmpdir(), 'ssom-pages-'));
    copyTree(tree);
    registry = await startEmbeddedRegistry(0);
  });
  after(async () => {
    await registry.close();
    rmSync(tree, { recursive: true });
  });

  const run = (commands: string) =>
    new Promise<{ failed: boolean; output: string }>((resolve) => {
      const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], SCHEMA_REGISTRY_URL: registry.url };
      const options = { cwd: tree, env, timeout: COMMANDS_MAX_MS };
      execFile('bash', ['-euo', 'pipefail', '-c', commands], options, (error, stdout, stderr) =>
        resolve({ failed: error !== null, output: stdout + stderr }),
      );
    });

  const all = examples();
  const expected: Readonly<Record<string, RegExp[]>> = {
    'Add a field': [/^added {4}publishedAt {2}long, by default 0/m, /^alert-created-topic-value {2}id \d+$/m],
    'Remove a field': [/^schemas\/alert-created-topic-value\/v7\.avsc$/m],
    'Add an alert kind': [/^schemas\/alert-created-topic-value\/v8\.avsc$/m],
    'Change a meaning': [/^ {2}v3 {2}id \d+ {2}registered {2}written$[^]*^ {2}v4 {2}id \d+ {2}registered {2}written$/m],
    'A new event': [/^alert-closed-topic-value {2}id \d+$/m],
  };

  test('there is one for each change', () => {
    assert.deepEqual(
      all.map(({ heading }) => heading),
      Object.keys(expected),
    );
    assert.ok(all.every(({ commands }) => COMPILES.test(commands)));
  });

  for (const { heading, commands } of all)
    test(heading, async () => {
      const isLast = heading === all.at(-1)!.heading;
      const { failed, output } = await run(isLast ? commands : commands.replace(COMPILES, ''));
      assert.equal(failed, false, output);
      for (const pattern of expected[heading] ?? []) assert.match(output, pattern);
    });
});
