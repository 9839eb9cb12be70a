import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';

const RUN_SERVICE = join(ROOT, 'deploy', 'tools', 'setup', 'run-service.mjs');

/** Starts this as `npm start` starts the service, asks it to end once it has said something, and waits for both. */
async function ended(t: TestContext, service: string): Promise<{ code: unknown; stderr: string; servicePid: number }> {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const main = join(folder.path, 'service.mjs');
  writeFileSync(main, `${service}; console.log(process.pid); setInterval(() => undefined, 1000);`);
  const script = `import { runService } from ${JSON.stringify(RUN_SERVICE)}; runService(${JSON.stringify(main)}, []);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, SHUTDOWN_TIMEOUT_MS: '100' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  parent.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const servicePid = Number(String((await once(parent.stdout, 'data'))[0]));
  const exit = once(parent, 'exit');
  parent.kill('SIGTERM');
  return { code: (await exit)[0], stderr, servicePid };
}

test(
  'npm start: a service that does not end after SIGTERM is killed, and that is said',
  { timeout: 60_000 },
  async (t) => {
    const { code, stderr, servicePid } = await ended(t, "process.on('SIGTERM', () => undefined)");
    assert.match(stderr, /^the service has not ended within 3\.1 s after SIGTERM and is killed; [^\n]*\n$/);
    assert.equal(code, 128 + 9);
    assert.throws(() => process.kill(servicePid, 0), { code: 'ESRCH' });
  },
);

test('npm start: one that ends is left to itself, and its exit code is ours', { timeout: 60_000 }, async (t) => {
  const { code, stderr } = await ended(t, "process.on('SIGTERM', () => setTimeout(() => process.exit(7), 300))");
  assert.deepEqual([code, stderr], [7, '']);
});
