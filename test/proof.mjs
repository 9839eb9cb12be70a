// `npm run proof`: everything that takes long, one after the other, whatever fails before. About two hours.
//
//   npm run proof                    all of it
//   npm run proof -- fuzz backlog    these parts
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { childEnv, ROOT, seconds } from '../deploy/tools/setup/common.mjs';

/** Each writes what it found as JSON to .local/proof/. */
const FOLDER = join(ROOT, '.local', 'proof');

/** @type {{ name: string, script: string, args: string[] }[]} */
const PARTS = [
  { name: 'defects', script: 'faults/run.js', args: ['--defect', 'all', '--control'] },
  { name: 'faults', script: 'faults/run.js', args: ['--minutes', '30', '--json', join(FOLDER, 'faults.json')] },
  { name: 'fuzz', script: 'fuzz/run.js', args: ['--json', join(FOLDER, 'fuzz.json')] },
  { name: 'reconnects', script: 'reconnects/run.js', args: ['--json', join(FOLDER, 'reconnects.json')] },
  { name: 'push', script: 'push/run.js', args: ['--json', join(FOLDER, 'push.json')] },
  { name: 'backlog', script: 'backlog/run.js', args: ['--json', join(FOLDER, 'backlog.json')] },
  { name: 'rolling', script: 'rolling/run.js', args: ['--json', join(FOLDER, 'rolling.json')] },
  { name: 'tables', script: 'tables/run.js', args: ['--json', join(FOLDER, 'tables.json')] },
  { name: 'streams', script: 'streams/run.js', args: ['--json', join(FOLDER, 'streams.json')] },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => PARTS.every((part) => part.name !== name));
if (unknown.length > 0) {
  process.stderr.write(
    `no part is called ${unknown.join(', ')}; there are ${PARTS.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}
mkdirSync(FOLDER, { recursive: true });
/** @type {string[]} */
const results = [];
let failed = false;
for (const { name, script, args } of PARTS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  process.stdout.write(`\n== ${name}\n`);
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', join(ROOT, '.build', 'test', 'labs', script), ...args],
    {
      cwd: ROOT,
      env: childEnv(),
      stdio: 'inherit',
    },
  );
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('close', resolve);
  });
  failed ||= code !== 0;
  results.push(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds(started)})`);
}
process.stdout.write(`\n${results.join('\n')}\n`);
process.exitCode = failed ? 1 : 0;
