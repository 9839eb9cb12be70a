import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { loadConfig } from '../../services/lib/config/load.js';
import { silentLogger } from '../../services/lib/logging.js';
import { resourceOf } from '../../services/lib/telemetry/resource.js';
import { Tracing } from '../../services/lib/telemetry/tracing.js';
import { defer } from './defer.js';
import { startTestCluster, type TestCluster } from './in-process.js';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.js';
import { untilTrue } from './until-true.js';

export interface Traced {
  readonly cluster: TestCluster;
  readonly receiver: OtlpReceiver;
}

/** A cluster whose roles send their spans to a collector of the test's, within 20 ms. */
export async function startTraced(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Traced> {
  const receiver = await startOtlpReceiver(t);
  const cluster = await startTestCluster(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '20',
    ...env,
  });
  return { cluster, receiver };
}

/** A role's tracing by itself. What it has recorded is in the collector when it is closed. */
export async function startTracing(t: TestContext): Promise<{ tracing: Tracing; receiver: OtlpReceiver }> {
  const receiver = await startOtlpReceiver(t);
  const config = loadConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '20' });
  const tracing = await Tracing.start(config, resourceOf('test'), silentLogger());
  defer(t, () => tracing.close());
  return { tracing, receiver };
}

/** A traceparent that a caller's OpenTelemetry would send. */
export function callersTrace(flags = '01') {
  const traceId = randomBytes(16).toString('hex');
  return { traceId, traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-${flags}` };
}

/** Waits until a span of this name has come that fits. */
export function untilSpan(
  { receiver }: Pick<Traced, 'receiver'>,
  name: string,
  fits: (span: ReceivedSpan) => boolean = () => true,
): Promise<ReceivedSpan> {
  return untilTrue(() => receiver.named(name).find(fits), {
    what: () => `a span '${name}'; there are ${[...new Set(receiver.spans.map((span) => span.name))].join(', ')}`,
  });
}
