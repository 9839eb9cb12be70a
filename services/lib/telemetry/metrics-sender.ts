import type { Config } from '../config/load.js';
import type { ReaderFactory } from './metrics.js';
import { type OtlpConfig, otlpTarget } from './otlp.js';

/** How long the last export may take, as the process ends. */
const LAST_MS = 1000;

/**
 * What sends metrics by OTLP, if that is configured; nothing of it is loaded otherwise. One that hangs or is away costs
 * the values of that time, and at most LAST_MS when the process ends.
 */
export async function metricsSender(
  config: OtlpConfig & Pick<Config, 'metricsExporter' | 'metricExportIntervalMs' | 'metricExportTimeoutMs'>,
): Promise<ReaderFactory | undefined> {
  const target = config.metricsExporter === 'otlp' ? otlpTarget(config, 'metrics') : undefined;
  if (target === undefined) return undefined;
  const [{ OTLPMetricExporter }, { PeriodicExportingMetricReader }] = await Promise.all([
    target.protocol === 'grpc'
      ? import('@opentelemetry/exporter-metrics-otlp-grpc')
      : import('@opentelemetry/exporter-metrics-otlp-proto'),
    import('@opentelemetry/sdk-metrics'),
  ]);
  /** The SDK's reader waits at its end for as long as the endpoint hangs. */
  class Sender extends PeriodicExportingMetricReader {
    protected override async onShutdown(): Promise<void> {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, LAST_MS)));
      await Promise.race([super.onShutdown().catch(() => undefined), patience]);
      clearTimeout(timer);
    }
  }
  return (producer) =>
    new Sender({
      exporter: new OTLPMetricExporter({ url: target.url }),
      exportIntervalMillis: config.metricExportIntervalMs,
      exportTimeoutMillis: Math.min(config.metricExportTimeoutMs, config.metricExportIntervalMs),
      metricProducers: [producer],
    });
}
