import assert from 'node:assert/strict';
import test from 'node:test';
import type { IncomingRecord } from '../../../../services/lib/kafka/consumer.js';
import { OffsetTracker, positionsAfter } from '../../../../services/lib/kafka/offset-tracker.js';

const at = (partition: number, offset: number): IncomingRecord => ({
  topic: 't',
  partition,
  offset,
  timestamp: 0,
  key: null,
  rawKey: null,
  value: null,
  headers: [],
});
const position = (partition: number, offset: number) => ({ topic: 't', partition, offset });

test('a position is given only when nothing older is unfinished', () => {
  const tracker = new OffsetTracker();
  for (const offset of [10, 11, 12, 20]) tracker.begin(at(0, offset));
  assert.equal(tracker.finish(at(0, 12)), undefined);
  assert.equal(tracker.finish(at(0, 11)), undefined);
  assert.deepEqual(tracker.finish(at(0, 10)), position(0, 13));
  // Offsets have holes: compaction, transactions.
  assert.deepEqual(tracker.finish(at(0, 20)), position(0, 21));
});

test('partitions and topics do not hold each other up', () => {
  const tracker = new OffsetTracker();
  tracker.begin(at(0, 1));
  tracker.begin(at(1, 1));
  tracker.begin({ topic: 'other', partition: 0, offset: 1 });
  assert.deepEqual(tracker.finish(at(1, 1)), position(1, 2));
  assert.deepEqual(tracker.finish({ topic: 'other', partition: 0, offset: 1 }), {
    topic: 'other',
    partition: 0,
    offset: 2,
  });
  assert.deepEqual(tracker.finish(at(0, 1)), position(0, 2));
});

test('in any order of finishing, no position ever skips an unfinished record, and the last one covers all', () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    let state = seed;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const tracker = new OffsetTracker();
    const offsets = Array.from({ length: 40 }, (_, index) => index * 3);
    for (const offset of offsets) tracker.begin(at(0, offset));
    const unfinished = new Set(offsets);
    let committed = 0;
    for (const offset of [...offsets].sort(() => random() - 0.5)) {
      unfinished.delete(offset);
      const given = tracker.finish(at(0, offset));
      if (given === undefined) continue;
      assert.ok(given.offset > committed);
      committed = given.offset;
      for (const open of unfinished) assert.ok(open >= committed, `seed ${seed}: ${open} was skipped by ${committed}`);
    }
    assert.equal(committed, offsets.at(-1)! + 1);
  }
});

test('after clear, what finishes late is not committed', () => {
  const tracker = new OffsetTracker();
  tracker.begin(at(0, 1));
  tracker.clear();
  assert.equal(tracker.finish(at(0, 1)), undefined);
  tracker.begin(at(0, 5));
  assert.deepEqual(tracker.finish(at(0, 5)), position(0, 6));
});

test('positionsAfter: behind the last record of each partition', () => {
  assert.deepEqual(positionsAfter([]), []);
  assert.deepEqual(positionsAfter([at(0, 4), at(1, 7), at(0, 5), at(1, 8), at(0, 9)]), [
    position(0, 10),
    position(1, 9),
  ]);
  assert.deepEqual(positionsAfter([at(0, 0)]), [position(0, 1)]);
});
