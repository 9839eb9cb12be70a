import assert from 'node:assert/strict';
import test from 'node:test';
import { MetricReader } from '@opentelemetry/sdk-metrics';
import { startHttp } from '../../../../services/lib/http.js';
import { Metrics } from '../../../../services/lib/telemetry/metrics.js';
import { defer } from '../../../support/defer.js';

class Sender extends MetricReader {
  protected onShutdown = () => Promise.resolve();
  protected onForceFlush = () => Promise.resolve();
}

test('two instances of a role are told apart in what they send, and by the scraper in what it reads', async (t) => {
  const resources = [];
  for (let count = 0; count < 2; count += 1) {
    const sender = new Sender();
    const metrics = new Metrics('delivery', () => sender);
    defer(t, () => metrics.close());
    resources.push((await sender.collect()).resourceMetrics.resource.attributes);
    const http = await startHttp('127.0.0.1:0', () => ({}), metrics);
    defer(t, () => http.close());
    const page = await (await fetch(`http://${http.address}/metrics`)).text();
    assert.match(page, /^target_info\{service_n\w+="[\w-]+",service_n\w+="[\w-]+"\} 1$/m);
  }
  const [one, two] = resources.map((attributes) => attributes['service.instance.id']);
  assert.ok(typeof one === 'string' && one !== two, `${String(one)} and ${String(two)}`);
  assert.deepEqual(
    resources.map((attributes) => attributes['service.name']),
    ['ssom-delivery', 'ssom-delivery'],
  );
});
