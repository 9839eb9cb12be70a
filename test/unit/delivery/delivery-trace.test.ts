import assert from 'node:assert/strict';
import test from 'node:test';
import { DeliveryTracing } from '../../../services/delivery/delivery-trace.js';
import type { IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { callersTrace, startTracing } from '../../support/traced.js';

test('a delivery that fails again and again has a dozen spans; the one that succeeds is among them and tells how many were left out', async (t) => {
  const { tracing, receiver } = await startTracing(t);
  const topic = 'user-alert-topic';
  const traces = new DeliveryTracing({ tracing, group: 'delivery', slowMs: 5000, announcedIn: () => 'changes' });
  const { traceId, traceparent } = callersTrace();
  const record: IncomingRecord = {
    topic,
    partition: 0,
    offset: 0,
    timestamp: Date.now(),
    key: 'op1',
    rawKey: Buffer.from('op1'),
    value: Buffer.alloc(0),
    headers: [{ traceparent: Buffer.from(traceparent) }],
  };
  const attempt = (error?: Error) => {
    const trace = traces.begin();
    trace.add(17, 'op1', record);
    trace.start(topic);
    trace.end(topic, error);
  };
  for (let count = 0; count < 400; count += 1) attempt(new Error('PostgreSQL is away'));
  attempt();
  await tracing.close();
  const spans = receiver.named(`process ${topic}`, traceId);
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['ssom.attempt'] ?? 1),
    [1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 401],
  );
  const last = spans.at(-1)!;
  assert.equal(last.failed, false);
  assert.equal(last.attributes['ssom.attempts.unrecorded'], 390);
  assert.ok(receiver.spans.length < 30, `${receiver.spans.length} spans in all`);
});
