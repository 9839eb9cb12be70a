// Jaeger: receives spans over OTLP, keeps them in memory, and answers queries. This build has no web page.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { certificateFiles, LOCAL_NAMES } from './certificates.mjs';
import { startDaemon } from './daemon.mjs';
import { fetchJaeger } from './download.mjs';
import { defaultDir, pathsOf } from './paths.mjs';
import { choosePorts, exchange, LOOPBACK } from './ports.mjs';

const NAME = 'jaeger';

/**
 * Spans are taken by TLS, from who has a certificate of the stack.
 * @param {import('./stack.mjs').Secure | undefined} secure
 */
async function tlsOfReceivers(secure) {
  if (secure === undefined) return '';
  const { authority, certificate, key } = await certificateFiles(secure.folder, NAME, LOCAL_NAMES);
  return `
        tls: { cert_file: ${certificate}, key_file: ${key}, client_ca_file: ${authority}, min_version: "1.2" }`;
}

/** @param {{ query: number, otlpGrpc: number, otlpHttp: number }} ports @param {string} tls */
function config({ query, otlpGrpc, otlpHttp }, tls) {
  return `service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none # it would take port 8888
    logs:
      level: info
extensions:
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 100000
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: ${LOOPBACK}:${query}
    grpc:
      endpoint: ${LOOPBACK}:0 # nobody here asks over gRPC: any free port
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: ${LOOPBACK}:${otlpGrpc}${tls}
      http:
        endpoint: ${LOOPBACK}:${otlpHttp}${tls}
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
`;
}

/** @param {string} folder */
function ownTls(folder) {
  const read = (/** @type {string} */ name) => readFileSync(path.join(folder, name));
  return { ca: read('ca.pem'), cert: read(`${NAME}.pem`), key: read(`${NAME}-key.pem`) };
}

/** @param {Record<string, number>} ports @param {import('./stack.mjs').Secure} [secure] */
export async function jaegerAnswers({ query = 0, otlpGrpc = 0, otlpHttp = 0 }, secure) {
  const { ok } = await fetch(`http://${LOOPBACK}:${query}/api/services`, { signal: AbortSignal.timeout(2000) });
  // An HTTP/2 server speaks first once it has seen the preface; the OTLP HTTP port refuses GET, which is an answer.
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00', 'latin1');
  const tls = secure === undefined ? undefined : ownTls(secure.folder);
  await exchange(otlpGrpc, preface, (got) => got.length >= 9, tls && { ...tls, ALPNProtocols: ['h2'] });
  const get = Buffer.from(`GET /v1/traces HTTP/1.1\r\nhost: ${LOOPBACK}\r\n\r\n`, 'latin1');
  await exchange(otlpHttp, get, (got) => got.length > 0, tls);
  return ok;
}

/**
 * @param {import('./stack.mjs').JaegerOptions} [options]
 * @returns {Promise<import('./stack.mjs').Jaeger>}
 */
export async function startJaeger(options = {}) {
  const { dir = defaultDir, name = NAME, secure, progress } = options;
  const data = pathsOf(dir, name).data;
  const ports = await choosePorts({ query: 16686, otlpGrpc: 4317, otlpHttp: 4318, ...options.ports });
  const daemon = await startDaemon({
    dir,
    name,
    ports,
    variables: { query: 'JAEGER_QUERY_PORT', otlpGrpc: 'OTLP_GRPC_PORT', otlpHttp: 'OTLP_HTTP_PORT' },
    killAtExit: options.killAtExit,
    progress,
    readyMs: 30_000,
    ready: (used) => jaegerAnswers(used, secure),
    async prepare() {
      const command = await fetchJaeger({ downloads: options.downloads, progress });
      const file = path.join(data, 'config.yaml');
      await writeFile(file, config(ports, await tlsOfReceivers(secure)));
      // Without it every query leaves a trace of its own, under the service name "jaeger".
      const env = { ...process.env, OTEL_TRACES_SAMPLER: 'always_off' };
      return { command, args: ['--config', file], cwd: data, env };
    },
  });
  const { query = ports.query, otlpGrpc = ports.otlpGrpc, otlpHttp = ports.otlpHttp } = daemon.ports;
  const scheme = secure === undefined ? 'http' : 'https';
  return {
    ...daemon,
    port: query,
    address: `${LOOPBACK}:${query}`,
    url: `http://${LOOPBACK}:${query}`,
    otlpGrpcUrl: `${scheme}://${LOOPBACK}:${otlpGrpc}`,
    otlpHttpUrl: `${scheme}://${LOOPBACK}:${otlpHttp}`,
  };
}
