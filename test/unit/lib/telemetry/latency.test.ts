import assert from 'node:assert/strict';
import test from 'node:test';
import { startHttp } from '../../../../services/lib/http.js';
import { LATENCY_BUCKETS, LatencyHistogram, type LatencyPoint } from '../../../../services/lib/telemetry/latency.js';
import { Metrics } from '../../../../services/lib/telemetry/metrics.js';
import { defer } from '../../../support/defer.js';
import { readPage } from '../../../support/metrics-page.js';

const traceparent = (digit: string, flags = '01') => `00-${digit.repeat(32)}-${'1'.repeat(16)}-${flags}`;
const pointOf = (histogram: LatencyHistogram) => histogram.read().dataPoints[0] as LatencyPoint;

test('a bucket holds its upper bound, the last one everything above, and below 0 counts as 0', () => {
  const histogram = new LatencyHistogram('test', 'A test.');
  for (const bound of LATENCY_BUCKETS) histogram.record(bound);
  histogram.record(61);
  histogram.record(-5);
  const { buckets, count, sum } = pointOf(histogram).value;
  assert.deepEqual(buckets.counts, [2, ...LATENCY_BUCKETS.slice(1).map(() => 1), 1]);
  assert.equal(count, LATENCY_BUCKETS.length + 2);
  assert.equal(
    sum,
    LATENCY_BUCKETS.reduce((all, bound) => all + bound, 61),
  );
});

test('many of one latency are recorded at once', () => {
  const histogram = new LatencyHistogram('test', 'A test.');
  histogram.record(2, '', 1000);
  assert.equal(pointOf(histogram).value.count, 1000);
  assert.equal(pointOf(histogram).value.sum, 2000);
});

test('a bucket keeps the last sampled trace, and nothing that is none', () => {
  const histogram = new LatencyHistogram('test', 'A test.');
  histogram.record(0.3, traceparent('a'));
  histogram.record(0.4, traceparent('b'));
  histogram.record(0.45, traceparent('c', '00'));
  histogram.record(7, 'no traceparent-01');
  const exemplars = pointOf(histogram).exemplars.filter((each) => each !== undefined);
  assert.deepEqual(
    exemplars.map(({ traceId, value }) => [traceId, value]),
    [['b'.repeat(32), 0.4]],
  );
});

test('labels and help are escaped, and a page of either format can be read back', async (t) => {
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  const endpoint = await startHttp('127.0.0.1:0', () => ({}), metrics);
  defer(t, () => endpoint.close());
  metrics.gauge('test.odd', 'Says "\\" and\nmore.', () => [{ value: 1, attributes: { 'odd.label': 'a"b\\c\nd' } }]);
  metrics.counter('test.counted', 'Counted.').add(3);
  metrics.latency('test.took', 'Took.').record(0.3, traceparent('a'));
  const page = async (accept: string) =>
    (await fetch(`http://${endpoint.address}/metrics`, { headers: { accept } })).text();

  const text = await page('text/plain');
  assert.match(text, /^# TYPE test_counted_total counter\ntest_counted_total\{otel_scope_name="ssom-alert"\} 3$/m);
  assert.match(text, /^# HELP test_odd Says "\\\\" and\\nmore\.$/m);
  assert.match(text, /^test_odd\{odd_label="a\\"b\\\\c\\nd",.*\} 1$/m);
  assert.match(text, /^test_took_seconds_bucket\{.*,le="0.5"\} 1$/m);
  assert.doesNotMatch(text, /trace_id|# EOF/);
  readPage(text);

  const open = await page('application/openmetrics-text;version=1.0.0,text/plain;q=0.5');
  assert.match(open, /^# TYPE test_counted counter\ntest_counted_total\{otel_scope_name="ssom-alert"\} 3$/m);
  assert.match(open, /^# HELP test_odd Says \\"\\\\\\" and\\nmore\.$/m);
  assert.match(open, /^test_took_seconds_bucket\{.*,le="0.5"\} 1 # \{trace_id="a{32}"\} 0\.3 \d+\.\d{3}$/m);
  assert.ok(open.endsWith('\n# EOF\n'));
  readPage(open);
});

test('a storm of scrapes is answered from few collections, or refused, and nothing of it stays', async (t) => {
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  const endpoint = await startHttp('127.0.0.1:0', () => ({}), metrics);
  defer(t, () => endpoint.close());
  const url = `http://${endpoint.address}/metrics`;
  const began = performance.now();
  const storm = await Promise.all(
    Array.from({ length: 300 }, async () => {
      const response = await fetch(url);
      await response.text();
      return response.status;
    }),
  );
  assert.ok(storm.every((status) => status === 200 || status === 503));
  assert.ok(storm.filter((status) => status === 200).length >= 50);
  const tenths = (performance.now() - began) / 100;
  assert.ok(metrics.collections <= tenths + 2, `${metrics.collections} collections in ${tenths} tenths of a second`);
  const after = await fetch(url);
  assert.equal(after.status, 200);
  await after.text();
});
