import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Batcher } from '../../../services/lib/batcher.js';

/** Batches of at most `batchMax` numbers, each at work until it is done. */
function working(options: { workersMax?: () => number; batchMax?: number } = {}) {
  const { workersMax = () => 2, batchMax = 10 } = options;
  const queue: number[] = [];
  const batches: (readonly number[])[] = [];
  const dones: (() => void)[] = [];
  const batcher = new Batcher<number>({
    workersMax,
    take: () => queue.splice(0, batchMax),
    work: (batch) => {
      batches.push(batch);
      return new Promise((resolve) => dones.push(resolve));
    },
  });
  const add = (...items: number[]) => {
    for (const item of items) {
      queue.push(item);
      batcher.wake();
    }
  };
  const done = async (batch: number) => {
    dones[batch]!();
    await turn();
  };
  return { batches, queue, add, done };
}

test('what is queued in one turn of the event loop shares a batch', async () => {
  const { batches, add } = working();
  add(1, 2);
  add(3);
  assert.deepEqual(batches, []);
  await turn();
  assert.deepEqual(batches, [[1, 2, 3]]);
});

test('so many batches are at work at once; what comes meanwhile gathers for the next one', async () => {
  const { batches, queue, add, done } = working({ batchMax: 3 });
  for (const items of [[1], [2], [3, 4], [5, 6, 7]]) {
    add(...items);
    await turn();
  }
  assert.deepEqual(batches, [[1], [2]]);
  await done(1);
  assert.deepEqual(batches, [[1], [2], [3, 4, 5]]);
  await done(0);
  assert.deepEqual(batches, [[1], [2], [3, 4, 5], [6, 7]]);
  assert.deepEqual(queue, []);
});

test('workers that found nothing to do come back', async () => {
  const { batches, add, done } = working();
  for (let item = 0; item < 6; item += 1) {
    add(item);
    await turn();
    await done(item);
  }
  assert.equal(batches.length, 6);
});

test('workers that are too many by now end after their batch', async () => {
  let workersMax = 2;
  const { batches, queue, add, done } = working({ workersMax: () => workersMax, batchMax: 1 });
  add(1, 2, 3, 4);
  await turn();
  assert.deepEqual(batches, [[1], [2]]);
  workersMax = 1;
  await done(0);
  assert.deepEqual(queue, [3, 4]);
  await done(1);
  assert.deepEqual(batches, [[1], [2], [3]]);
});
