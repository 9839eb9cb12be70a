import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { WriteBehind, type WriteBehindOptions } from '../../../services/lib/write-behind.js';

/** Time stands still but for `pass`; writes fail as often as `failures` says, and hang while `held`. */
function writing(t: TestContext, options: Partial<WriteBehindOptions<number>> = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const state = {
    failures: 0,
    failed: 0,
    written: [] as (readonly number[])[],
    held: undefined as Promise<void> | undefined,
  };
  const writeBehind = new WriteBehind<number>({
    gatherMs: 100,
    write: async (items) => {
      await state.held;
      state.failures -= 1;
      if (state.failures >= 0) throw new Error('away');
      state.written.push(items);
    },
    onFailure: () => (state.failed += 1),
    ...options,
  });
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    await turn();
  };
  return { state, writeBehind, pass };
}

test('what is added within the time is written together, and no sooner', async (t) => {
  const { state, writeBehind, pass } = writing(t);
  writeBehind.add([1, 2]);
  await pass(60);
  writeBehind.add([3]);
  await pass(39);
  assert.deepEqual(state.written, []);
  assert.equal(writeBehind.waiting, 3);
  await pass(1);
  assert.deepEqual(state.written, [[1, 2, 3]]);
  assert.equal(writeBehind.waiting, 0);
  writeBehind.add([4]);
  await pass(100);
  assert.deepEqual(state.written, [[1, 2, 3], [4]]);
});

test('what is added during a write belongs to the next one, and waits until then', async (t) => {
  const { state, writeBehind, pass } = writing(t);
  let letGo: () => void = () => undefined;
  state.held = new Promise((resolve) => (letGo = resolve));
  writeBehind.add([1]);
  await pass(100);
  writeBehind.add([2]);
  await pass(1000);
  assert.equal(writeBehind.waiting, 2);
  letGo();
  await turn();
  assert.equal(writeBehind.waiting, 1);
  await pass(100);
  assert.deepEqual(state.written, [[1], [2]]);
});

test('a write has so many items at most; the rest follows in their order', async (t) => {
  const { state, writeBehind, pass } = writing(t, { batchMax: 2 });
  writeBehind.add([1, 2, 3, 4, 5]);
  for (let count = 0; count < 3; count += 1) await pass(100);
  assert.deepEqual(state.written, [[1, 2], [3, 4], [5]]);
});

test('a failed write is repeated, later each time, and a second apart at most', async (t) => {
  const { state, writeBehind, pass } = writing(t);
  state.failures = 6;
  writeBehind.add([1]);
  for (const [index, waitMs] of [100, 200, 400, 800, 1000, 1000].entries()) {
    await pass(waitMs - 1);
    assert.equal(state.failed, index);
    await pass(1);
    assert.equal(state.failed, index + 1);
  }
  writeBehind.add([2]);
  assert.equal(writeBehind.waiting, 2);
  await pass(1000);
  assert.deepEqual(state.written, [[1, 2]]);
});

test('after a write that worked the time is short again', async (t) => {
  const { state, writeBehind, pass } = writing(t, { batchMax: 1 });
  state.failures = 3;
  writeBehind.add([1, 2]);
  for (const waitMs of [100, 200, 400, 800]) await pass(waitMs);
  assert.deepEqual(state.written, [[1]]);
  await pass(100);
  assert.deepEqual(state.written, [[1], [2]]);
});

test('it stops as soon as all is written', async (t) => {
  const { state, writeBehind, pass } = writing(t);
  writeBehind.add([1]);
  let stopped = false;
  void writeBehind.stop(60_000).then(() => (stopped = true));
  await pass(99);
  assert.equal(stopped, false);
  await pass(1);
  assert.deepEqual([stopped, state.written], [true, [[1]]]);
});

test('it stops when its time is over, tries once more and then no more', async (t) => {
  const { state, writeBehind, pass } = writing(t);
  state.failures = Infinity;
  writeBehind.add([1]);
  await pass(100);
  let stopped = false;
  void writeBehind.stop(150).then(() => (stopped = true));
  await pass(149);
  assert.deepEqual([stopped, state.failed], [false, 1]);
  await pass(1);
  assert.deepEqual([stopped, state.failed], [true, 2]);
  await pass(60_000);
  assert.equal(state.failed, 2);
});
