import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileTokenStore } from '../../../services/client/token-store.js';
import { temporaryFolder } from '../../support/cleanup.js';

test('a token survives the process that saved it', async (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'not', 'there', 'yet', 'token');
  assert.equal(fileTokenStore(file).name, file);
  assert.equal(await fileTokenStore(file).load(), undefined);
  await fileTokenStore(file).save('r1');
  await fileTokenStore(file).save('r2');
  assert.equal(await fileTokenStore(file).load(), 'r2');
  assert.deepEqual(readdirSync(join(folder.path, 'not', 'there', 'yet')), ['token']);
});

test('what is no token is an error that names the file', async (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'token');
  for (const garbage of ['', '\n', 'two words', '김서연', 'x'.repeat(2000), Buffer.from([0, 255, 10, 3])]) {
    writeFileSync(file, garbage);
    await assert.rejects(fileTokenStore(file).load(), (error: Error) => error.message.startsWith(file));
  }
});
