import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../../../services/lib/root.js';

const module = (path: string) => pathToFileURL(join(ROOT, '.build', 'services', path)).href;

for (const [how, statement] of [
  ['an error that nobody catches', `setTimeout(() => { throw new Error('from an event'); });`],
  ['a promise that nobody awaits', `void Promise.reject(new Error('from an event'));`],
] as const) {
  test(`${how} ends a role with one line of JSON`, () => {
    const script = `
      import { endOnUnattended } from '${module('lib/lifecycle.js')}';
      import { createLogger } from '${module('lib/logging.js')}';
      endOnUnattended(createLogger({ logLevel: 'info', logFormat: 'json' }, 'push'));
      ${statement}
      setTimeout(() => undefined, 10_000);`;
    const { status, stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.equal(stdout, '');
    const lines = stderr.trim().split('\n');
    assert.equal(lines.length, 1, stderr);
    const { level, role, err, msg } = JSON.parse(lines[0]!) as Record<string, unknown> & { err: { message: string } };
    assert.deepEqual({ level, role, message: err.message }, { level: 60, role: 'push', message: 'from an event' });
    assert.match(String(msg), /; ending$/);
  });
}
