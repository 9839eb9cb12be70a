import assert from 'node:assert/strict';
import test from 'node:test';
import { batchMeans, requestTimes } from '../../../../services/lib/kafka/client-statistics.js';

const window = (cnt: number, avg: number, p50 = 0, p99 = 0) => ({ cnt, avg, p50, p99 });

test('request times are those of the slowest broker that was asked, in seconds', () => {
  const brokers = {
    one: { rtt: window(5, 0, 1000, 9000) },
    two: { rtt: window(2, 0, 3000, 4000) },
    idle: { rtt: window(0, 0, 99_000_000, 99_000_000) },
    bootstrap: {},
  };
  assert.deepEqual(requestTimes({ brokers }), { p50: 0.003, p99: 0.009 });
  assert.equal(requestTimes({ brokers: { idle: brokers.idle } }), undefined);
  assert.equal(requestTimes({}), undefined);
});

test('a topic to which nothing was sent has no batches', () => {
  const topics = {
    busy: { batchsize: window(4, 1500), batchcnt: window(4, 12) },
    quiet: { batchsize: window(0, 0), batchcnt: window(0, 0) },
    read: {},
  };
  assert.deepEqual([...batchMeans({ topics })], [['busy', { bytes: 1500, records: 12 }]]);
});
