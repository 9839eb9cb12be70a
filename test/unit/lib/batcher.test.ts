import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'node:test';
import { Batcher, BatchWorkers, type BatcherOptions } from '../../../services/lib/batcher.js';

/** Numbers are answered with their double, when their batch is let go. */
function doubling(options: Partial<BatcherOptions<number, number>> = {}) {
  const batches: { readonly items: readonly number[]; readonly letGo: (error?: Error) => void }[] = [];
  const batcher = new Batcher<number, number>({
    workersMax: 2,
    waitingMax: 100,
    full: () => new Error('full'),
    batchMax: 10,
    work: (items) =>
      new Promise((resolve, reject) => {
        const letGo = (error?: Error) => (error === undefined ? resolve(items.map((item) => 2 * item)) : reject(error));
        batches.push({ items, letGo });
      }),
    ...options,
  });
  return { batcher, batches, taken: () => batches.map(({ items }) => items) };
}

test('what is added in one turn of the event loop shares a batch, and each gets its own answer', async () => {
  const { batcher, batches, taken } = doubling();
  const answers = Promise.all([1, 2, 3].map((item) => batcher.add(item)));
  assert.deepEqual(taken(), []);
  await turn();
  assert.deepEqual(taken(), [[1, 2, 3]]);
  batches[0]!.letGo();
  assert.deepEqual(await answers, [2, 4, 6]);
});

test('so many are at work at once; what comes meanwhile shares the next batch, up to its size', async () => {
  const { batcher, batches, taken } = doubling({ batchMax: 3 });
  const answers: Promise<number>[] = [];
  for (const items of [[1], [2], [3, 4], [5, 6, 7]]) {
    answers.push(...items.map((item) => batcher.add(item)));
    await turn();
  }
  assert.deepEqual(taken(), [[1], [2]]);
  assert.equal(batcher.waiting, 5);
  batches[1]!.letGo();
  await turn();
  assert.deepEqual(taken(), [[1], [2], [3, 4, 5]]);
  batches[0]!.letGo();
  await turn();
  assert.deepEqual(taken(), [[1], [2], [3, 4, 5], [6, 7]]);
  batches[2]!.letGo();
  batches[3]!.letGo();
  assert.deepEqual(await Promise.all(answers), [2, 4, 6, 8, 10, 12, 14]);
});

test('a failure is the answer to its whole batch, and the worker goes on', async () => {
  const { batcher, batches } = doubling({ workersMax: 1 });
  const failed = Promise.allSettled([1, 2].map((item) => batcher.add(item)));
  await turn();
  const next = batcher.add(3);
  batches[0]!.letGo(new Error('away'));
  assert.deepEqual(
    (await failed).map((each) => each.status === 'rejected' && (each.reason as Error).message),
    ['away', 'away'],
  );
  await turn();
  batches[1]!.letGo();
  assert.equal(await next, 6);
});

test('beyond the bound it is full, until a worker has taken what waits', async () => {
  const { batcher } = doubling({ waitingMax: 2 });
  void batcher.add(1);
  void batcher.add(2);
  assert.throws(() => batcher.add(3), /full/);
  await turn();
  void batcher.add(3);
  assert.equal(batcher.waiting, 1);
});

test('a batch costs so much at most; what costs more goes alone', async () => {
  const { batcher, batches, taken } = doubling({ workersMax: 1, cost: { max: 10, of: (item) => item } });
  const answers = Promise.all([4, 6, 1, 25, 3].map((item) => batcher.add(item)));
  for (let index = 0; index < 4; index += 1) {
    await turn();
    batches[index]!.letGo();
  }
  await answers;
  assert.deepEqual(taken(), [[4, 6], [1], [25], [3]]);
});

test('workers that are too many by now end after their batch', async () => {
  const queue = [1, 2, 3, 4];
  const done: (() => void)[] = [];
  let workersMax = 2;
  const workers = new BatchWorkers({
    workersMax: () => workersMax,
    take: () => queue.splice(0, 1),
    work: () => new Promise<void>((resolve) => done.push(resolve)),
  });
  workers.wake();
  workers.wake();
  await turn();
  assert.equal(done.length, 2);
  workersMax = 1;
  done[0]!();
  done[1]!();
  await turn();
  assert.equal(done.length, 3);
  assert.deepEqual(queue, [4]);
});
