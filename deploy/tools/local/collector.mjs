// The OpenTelemetry collector, with the configuration that production has. Jaeger's binary is one, with the same
// processors.
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { startDaemon } from './daemon.mjs';
import { fetchJaeger } from './download.mjs';
import { checkout, defaultDir, pathsOf } from './paths.mjs';
import { choosePorts, LOOPBACK } from './ports.mjs';

const CONFIG = path.join(checkout, 'deploy', 'otel', 'collector.yaml');

/** @param {Record<string, number>} ports */
export async function collectorAnswers({ otlpHttp = 0, metrics = 0 }) {
  await fetch(`http://${LOOPBACK}:${otlpHttp}/v1/traces`, { signal: AbortSignal.timeout(2000) }); // it refuses GET: an answer
  const { ok } = await fetch(`http://${LOOPBACK}:${metrics}/metrics`, { signal: AbortSignal.timeout(2000) });
  return ok;
}

/**
 * @param {import('./stack.mjs').CollectorOptions} [options]
 * @returns {Promise<import('./stack.mjs').Collector>}
 */
export async function startCollector(options = {}) {
  const { dir = defaultDir, name = 'collector', exportTo = 'localhost:4317', progress } = options;
  const data = pathsOf(dir, name).data;
  const defaults = { otlpGrpc: 14317, otlpHttp: 14318, metrics: 8888 };
  const ports = await choosePorts({ ...defaults, ...options.ports });
  const daemon = await startDaemon({
    dir,
    name,
    ports,
    variables: {
      otlpGrpc: 'COLLECTOR_GRPC_PORT',
      otlpHttp: 'COLLECTOR_HTTP_PORT',
      metrics: 'COLLECTOR_METRICS_PORT',
    },
    killAtExit: options.killAtExit,
    progress,
    readyMs: 30_000,
    ready: collectorAnswers,
    async prepare() {
      const command = await fetchJaeger({ downloads: options.downloads, progress });
      // The process is known by the data folder in its command line.
      const file = path.join(data, 'collector.yaml');
      await copyFile(CONFIG, file);
      const env = {
        ...process.env,
        COLLECTOR_LISTEN: LOOPBACK,
        COLLECTOR_GRPC_PORT: String(ports.otlpGrpc),
        COLLECTOR_HTTP_PORT: String(ports.otlpHttp),
        COLLECTOR_METRICS_PORT: String(ports.metrics),
        COLLECTOR_EXPORT_TO: exportTo,
        COLLECTOR_EXPORT_INSECURE: 'true',
        ...options.variables,
        // It makes no traces of its own.
        OTEL_TRACES_SAMPLER: 'always_off',
      };
      return { command, args: ['--config', file], cwd: data, env };
    },
  });
  const { otlpGrpc, otlpHttp, metrics } = daemon.ports;
  return {
    ...daemon,
    otlpGrpcUrl: `http://${LOOPBACK}:${otlpGrpc}`,
    otlpHttpUrl: `http://${LOOPBACK}:${otlpHttp}`,
    metricsUrl: `http://${LOOPBACK}:${metrics}/metrics`,
  };
}
