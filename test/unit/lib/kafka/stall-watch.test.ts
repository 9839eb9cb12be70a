import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Watched, watchForStalls } from '../../../../services/lib/kafka/stall-watch.js';
import { silentLogger } from '../../../../services/lib/logging.js';

const STALL_MS = 20_000;
const HOUR_MS = 3_600_000;

/** A member of a group that the watch looks at every 10 s. */
function watch(t: TestContext, more: Partial<Watched>) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 1_000_000;
  t.mock.method(performance, 'now', () => now);
  // The time of day steps back by an hour at each look, and means nothing.
  t.mock.method(Date, 'now', () => 2 * HOUR_MS - (now - 1_000_000) * 360);
  const replaced: string[] = [];
  const timer = watchForStalls(
    {
      activeSince: () => 0,
      drainedAt: () => performance.now(),
      askedAt: () => performance.now(),
      unassignedMs: () => 0,
      isResting: () => false,
      waiting: () => Promise.resolve({ partitions: [], beyondTheEnd: false }),
      answers: () => Promise.resolve(true),
      replace: (reason) => {
        replaced.push(reason);
        return Promise.resolve();
      },
      ...more,
    },
    STALL_MS,
    silentLogger(),
  );
  t.after(() => clearInterval(timer));
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += STALL_MS / 2) {
      now += STALL_MS / 2;
      t.mock.timers.tick(STALL_MS / 2);
      for (let turns = 0; turns < 5; turns += 1) await turn();
    }
  };
  return { replaced, pass };
}

test('a member that gave up its partitions and is not given any for a minute is replaced', async (t) => {
  const since = 1_000_000;
  const { replaced, pass } = watch(t, { unassignedMs: () => performance.now() - since });
  await pass(70_000);
  assert.deepEqual(replaced, [], 'a rebalance may take so long');
  await pass(10_000);
  assert.deepEqual(replaced, ['its group has given it no partitions for 80 s']);
});

test('a member is not replaced while Kafka is away, nor as soon as it is back', async (t) => {
  const since = 1_000_000;
  let answers = false;
  const { replaced, pass } = watch(t, {
    unassignedMs: () => performance.now() - since,
    answers: () => Promise.resolve(answers),
  });
  await pass(300_000);
  assert.deepEqual(replaced, [], 'no client is given any while brokers are away');
  answers = true;
  await pass(60_000);
  assert.deepEqual(replaced, [], 'it is joining again');
  await pass(20_000);
  assert.equal(replaced.length, 1);
});

test('a member that pauses, or has its partitions, is left alone', async (t) => {
  const { replaced, pass } = watch(t, { unassignedMs: () => 600_000, isResting: () => true });
  await pass(60_000);
  assert.deepEqual(replaced, []);
});

test('a partition whose records are left where they are has its consumer replaced', async (t) => {
  const waiting = () => Promise.resolve({ partitions: ['t-0@5'], beyondTheEnd: false });
  const { replaced, pass } = watch(t, { waiting });
  await pass(20_000);
  assert.deepEqual(replaced, []);
  await pass(20_000);
  assert.equal(replaced[0], 'it does not bring what there is: t-0@5');
});
