import type { Config } from '../config/load.js';
import type { ReaderFactory } from './metrics.js';

/** How long one attempt may take; the next ones wait for it. */
const TIMEOUT_MS = 10_000;
/** The same for the last one, as the process ends. */
const LAST_MS = 1000;

/**
 * What sends metrics by OTLP, if that is configured; nothing of it is loaded otherwise. One that hangs or is away costs the
 * values of that time, and at most LAST_MS when the process ends.
 */
export async function metricsSender(
  config: Pick<Config, 'metricsExporter' | 'otlpEndpoint' | 'metricExportIntervalMs'>,
): Promise<ReaderFactory | undefined> {
  if (config.metricsExporter !== 'otlp') return undefined;
  const [{ OTLPMetricExporter }, { PeriodicExportingMetricReader }] = await Promise.all([
    import('@opentelemetry/exporter-metrics-otlp-grpc'),
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
      exporter: new OTLPMetricExporter({ url: config.otlpEndpoint, timeoutMillis: TIMEOUT_MS }),
      exportIntervalMillis: config.metricExportIntervalMs,
      exportTimeoutMillis: Math.min(TIMEOUT_MS, config.metricExportIntervalMs),
      metricProducers: [producer],
    });
}
