import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';

test('what is wrong in a document is named with its line, and the rest is not', (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const write = (name: string, ...lines: string[]) => writeFileSync(join(folder.path, name), lines.join('\n'));
  mkdirSync(join(folder.path, 'code'));
  write('code/alert.ts');
  write('other.md', '# `One`, and [two](alert.md)', '## Twice', '## Twice');
  write(
    'README.md',
    '[ok](other.md#one-and-two) [ok](other.md#twice-1) [ok](code) [ok](https://example.com/gone) `alert.ts` `code/alert.ts`',
    '[gone](gone.md) [gone](other.md#three) [gone](#here) `gone.ts`',
    '```',
    '[an example](of-code.md)',
    '```',
    `| ${'a'.repeat(156)} |`,
    '',
    `| ${'b'.repeat(157)} |`,
    `| ${'c'.repeat(157)} |`,
  );
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'deploy/tools/check-docs.mjs'), folder.path], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.deepEqual(stderr.trim().split('\n').sort(), [
    'README.md:2: #here is no heading there',
    'README.md:2: gone.md does not exist',
    'README.md:2: other.md#three is no heading there',
    'README.md:2: there is no file gone.ts',
    'README.md:8: a row of more than 160 characters: make it a list, or say less in it',
    'other.md:1: alert.md does not exist',
  ]);
});
