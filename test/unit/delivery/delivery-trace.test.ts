import assert from 'node:assert/strict';
import test from 'node:test';
import { DeliveryTracing } from '../../../services/delivery/delivery-trace.js';
import type { IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import type { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { callersTrace, startTracing } from '../../support/traced.js';

const TOPIC = 'user-alert-topic';
const PROCESS = `process ${TOPIC}`;

const tracesOf = (tracing: Tracing) =>
  new DeliveryTracing(tracing, 5000, { group: 'delivery', userAlertTopic: TOPIC, inboxChangeTopic: 'changes' });
const DONE = { inboxes: [], created: 1, impossible: [], closed: 0, otherEpoch: 0, held: new Set<string>() };

function recordOf(traceparent: string, timestamp = Date.now()): IncomingRecord {
  return {
    topic: TOPIC,
    partition: 0,
    offset: 0,
    timestamp,
    key: 'op1',
    rawKey: Buffer.from('op1'),
    value: Buffer.alloc(0),
    headers: [{ traceparent: Buffer.from(traceparent) }],
  };
}

test('a delivery that fails again and again has a dozen spans; the one that succeeds is among them and tells how many were left out, and how long it took', async (t) => {
  const { tracing, receiver } = await startTracing(t);
  const traces = tracesOf(tracing);
  const { traceId, traceparent } = callersTrace();
  const record = recordOf(traceparent, Date.now() - 60_000);
  const attempt = (deliver: () => Promise<typeof DONE>) =>
    traces.begin([{ record, event: { alertId: 17, userId: 'op1', epoch: 0 } }]).follow(deliver);
  const away = () => Promise.reject(new Error('PostgreSQL is away'));
  for (let count = 0; count < 400; count += 1) await assert.rejects(attempt(away));
  await attempt(() => Promise.resolve(DONE));
  await tracing.close();
  const spans = receiver.named(PROCESS, traceId);
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['ssom.attempt'] ?? 1),
    [1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 401],
  );
  const last = spans.at(-1)!;
  assert.equal(last.failed, false);
  assert.equal(last.attributes['ssom.attempts.unrecorded'], 390);
  assert.equal(receiver.named(`wait in ${TOPIC}`).length, 2, 'until it was taken up, and until it succeeded');
  assert.ok(receiver.spans.length < 30, `${receiver.spans.length} spans in all`);
});

test('a record that cannot be delivered, and that nobody records, leaves the others of its batch without an error', async (t) => {
  const { tracing, receiver } = await startTracing(t);
  const [recorded, unrecorded] = [callersTrace(), callersTrace('00')];
  const trace = tracesOf(tracing).begin([
    { record: recordOf(recorded.traceparent), event: { alertId: 17, userId: 'op1', epoch: 0 } },
    { record: recordOf(unrecorded.traceparent), event: { alertId: 18, userId: 'op1', epoch: 0 } },
  ]);
  const impossible = [{ delivery: { alertId: 18, userId: 'op1' }, reason: 'there is no such alert' }];
  await trace.follow(() => Promise.resolve({ ...DONE, impossible }));
  await tracing.close();
  const [span] = receiver.named(PROCESS, recorded.traceId);
  assert.deepEqual([span!.failed, span!.events], [false, []]);
  assert.deepEqual(
    receiver.spans.filter(({ failed }) => failed),
    [],
  );
});
