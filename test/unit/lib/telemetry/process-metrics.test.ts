import assert from 'node:assert/strict';
import test from 'node:test';
import { observeProcess } from '../../../../services/lib/telemetry/process-metrics.js';

test('the delay of an event loop that has nothing to do is 0, not the time between two looks at it', () => {
  const gauges = new Map<string, () => number>();
  const metrics = {
    gauge: (name: string, _: string, read: () => number) => void gauges.set(name, read),
    total: () => {},
  };
  let milliseconds = 19.9;
  const delay = { enable: () => true, reset: () => {}, percentile: () => milliseconds * 1e6 };
  observeProcess(metrics, delay);
  const seconds = gauges.get('nodejs.eventloop.delay.p99')!;
  assert.equal(seconds(), 0);
  milliseconds = 320;
  assert.ok(Math.abs(seconds() - 0.3) < 1e-9);
});
