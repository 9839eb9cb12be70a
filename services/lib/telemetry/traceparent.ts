import { context, type Span, type SpanContext, trace, TraceFlags } from '@opentelemetry/api';

/** W3C's version-traceid-spanid-flags; of a later version than 00 more may follow. */
const PATTERN = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/;
const LENGTH = 55;

/** The traceparent that makes others children of this span; undefined for none. */
export function traceparentOf(span: Span | undefined): string | undefined {
  return span === undefined ? undefined : write(span.spanContext());
}

function write({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`;
}

/** The traceparent of the active span of a caller's own instrumentation, if it has one. */
export function activeTraceparent(): string | undefined {
  return traceparentOf(trace.getSpan(context.active()));
}

/** What a traceparent says; undefined if it is malformed. */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const match = text === undefined ? null : PATTERN.exec(text);
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags] = match as unknown as [string, string, string, string, string];
  if (version === '00' && text!.length !== LENGTH) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
}

/** A traceparent that others sent, written as we write it; undefined if it is malformed. */
export function validTraceparent(text: string | undefined): string | undefined {
  const parsed = parseTraceparent(text);
  return parsed === undefined ? undefined : write(parsed);
}

/** Whether somebody decided to record this trace. For what was written by us or is `valid`. */
export function isSampled(traceparent: string | null | undefined): traceparent is string {
  return traceparent !== undefined && traceparent !== null && traceparent.endsWith('-01') && PATTERN.test(traceparent);
}

/** The id of a trace, for logs; undefined if there is none. */
export function traceIdOf(traceparent: string | null | undefined): string | undefined {
  return parseTraceparent(traceparent ?? undefined)?.traceId;
}
