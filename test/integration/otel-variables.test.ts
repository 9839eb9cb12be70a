import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { loadConfig, type Environment } from '../../services/lib/config/load.js';
import { silentLogger } from '../../services/lib/logging.js';
import { Metrics } from '../../services/lib/telemetry/metrics.js';
import { metricsSender } from '../../services/lib/telemetry/metrics-sender.js';
import { resourceOf } from '../../services/lib/telemetry/resource.js';
import { Tracing } from '../../services/lib/telemetry/tracing.js';
import { defer } from '../support/defer.js';
import { startOtlpReceiver } from '../support/otlp-receiver.js';

/** What takes OTLP over HTTP: the paths and content types of what came. */
async function httpReceiver(t: TestContext): Promise<{ url: string; got: string[] }> {
  const got: string[] = [];
  const server = createServer((request, response) => {
    got.push(`${request.url} ${request.headers['content-type']}`);
    request.resume().on('end', () => response.writeHead(200).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got };
}

/** Ends one span and sends all metrics, by what these variables say. */
async function sendBoth(environment: Environment): Promise<void> {
  const config = loadConfig({ OTEL_METRICS_EXPORTER: 'otlp', ...environment });
  const tracing = await Tracing.start(config, resourceOf('test'), silentLogger());
  const metrics = new Metrics('test', await metricsSender(config));
  metrics.counter('test.counted', 'Counted.').add(1);
  tracing.start('a span').end();
  await Promise.all([tracing.close(), metrics.close()]);
}

test('OTLP goes over HTTP where the protocol says so: to the common endpoint with a path, to its own as it is', async (t) => {
  const { url, got } = await httpReceiver(t);
  await sendBoth({ OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' });
  assert.deepEqual(got.splice(0).sort(), ['/v1/metrics application/x-protobuf', '/v1/traces application/x-protobuf']);
  await sendBoth({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/mine`,
  });
  assert.deepEqual(got.splice(0), ['/mine application/x-protobuf']);
});

test('with OTEL_SDK_DISABLED, or without an exporter, nothing goes out', async (t) => {
  const { url, got } = await httpReceiver(t);
  const grpc = await startOtlpReceiver(t);
  const http = { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' };
  await sendBoth({ ...http, OTEL_SDK_DISABLED: 'true' });
  await sendBoth({ OTEL_EXPORTER_OTLP_ENDPOINT: grpc.url, OTEL_SDK_DISABLED: 'true' });
  await sendBoth({ ...http, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' });
  assert.deepEqual(got, []);
  assert.deepEqual(grpc.spans, []);
  await sendBoth({ ...http, OTEL_METRICS_EXPORTER: 'none' });
  assert.equal(got.length, 1);
});
