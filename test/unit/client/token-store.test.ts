import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileTokenStore } from '../../../services/client/token-store.js';
import { temporaryFolder } from '../../support/cleanup.js';

test('a token survives the process that saved it, and is removed on demand', async (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'not', 'there', 'yet', 'token');
  assert.equal(await fileTokenStore(file).load(), undefined);
  await fileTokenStore(file).save('r1');
  await fileTokenStore(file).save('r2');
  assert.equal(await fileTokenStore(file).load(), 'r2');
  assert.deepEqual(readdirSync(join(folder.path, 'not', 'there', 'yet')), ['token']);
  await fileTokenStore(file).save(undefined);
  assert.equal(await fileTokenStore(file).load(), undefined);
});

test('an empty file is no token', async (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'token');
  writeFileSync(file, '\n');
  assert.equal(await fileTokenStore(file).load(), undefined);
});
