import assert from 'node:assert/strict';
import test from 'node:test';
import { pino } from 'pino';
import { silentLogger } from '../../../services/lib/logging.js';
import { Refused, RoleReadiness } from '../../../services/runtime/readiness.js';
import { untilTrue } from '../../support/until-true.js';

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

test('a refusal that comes with each try is said once for each cause, and how often it came when it is over', async (t) => {
  const logged: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line) as never) });
  const readiness = new RoleReadiness(logger, new Set(), ['push'], () => undefined);
  const ended = new AbortController();
  t.after(() => ended.abort());
  const said = () => logged.splice(0).map(({ msg, reason, refusals }) => [msg, reason, refusals].filter(Boolean));
  const answers = ['wrong password (33 ms)', 'wrong password (41 ms)', 'no such user', 'wrong password (7 ms)'];
  await readiness.untilItWorks('kafka', 'here', ended.signal, async () => {
    const refusal = answers.shift();
    if (refusal !== undefined) throw new Refused(refusal);
  });
  assert.deepEqual(said(), [
    ['it refuses us; trying again', 'wrong password (33 ms)'],
    ['it refuses us; trying again', 'no such user'],
    ['it lets us in now', 4],
  ]);

  let probes = 0;
  let state: 'there' | 'away' | 'refusing' = 'there';
  readiness.watch('kafka', 'here', 5, ended.signal, async () => {
    probes += 1;
    if (state === 'refusing') throw new Refused('wrong password');
    if (state === 'away') throw new Error('no answer');
  });
  // Another client of the same thing waits for it, too.
  readiness.set('kafka', false, 'waiting for here');
  const looks = async (next: typeof state) => {
    state = next;
    const before = probes;
    await untilTrue(() => probes >= before + 3, { what: 'three looks' });
    return said();
  };
  assert.deepEqual(await looks('there'), [], 'at a first start nothing is back');
  assert.deepEqual(await looks('away'), [['it went away', 'no answer']]);
  assert.deepEqual(await looks('refusing'), [['it refuses us now', 'wrong password']]);
  assert.deepEqual(
    (await looks('there')).map(([msg]) => msg),
    ['it lets us in now'],
  );
  readiness.refused('kafka', 'broker 2: wrong password');
  assert.equal(said().length, 1);
  readiness.refused('kafka', 'broker 2: wrong password');
  assert.deepEqual(await looks('there'), [], 'that the others answer ends no refusal of one broker');
  readiness.refused('kafka', 'broker 2: wrong password');
  assert.deepEqual(said(), []);
  assert.deepEqual(await looks('away'), [['it went away', 'no answer']]);
  assert.deepEqual(await looks('there'), [['it is back']]);
});
