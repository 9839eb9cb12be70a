import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import test from 'node:test';
import { fileTokenStore } from '../../../services/client/token-store.js';
import { lockDataDir } from '../../../services/launch/embedded/instance-lock.js';
import { startEmbeddedPostgres } from '../../../services/launch/embedded/postgres.js';
import { type Logger, silentLogger } from '../../../services/lib/logging.js';
import { atExit, killPostgresOf, temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';

/** What others may do with anything in a folder, or with itself. */
function open(folder: string, path = folder): string[] {
  const stat = lstatSync(path);
  const own = (stat.mode & 0o077) === 0 ? [] : [`${relative(folder, path) || '.'} ${(stat.mode & 0o777).toString(8)}`];
  const below = stat.isDirectory() ? readdirSync(path).flatMap((name) => open(folder, join(path, name))) : [];
  return [...own, ...below];
}

function anythingGoes(t: Parameters<typeof defer>[0]): void {
  const before = process.umask(0);
  defer(t, () => void process.umask(before));
}

test('what lies in DATA_DIR is for the service alone, whatever the umask', async (t) => {
  anythingGoes(t);
  const folder = temporaryFolder('ssom-modes-');
  const dataDir = join(folder.path, 'data');
  const takeBack = atExit(() => killPostgresOf(dataDir));
  defer(t, () => {
    takeBack();
    folder.remove();
  });
  const unlock = await lockDataDir(dataDir);
  defer(t, unlock);
  const postgres = await startEmbeddedPostgres({ dataDir, port: 0, logger: silentLogger(), durable: false });
  defer(t, () => postgres.stop());
  assert.ok(readdirSync(dataDir).includes('instance.sock'));
  // Another user that PostgreSQL runs as has to pass through the folder.
  const passed = lstatSync(join(dataDir, 'postgres')).uid === process.getuid?.() ? [] : ['. 711'];
  assert.deepEqual(open(dataDir), passed);
  assert.match(postgres.url, /@127\.0\.0\.1:/);
});

test('a DATA_DIR that others may write to is warned of', async (t) => {
  const folder = temporaryFolder('ssom-modes-');
  const dataDir = join(folder.path, 'data');
  anythingGoes(t);
  mkdirSync(dataDir, { mode: 0o777 });
  const takeBack = atExit(() => killPostgresOf(dataDir));
  defer(t, () => {
    takeBack();
    folder.remove();
  });
  const warnings: unknown[] = [];
  const logger = Object.assign(silentLogger(), { warn: (...said: unknown[]) => warnings.push(said) }) as Logger;
  const postgres = await startEmbeddedPostgres({ dataDir, port: 0, logger, durable: false });
  defer(t, () => postgres.stop());
  assert.deepEqual(warnings, [[{ dataDir, mode: '777' }, 'other users may write to DATA_DIR; chmod 700 it']]);
});

test('where a stream stands is for its user alone', async (t) => {
  anythingGoes(t);
  const folder = temporaryFolder('ssom-modes-');
  defer(t, () => folder.remove());
  await fileTokenStore(join(folder.path, 'made', 'token')).save('r1');
  assert.deepEqual(open(join(folder.path, 'made')), []);
});
