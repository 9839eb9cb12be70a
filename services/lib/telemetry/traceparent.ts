import { context, trace, TraceFlags, type Span } from '@opentelemetry/api';

/** The traceparent that makes others children of this span; undefined for none. */
export function traceparentOf(span: Span | undefined): string | undefined {
  if (span === undefined) return undefined;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`;
}

/** The traceparent of the active span of a caller's own instrumentation, if it has one. */
export function activeTraceparent(): string | undefined {
  return traceparentOf(trace.getSpan(context.active()));
}
