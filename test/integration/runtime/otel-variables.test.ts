import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { pino } from 'pino';
import { type Environment, loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { metricsSender } from '../../../services/lib/telemetry/metrics-sender.js';
import { resourceOf } from '../../../services/lib/telemetry/resource.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { localCertificates } from '../../support/certificates.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import { startOtlpReceiver } from '../../support/otlp-receiver.js';
import { untilTrue } from '../../support/until-true.js';

/** What takes OTLP over HTTP: the paths and content types of what came. */
async function httpReceiver(
  t: TestContext,
  tls?: { cert: string; key: string },
): Promise<{ url: string; got: string[]; headers: IncomingHttpHeaders[] }> {
  const got: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const take: RequestListener = (request, response) => {
    got.push(`${request.url} ${request.headers['content-type']}`);
    headers.push(request.headers);
    request.resume().on('end', () => response.writeHead(200).end());
  };
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`, got, headers };
}

/** Ends one span and sends all metrics, by what these variables say; the SDK reads those of the process. */
async function sendBoth(environment: Environment): Promise<void> {
  const before = process.env;
  process.env = { ...before, ...environment };
  try {
    await sendByProcess(environment);
  } finally {
    process.env = before;
  }
}

async function sendByProcess(environment: Environment): Promise<void> {
  const config = loadConfig({ OTEL_METRICS_EXPORTER: 'otlp', ...environment });
  const tracing = await Tracing.start(config, resourceOf('test'), silentLogger());
  const metrics = new Metrics('test', await metricsSender(config));
  metrics.counter('test.counted', 'Counted.').add(1);
  tracing.start('a span', { attributes: { text: '0123456789' } }).end();
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

test('what the SDK reads by itself is honoured: limits, headers, compression, the authority of TLS', async (t) => {
  const grpc = await startOtlpReceiver(t);
  await sendBoth({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: grpc.url,
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '4',
    OTEL_SERVICE_NAME: 'mine',
  });
  assert.deepEqual([grpc.spans[0]!.attributes['text'], grpc.spans[0]!.service], ['0123', 'mine']);

  const { authority, certificate, key } = localCertificates();
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const file = join(folder.path, 'authority.pem');
  writeFileSync(file, authority);
  const { url, got, headers } = await httpReceiver(t, { cert: certificate, key });
  const variables = {
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${url}/metrics`,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/traces`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  };
  await sendBoth({ ...variables, OTEL_EXPORTER_OTLP_CERTIFICATE: file });
  assert.deepEqual(got.map((each) => each.split(' ')[0]).sort(), ['/metrics', '/traces']);
  for (const each of headers) assert.deepEqual([each['api-key'], each['content-encoding']], ['a b', 'gzip']);
  await sendBoth(variables);
  assert.equal(got.length, 2, 'another authority is not believed');
});

test('spans go by gRPC over TLS with our certificate and headers; where one is wrong they are counted and said once', async (t) => {
  const certificates = localCertificates();
  const receiver = await startOtlpReceiver(t, certificates);
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const write = (name: string, text: string) => {
    const file = join(folder.path, name);
    writeFileSync(file, text);
    return file;
  };
  const { authority, client } = certificates;
  const right = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_CERTIFICATE: write('ca.pem', authority),
    OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: write('client.pem', client.certificate),
    OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: write('client-key.pem', client.key),
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=common',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'authorization=Bearer%20of-traces',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
  };
  /** Makes spans that fill exports of one each. @returns what became of them, and what was logged */
  const send = async (environment: Environment) => {
    const before = process.env;
    process.env = { ...before, ...environment };
    const logged: string[] = [];
    try {
      const one = { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1', OTEL_BSP_EXPORT_TIMEOUT: '1000' };
      const logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
      const tracing = await Tracing.start(loadConfig({ ...one, ...environment }), resourceOf('test'), logger);
      for (let made = 0; made < 3; made += 1) tracing.start('a span').end();
      await untilTrue(() => tracing.waiting === 0, { what: 'the last export' });
      await tracing.close();
      return { counts: tracing.counts, logged };
    } finally {
      process.env = before;
    }
  };
  assert.deepEqual((await send(right)).logged, []);
  assert.equal(receiver.spans.length, 3);
  const [headers] = receiver.headers;
  assert.deepEqual([headers!.get('api-key'), headers!.get('authorization')], [['common'], ['Bearer of-traces']]);
  const other = write('other.pem', localCertificates().authority);
  const { OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: _, OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: __, ...bare } = right;
  for (const wrong of [{ ...right, OTEL_EXPORTER_OTLP_CERTIFICATE: other }, bare]) {
    const { counts, logged } = await send(wrong);
    assert.equal(counts.exportFailed + counts.shutdown, 3);
    assert.equal(logged.filter((line) => line.includes('spans could not be sent')).length, 1, logged.join(''));
    assert.doesNotMatch(logged.join(''), /of-traces|common/);
  }
  assert.equal(receiver.spans.length, 3);
});
