import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Span,
  type TimeInput,
} from '@opentelemetry/api';
import type { Config } from '../config/load.js';
import type { Logger } from '../logging.js';

export { SpanKind, type Attributes, type Span } from '@opentelemetry/api';
export { traceparentOf } from './traceparent.js';

/** A W3C traceparent: version-traceid-spanid-flags. */
const TRACEPARENT_PATTERN = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** traceparent of the parent; absent or malformed: a new trace begins. */
  readonly parent?: string | undefined;
  /** traceparents of other spans that led here. */
  readonly links?: readonly string[];
  readonly attributes?: Attributes;
  readonly startTime?: TimeInput;
}

/**
 * Makes spans by hand: parents are handed along as traceparent strings, the form in which they travel through gRPC, the
 * database and Kafka, so that no async context has to be kept. While tracing is off, `enabled` is false, callers skip
 * their work and nothing of the SDK is loaded.
 */
export class Tracing {
  readonly #tracer = trace.getTracer('ssom-alert');

  private constructor(
    readonly enabled: boolean,
    private readonly shutdown: () => Promise<void>,
  ) {}

  static off(): Tracing {
    return new Tracing(false, () => Promise.resolve());
  }

  /** Starts the SDK if there is somewhere to send traces to. */
  static async start(config: Pick<Config, 'otlpEndpoint'>, role: string, logger: Logger): Promise<Tracing> {
    if (config.otlpEndpoint === '') return Tracing.off();
    const [{ NodeSDK }, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
      import('@opentelemetry/sdk-node'),
      import('@opentelemetry/exporter-trace-otlp-grpc'),
      import('@opentelemetry/resources'),
    ]);
    const sdk = new NodeSDK({
      resource: resourceFromAttributes({ 'service.name': `ssom-${role}`, 'service.namespace': 'ssom' }),
      traceExporter: new OTLPTraceExporter({ url: config.otlpEndpoint }),
      instrumentations: [],
      metricReaders: [],
      logRecordProcessors: [],
    });
    sdk.start();
    return new Tracing(true, async () => {
      // It rejects when the collector is away, which must not keep a role from ending.
      await sdk.shutdown().catch((error: Error) => logger.warn({ err: error }, 'the last spans could not be sent'));
    });
  }

  start(name: string, options: SpanOptions = {}): Span {
    const links: Link[] = [];
    for (const link of options.links ?? []) {
      const linked = parse(link);
      if (linked !== undefined) links.push({ context: linked });
    }
    return this.#tracer.startSpan(
      name,
      {
        kind: options.kind ?? SpanKind.INTERNAL,
        links,
        ...(options.attributes === undefined ? {} : { attributes: options.attributes }),
        ...(options.startTime === undefined ? {} : { startTime: options.startTime }),
      },
      contextOf(options.parent),
    );
  }

  close(): Promise<void> {
    return this.shutdown();
  }
}

function parse(traceparent: string) {
  const match = TRACEPARENT_PATTERN.exec(traceparent);
  if (match === null) return undefined;
  const [, traceId, spanId, flags] = match as unknown as [string, string, string, string];
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

function contextOf(traceparent: string | undefined): Context {
  const parent = traceparent === undefined ? undefined : parse(traceparent);
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

/** Whether somebody decided to record this trace. */
export function isSampled(traceparent: string | undefined): traceparent is string {
  return traceparent !== undefined && traceparent.endsWith('-01') && TRACEPARENT_PATTERN.test(traceparent);
}

/** A traceparent that others sent, or undefined if it is malformed. */
export function validTraceparent(text: string | undefined): string | undefined {
  return text !== undefined && TRACEPARENT_PATTERN.test(text) ? text : undefined;
}

/** Ends a span as failed. */
export function failSpan(span: Span | undefined, error: Error): void {
  if (span === undefined) return;
  span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  span.end();
}
