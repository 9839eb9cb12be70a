import grpc from '@grpc/grpc-js';
import { ATTR } from '../telemetry/names.js';
import { StatementSpans } from '../telemetry/statements.js';
import { failSpan, type Span, SpanKind, traceparentOf, type Tracing } from '../telemetry/tracing.js';
import { callersTraceparent } from './call-origin.js';

/** Codes that say that we failed; the others are the caller's business and no errors of a server's span. */
const SERVER_ERRORS: ReadonlySet<grpc.status> = new Set([
  grpc.status.UNKNOWN,
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.UNIMPLEMENTED,
  grpc.status.INTERNAL,
  grpc.status.UNAVAILABLE,
  grpc.status.DATA_LOSS,
]);

/** The span of a call in its caller's trace, and what makes others its children. */
export interface CallSpan {
  readonly span: Span;
  readonly traceparent: string | undefined;
  /** Undefined while the call is not recorded. */
  readonly statements: StatementSpans | undefined;
}

/** @returns undefined while tracing is off */
export function startCallSpan(tracing: Tracing, path: string, metadata: grpc.Metadata): CallSpan | undefined {
  if (!tracing.enabled) return undefined;
  const method = path.slice(1);
  const span = tracing.startCall(method, {
    kind: SpanKind.SERVER,
    parent: callersTraceparent(metadata),
    attributes: { [ATTR.rpcSystem]: 'grpc', [ATTR.rpcMethod]: method },
  });
  const traceparent = traceparentOf(span);
  return { span, traceparent, statements: span.isRecording() ? new StatementSpans(tracing, traceparent) : undefined };
}

export function endCallSpan(span: Span | undefined): void {
  if (span?.isRecording() !== true) return;
  span.setAttribute(ATTR.rpcStatus, 'OK');
  span.end();
}

export function failCallSpan(span: Span | undefined, code: grpc.status, error: Error): void {
  if (span?.isRecording() !== true) return;
  span.setAttribute(ATTR.rpcStatus, grpc.status[code]);
  if (SERVER_ERRORS.has(code)) failSpan(span, error);
  else span.end();
}
