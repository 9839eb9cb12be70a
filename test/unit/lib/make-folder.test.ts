import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { lockDataDir } from '../../../services/launch/embedded/instance-lock.js';
import { makeFolder } from '../../../services/lib/make-folder.js';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';

/** The one of the service in a process that can be ended, and the one of the set-up. */
const WAYS = [
  join(ROOT, '.build', 'services', 'lib', 'make-folder.js'),
  join(ROOT, 'deploy', 'tools', 'make-folder.mjs'),
];

for (const module of WAYS) {
  const make = (path: string) => {
    const script = `import { makeFolder } from ${JSON.stringify(module)}; await makeFolder(${JSON.stringify(path)});`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    return { status, stderr };
  };

  test(`${module.slice(ROOT.length + 1)}: a folder and those above it, also through links`, (t) => {
    const folder = temporaryFolder();
    defer(t, () => folder.remove());
    mkdirSync(join(folder.path, 'real'));
    symlinkSync(join(folder.path, 'real'), join(folder.path, 'link'));
    const path = join(folder.path, 'link', 'a', 'b');
    for (let times = 0; times < 2; times += 1) assert.deepEqual(make(path), { status: 0, stderr: '' });
    assert.ok(statSync(join(folder.path, 'real', 'a', 'b')).isDirectory());
  });

  test(
    `${module.slice(ROOT.length + 1)}: what cannot be made is refused, also where a folder answers ENOENT`,
    { skip: process.platform !== 'linux' },
    () => {
      for (const path of ['/proc/foo', '/proc/foo/bar']) {
        const { status, stderr } = make(path);
        assert.equal(status, 1, `${path}: ${stderr}`);
        assert.match(stderr, /ENOENT: no such file or directory, mkdir '\/proc\/foo'/);
      }
    },
  );
}

test('many at once make the same folder', async (t) => {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const path = join(folder.path, 'a', 'b', 'c');
  await Promise.all(Array.from({ length: 20 }, () => makeFolder(path)));
  assert.ok(statSync(path).isDirectory());
});

test('a DATA_DIR that is or lies in a file is refused by name', async (t) => {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const file = join(folder.path, 'file');
  writeFileSync(file, '');
  for (const dataDir of [file, join(file, 'data')]) {
    await assert.rejects(lockDataDir(dataDir), {
      message: `DATA_DIR ${dataDir} is no folder that can be used: ${file} is a file; set another DATA_DIR`,
    });
  }
});
