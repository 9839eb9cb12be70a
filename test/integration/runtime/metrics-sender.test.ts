import assert from 'node:assert/strict';
import test from 'node:test';
import { loadConfig } from '../../../services/lib/config/load.js';
import { startHttp } from '../../../services/lib/http.js';
import { wait } from '../../../services/lib/retry.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { metricsSender } from '../../../services/lib/telemetry/metrics-sender.js';
import { defer } from '../../support/defer.js';
import { metricOf } from '../../support/metrics.js';
import { startMetricsReceiver } from '../../support/otlp-metrics.js';
import { untilTrue } from '../../support/until-true.js';

test('an endpoint that hangs holds up neither scrapes nor the end of the process', async (t) => {
  const receiver = await startMetricsReceiver(t, { hangs: true });
  const config = loadConfig({
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_METRIC_EXPORT_INTERVAL: '100',
  });
  const metrics = new Metrics('test', await metricsSender({ ...config, metricExportIntervalMs: 60_000 }));
  const sending = new Metrics('test', await metricsSender(config));
  const endpoint = await startHttp('127.0.0.1:0', () => ({}), sending);
  defer(t, () => endpoint.close());
  const counter = sending.counter('test.counted', 'Counted.');
  await untilTrue(() => receiver.metrics.length > 0, { what: 'something is sent' });
  counter.add(5);
  assert.equal(await metricOf(endpoint.address, 'test_counted_total'), 5);
  // Both try to send what they have once more.
  const closed = Promise.all([metrics.close(), sending.close()]).then(() => true);
  const patience = new AbortController();
  assert.equal(await Promise.race([closed, wait(8000, patience.signal).then(() => false)]), true);
  patience.abort();
});

test('OTLP needs an endpoint', () => {
  assert.throws(
    () => loadConfig({ OTEL_METRICS_EXPORTER: 'otlp' }),
    /OTEL_METRICS_EXPORTER.*OTEL_EXPORTER_OTLP_ENDPOINT/,
  );
});
