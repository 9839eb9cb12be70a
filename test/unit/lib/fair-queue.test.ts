import assert from 'node:assert/strict';
import test from 'node:test';
import { FairQueue } from '../../../services/lib/fair-queue.js';

function takeAll(queue: FairQueue<string>): string {
  let taken = '';
  for (let next = queue.take(); next !== undefined; next = queue.take()) taken += next.item;
  return taken;
}

test('who puts much in waits behind itself: one of another key is taken next', () => {
  const queue = new FairQueue<string>();
  for (let count = 0; count < 5; count += 1) queue.push('many', 'm', 1);
  assert.equal(queue.take()!.item, 'm');
  queue.push('few', 'f', 1);
  queue.push('other', 'o', 1);
  assert.equal(takeAll(queue), 'mfommm');
});

test('what costs more is paid for with later turns, in order within its key', () => {
  const queue = new FairQueue<string>();
  for (const item of 'ABC') queue.push('heavy', item, 20_000);
  for (const item of 'abcdefghij') queue.push('light', item, 1000);
  // 20,000 is four turns.
  assert.equal(takeAll(queue), 'AabcdBefghCij');
});

test('a debt stays when its key has left and come back, as long as others wait', () => {
  const queue = new FairQueue<string>();
  for (const item of 'abcdefgh') queue.push('light', item, 1000);
  queue.push('heavy', 'A', 20_000);
  assert.deepEqual([queue.take()!.item, queue.take()!.item], ['a', 'A']);
  queue.push('heavy', 'B', 20_000);
  assert.equal(takeAll(queue), 'bcdeBfgh');
});

test('what is taken out again does not come, and costs nothing; what came cannot be taken out', () => {
  const queue = new FairQueue<string>();
  const remove = queue.push('x', '1', 20_000);
  queue.push('x', '2', 1);
  const late = queue.push('y', '3', 1);
  assert.equal(remove(), true);
  assert.equal(remove(), false);
  assert.equal(queue.size, 2);
  assert.equal(takeAll(queue), '23');
  assert.equal(late(), false);
  assert.deepEqual([queue.size, queue.take()], [0, undefined]);
});

test('drained, it is empty, and later ones have their turns', () => {
  const queue = new FairQueue<string>();
  for (const item of 'abc') queue.push(item, item, 20_000);
  assert.deepEqual(queue.drain(), ['a', 'b', 'c']);
  assert.equal(queue.size, 0);
  queue.push('a', 'd', 1);
  assert.equal(takeAll(queue), 'd');
});

test('random pushes, takes and removals: nothing is lost, nothing comes twice, each key in its order', () => {
  let seed = 13;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const queue = new FairQueue<number>();
  const waiting = new Map<number, { key: string; remove: () => boolean }>();
  const last = new Map<string, number>();
  const take = () => {
    const item = queue.take()!.item;
    const { key } = waiting.get(item)!;
    waiting.delete(item);
    assert.ok(item > (last.get(key) ?? -1));
    last.set(key, item);
  };
  for (let step = 0; step < 20_000; step += 1) {
    const what = random(10);
    if (what < 5) {
      const key = String(random(7));
      waiting.set(step, { key, remove: queue.push(key, step, 1 + random(30_000)) });
    } else if (waiting.size > 0 && what < 9) take();
    else if (waiting.size > 0) {
      const [item, { remove }] = [...waiting][random(waiting.size)]!;
      assert.equal(remove(), true);
      waiting.delete(item);
    }
    assert.equal(queue.size, waiting.size);
  }
  while (waiting.size > 0) take();
  assert.equal(queue.take(), undefined);
});
