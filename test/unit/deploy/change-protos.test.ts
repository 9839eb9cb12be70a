import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';

/** What the commands of proto/README.md read and write. */
const USED = [
  ...['buf.yaml', 'package.json', 'proto', 'schemas', 'services/gen', 'services/store'],
  ...['deploy/CHANGELOG.md', 'deploy/release', 'deploy/tools/setup/common.mjs'],
];
const ALERT = 'proto/ssom/alert/v1/alert.proto';
const BREAKING = 'npx buf breaking';

test('a field is added, and another deprecated, by the commands of proto/README.md as they stand there', async (t) => {
  const folder = temporaryFolder();
  defer(t, folder.remove);
  const at = (path: string) => join(folder.path, path);
  for (const path of USED) cpSync(join(ROOT, path), at(path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), at('node_modules'));
  const change = (before: RegExp, after: string) => {
    const text = readFileSync(at(ALERT), 'utf8');
    assert.match(text, before);
    writeFileSync(at(ALERT), text.replace(before, after));
  };
  const run = (command: string) =>
    new Promise<{ code: number; output: string }>((resolve) => {
      execFile('bash', ['-c', command], { cwd: folder.path }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr }),
      );
    });
  const section = readFileSync(at('proto/README.md'), 'utf8').split('\n## Changing it\n')[1]!;
  const commands = [...section.matchAll(/^```bash\n([^]*?)^```$/gm)]
    .flatMap(([, block]) => block!.trim().split('\n'))
    .map((line) => line.replace(/ +#.*/, ''));
  assert.ok(commands.length >= 5);

  change(/^( +string source_id = 9);$/m, '$1   [deprecated = true];\n  // Tried.\n  string tried = 999;');
  for (const command of commands) {
    const { code, output } = await run(command);
    assert.equal(code, 0, `${command}: ${output}`);
  }
  assert.match(readFileSync(at(ALERT), 'utf8'), /^ {2}string source_id = 9 \[deprecated = true\];$/m);
  assert.match(readFileSync(at('services/gen/ssom/alert/v1/Alert.ts'), 'utf8'), /'tried': /);

  // What was not released may go again; what was may not, reserved or not.
  change(/^ {2}\/\/ Tried\.\n.*\n/m, '');
  change(/^ +string source_id = 9.*$/m, '  reserved 9;\n  reserved "source_id";');
  for (const command of commands.filter((each) => each.includes('check.mjs') || each.startsWith(BREAKING))) {
    const { code, output } = await run(command);
    assert.notEqual(code, 0);
    assert.match(output, /field "9" with name "source_id" on message "Alert" was deleted/);
    if (!command.startsWith(BREAKING))
      assert.match(output, /put it back under its number, marked \[deprecated = true\]/);
    assert.doesNotMatch(output, /tried/);
  }
});
