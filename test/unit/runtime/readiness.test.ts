import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../../services/lib/logging.js';
import { RoleReadiness } from '../../../services/runtime/readiness.js';

function readinessOf(roles: readonly string[], optional: readonly string[] = []) {
  const said: boolean[] = [];
  const readiness = new RoleReadiness(silentLogger(), new Set(optional), roles, (ready) => said.push(ready));
  /** As /readyz answers, and as `npx ssom-alert` reads it. */
  const shown = () => [...readiness.checks.values()].every(({ ok, required }) => ok || !required);
  return { readiness, said, shown };
}

test('a role is not ready before all of its checks are known, over HTTP and by gRPC alike', () => {
  const { readiness, said, shown } = readinessOf(['delivery']);
  assert.equal(shown(), false, 'without any check');
  readiness.set('postgresql', true, 'here');
  readiness.set('schema registry', true, 'here');
  readiness.set('kafka', true, 'here');
  assert.equal(shown(), false, 'its group is not known yet');
  assert.deepEqual(readiness.checks.get('role'), { ok: false, reason: 'delivery starting', required: true });
  readiness.set('consumer group g', false, 'joining');
  readiness.started('delivery');
  assert.equal(shown(), false);
  assert.equal(readiness.checks.get('role'), undefined, 'what is away says more');
  readiness.set('consumer group g', true, 'joined');
  assert.equal(shown(), true);
  assert.deepEqual(said, [true]);
  readiness.set('kafka', false, 'away');
  readiness.set('kafka', true, 'here');
  assert.deepEqual(said, [true, false, true]);
});

test('several roles in one process are ready together, and what is optional keeps none of them', async () => {
  const { readiness, said, shown } = readinessOf(['fanout', 'push'], ['kafka']);
  let isReady = false;
  const ready = readiness.whenReady(new AbortController().signal).then(() => (isReady = true));
  readiness.set('postgresql', true, 'here');
  readiness.set('kafka', false, 'away');
  readiness.started('fanout');
  await Promise.resolve();
  assert.deepEqual([shown(), isReady], [false, false]);
  readiness.started('push');
  await ready;
  assert.deepEqual([shown(), isReady, ...said], [true, true, true]);
});

test('a process that ends is not ready any more, whatever its checks find', () => {
  const { readiness, said, shown } = readinessOf(['push']);
  readiness.set('postgresql', true, 'here');
  readiness.started('push');
  readiness.end();
  readiness.set('postgresql', true, 'here');
  assert.equal(shown(), false);
  assert.equal(readiness.checks.get('role')?.reason, 'shutting down');
  assert.deepEqual(said, [true, false]);
});

test('whoever waits for a role that is told to end hears why', async () => {
  const { readiness } = readinessOf(['push']);
  const controller = new AbortController();
  const ready = readiness.whenReady(controller.signal);
  controller.abort(new Error('SIGTERM'));
  await assert.rejects(ready, /SIGTERM/);
});
