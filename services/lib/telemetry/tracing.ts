import {
  type Attributes,
  type Context,
  createContextKey,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TimeInput,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { tracing as sdk } from '@opentelemetry/sdk-node';
import type { Config } from '../config/load.js';
import type { Logger } from '../logging.js';
import { withoutSecrets } from '../secrets.js';
import { CallerLimit } from './caller-limit.js';
import { ATTR } from './names.js';
import { type OtlpConfig, otlpTarget } from './otlp.js';
import { type SpanCounts, SpanQueue } from './span-queue.js';
import { isSampled, parseTraceparent } from './traceparent.js';

export { SpanKind, type Attributes, type Span } from '@opentelemetry/api';
export { isSampled, traceIdOf, traceparentOf, validTraceparent } from './traceparent.js';

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** traceparent of the parent; absent or malformed: a new trace begins. */
  readonly parent?: string | undefined;
  /** traceparents of other spans that led here. */
  readonly links?: readonly string[];
  readonly attributes?: Attributes;
  /** Milliseconds since 1970, with fractions. */
  readonly startTime?: TimeInput;
}

export type TracingConfig = OtlpConfig &
  Pick<
    Config,
    | 'tracesExporter'
    | 'tracesSampler'
    | 'tracesSamplerArg'
    | 'traceCallersMax'
    | 'spanQueueMax'
    | 'spanBatchMax'
    | 'spanDelayMs'
    | 'spanTimeoutMs'
  >;

/** In the context of a span whose caller's decision does not count. */
const UNDECIDED = createContextKey('the sampler decides, whatever the caller said');
/** Links of one span; the SDK keeps 128. */
const LINKS_MAX = 100;

interface Sdk {
  readonly tracer: Tracer;
  readonly queue: SpanQueue;
  readonly callers: CallerLimit;
}

/**
 * Makes spans by hand: parents are traceparent strings, as they travel through gRPC, the database and Kafka, so that no
 * async context is kept. While `enabled` is false nothing of the SDK is loaded.
 */
export class Tracing {
  readonly enabled: boolean;
  readonly #tracer: Tracer;
  #sampledDown = 0;

  private constructor(private readonly sdk: Sdk | undefined) {
    this.enabled = sdk !== undefined;
    this.#tracer = sdk?.tracer ?? trace.getTracer('ssom-alert');
  }

  static off(): Tracing {
    return new Tracing(undefined);
  }

  /** Starts the SDK if there is somewhere to send traces to. */
  static async start(config: TracingConfig, resource: Resource, logger: Logger): Promise<Tracing> {
    const target = config.tracesExporter === 'none' ? undefined : otlpTarget(config, 'traces');
    if (target === undefined) return Tracing.off();
    const [{ tracing: sdk }, { OTLPTraceExporter }] = await Promise.all([
      import('@opentelemetry/sdk-node'),
      target.protocol === 'grpc'
        ? import('@opentelemetry/exporter-trace-otlp-grpc')
        : import('@opentelemetry/exporter-trace-otlp-proto'),
    ]);
    const queue = new SpanQueue(new OTLPTraceExporter({ url: target.url }), {
      queueMax: config.spanQueueMax,
      batchMax: Math.min(config.spanBatchMax, config.spanQueueMax),
      delayMs: config.spanDelayMs,
      timeoutMs: config.spanTimeoutMs,
      logger,
    });
    // Not the global one: each role of a process has its own name.
    const provider = new sdk.BasicTracerProvider({
      resource,
      sampler: undecidedAsRoot(createSampler(sdk, config)),
      spanProcessors: [queue],
    });
    const callers = new CallerLimit(config.traceCallersMax);
    return new Tracing({ tracer: provider.getTracer('ssom-alert'), queue, callers });
  }

  /** What has become of spans so far. */
  get counts(): Readonly<SpanCounts> {
    return this.sdk?.queue.counts ?? { ended: 0, queueFull: 0, exportFailed: 0, shutdown: 0 };
  }

  /** Spans that wait for the collector. */
  get waiting(): number {
    return this.sdk?.queue.waiting ?? 0;
  }

  /** Callers' traces that were not recorded although they asked for it. */
  get sampledDown(): number {
    return this.#sampledDown;
  }

  start(name: string, options: SpanOptions = {}): Span {
    return this.#start(name, options, contextOf(options.parent));
  }

  #start(name: string, options: SpanOptions, context: Context): Span {
    return this.#tracer.startSpan(
      name,
      {
        kind: options.kind ?? SpanKind.INTERNAL,
        ...(options.links === undefined ? {} : { links: linksTo(options.links) }),
        ...(options.attributes === undefined ? {} : { attributes: options.attributes }),
        ...(options.startTime === undefined ? {} : { startTime: options.startTime }),
      },
      context,
    );
  }

  /**
   * The span of a call. That a caller has its trace recorded is believed TRACE_CALLERS_MAX times a second; beyond, our
   * sampler decides as if it had said nothing.
   */
  startCall(name: string, options: SpanOptions): Span {
    const { parent } = options;
    if (!isSampled(parent) || this.sdk?.callers.take() !== false) return this.start(name, options);
    const span = this.#start(name, options, contextOf(parent).setValue(UNDECIDED, true));
    if (!span.isRecording()) this.#sampledDown += 1;
    return span;
  }

  /** Sends the last spans, for a second at most. */
  async close(): Promise<void> {
    await this.sdk?.queue.shutdown();
  }
}

function linksTo(traceparents: readonly string[]): Link[] {
  const links: Link[] = [];
  for (const traceparent of traceparents) {
    const context = parseTraceparent(traceparent);
    if (context !== undefined) links.push({ context });
    if (links.length === LINKS_MAX) break;
  }
  return links;
}

function contextOf(traceparent: string | undefined): Context {
  const parent = parseTraceparent(traceparent);
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

function createSampler(samplers: typeof sdk, { tracesSampler, tracesSamplerArg }: TracingConfig): sdk.Sampler {
  const base = tracesSampler.replace('parentbased_', '');
  const root =
    base === 'always_on'
      ? new samplers.AlwaysOnSampler()
      : base === 'always_off'
        ? new samplers.AlwaysOffSampler()
        : new samplers.TraceIdRatioBasedSampler(tracesSamplerArg);
  return base === tracesSampler ? root : new samplers.ParentBasedSampler({ root });
}

/** The same sampler, which for a span whose caller's decision does not count sees no caller. */
function undecidedAsRoot(sampler: sdk.Sampler): sdk.Sampler {
  return {
    shouldSample: (context, ...rest) =>
      sampler.shouldSample(context.getValue(UNDECIDED) === true ? ROOT_CONTEXT : context, ...rest),
    toString: () => sampler.toString(),
  };
}

/** The time as spans want it: milliseconds since 1970, with fractions. */
export function spanTime(): number {
  return performance.timeOrigin + performance.now();
}

const MESSAGE_MAX = 500;

/** Ends a span, as failed if there is an error. */
export function endSpan(
  span: Span,
  { error, slow = false, endedAt }: { error?: Error | undefined; slow?: boolean; endedAt?: number },
): void {
  if (slow) span.setAttribute(ATTR.slow, true);
  if (error === undefined) span.end(endedAt);
  else failSpan(span, error, endedAt);
}

/** Ends a span as failed. */
export function failSpan(span: Span | undefined, error: Error, endTime?: TimeInput): void {
  if (span === undefined) return;
  const { code, name } = error as Error & { code?: unknown };
  span.setAttribute(ATTR.errorType, typeof code === 'string' && code !== '' ? code : name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: withoutSecrets(error.message).slice(0, MESSAGE_MAX) });
  span.end(endTime);
}
