import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { pino } from 'pino';
import { startHttp } from '../../../services/lib/http.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { type Alarm, Alarms } from '../../../services/runtime/alarms.js';
import { defer } from '../../support/defer.js';
import { metricOf } from '../../support/metrics.js';

const TRACE = 'c'.repeat(32);
const what = () => ({ traceparent: `00-${TRACE}-${'1'.repeat(16)}-01`, alertIds: [7] });

async function setUp(t: TestContext) {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  const endpoint = await startHttp('127.0.0.1:0', () => ({}), metrics);
  defer(t, () => endpoint.close());
  const alarms = new Alarms({ slowProcessingMs: 5000, maxAcceptableLag: 1000 }, logger, metrics);
  const told: Alarm[] = [];
  alarms.onAlarm((alarm) => void told.push(alarm));
  return { alarms, lines, told, counted: (name: string) => metricOf(endpoint.address, name) };
}

test('what takes longer than the limit is logged with its trace, counted and told; what does not is nothing', async (t) => {
  const { alarms, lines, told, counted } = await setUp(t);
  const never = () => assert.fail('nobody asks what was processed in time');
  assert.equal(alarms.processed('delivery', 5000, never), false);
  assert.equal(alarms.processed('delivery', 5001, what), true);
  const [line] = lines;
  assert.deepEqual([line!['msg'], line!['trace_id'], line!['stage']], ['slow processing', TRACE, 'delivery']);
  assert.deepEqual(
    told.map(({ cause, traceId, alertIds }) => ({ cause, traceId, alertIds })),
    [{ cause: 'slow delivery', traceId: TRACE, alertIds: [7] }],
  );
  assert.equal(await counted('ssom_slow_total'), 1);
});

test('a thousand slow ones at once are counted, and logged once', async (t) => {
  const { alarms, lines, counted } = await setUp(t);
  for (let count = 0; count < 1000; count += 1) alarms.processed('push', 6000, what);
  assert.equal(lines.length, 1);
  assert.equal(await counted('ssom_slow_total'), 1000);
});

test('a lag counts each time that it becomes too large, for each partition', async (t) => {
  const { alarms, lines, told, counted } = await setUp(t);
  const see = (partition: number, lag: number) => alarms.lag('group', 'topic', partition, lag, what);
  see(0, 1000);
  assert.equal(told.length, 0);
  for (const lag of [1001, 5000, 3000]) see(0, lag);
  see(1, 2000);
  see(0, 10);
  see(0, 2000);
  assert.equal(told.length, 3);
  assert.equal(await counted('ssom_lag_exceeded_total'), 3);
  assert.deepEqual([lines.length, lines[0]!['lag'], lines[0]!['trace_id']], [1, 1001, TRACE]);
});

test('a lag that stays is counted once and told again each minute: who was told may have been unable to act', async (t) => {
  const { alarms, told, counted } = await setUp(t);
  let now = performance.now();
  t.mock.method(performance, 'now', () => now);
  for (let second = 0; second < 150; second += 5) {
    alarms.lag('group', 'topic', 0, 2000, what);
    now += 5000;
  }
  assert.equal(told.length, 3);
  assert.equal(await counted('ssom_lag_exceeded_total'), 1);
});

test('a partition that was given up and comes back with a lag counts again', async (t) => {
  const { alarms, told } = await setUp(t);
  alarms.lag('group', 'topic', 0, 2000, what);
  alarms.forget('group');
  alarms.lag('group', 'topic', 0, 2000, what);
  assert.equal(told.length, 2);
});

test('who is told and fails harms nobody', async (t) => {
  const { alarms } = await setUp(t);
  alarms.onAlarm(() => {
    throw new Error('a listener of the test');
  });
  assert.equal(alarms.processed('stream', 9000, what), true);
});
