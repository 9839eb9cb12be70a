import assert from 'node:assert/strict';
import test from 'node:test';
import { murmur2, partitionOfKey } from '../../../../services/lib/kafka/partitioner.js';

test('keys are placed as Java places them', () => {
  // Of Kafka's own test of Utils.murmur2.
  for (const [key, hash] of [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ] as const) {
    assert.equal(murmur2(Buffer.from(key)), hash, key);
    assert.equal(partitionOfKey(key, 10), (hash & 0x7fffffff) % 10);
  }
  const places = new Set(Array.from({ length: 1000 }, (_, index) => partitionOfKey(`user-${index}`, 7)));
  assert.deepEqual([...places].sort(), [0, 1, 2, 3, 4, 5, 6]);
});
