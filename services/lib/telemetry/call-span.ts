import { context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { ATTR } from './names.js';
import { traceparentOf } from './traceparent.js';

/**
 * The span of one attempt of a call, below whatever the caller's own OpenTelemetry has active. A caller without it pays
 * nothing: there is no span then.
 */
export class CallSpan {
  readonly #span: Span | undefined;

  constructor(method: string) {
    const span = trace
      .getTracer('ssom-alert-client')
      .startSpan(
        method,
        { kind: SpanKind.CLIENT, attributes: { [ATTR.rpcSystem]: 'grpc', [ATTR.rpcMethod]: method } },
        context.active(),
      );
    this.#span = span.isRecording() ? span : undefined;
  }

  /** What the service's span is a child of; undefined if there is no span. */
  get traceparent(): string | undefined {
    return traceparentOf(this.#span);
  }

  end(error?: { readonly code: string; readonly message: string }): void {
    if (this.#span === undefined) return;
    this.#span.setAttribute(ATTR.rpcStatus, error?.code ?? 'OK');
    if (error !== undefined) {
      this.#span.setAttribute(ATTR.errorType, error.code);
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    }
    this.#span.end();
  }
}
