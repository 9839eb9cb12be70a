import type { ServerResponse, IncomingMessage } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Attributes, Counter, Histogram, Meter } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

/** Upper bounds of latency buckets, in seconds. */
const LATENCY_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];
const GRPC_STATUS = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** The metrics of one process. Never labelled by user or alert: their number must stay bounded. */
export class Metrics {
  readonly #provider: MeterProvider;
  readonly #exporter = new PrometheusExporter({ preventServerStart: true });
  readonly #rpcDuration: Histogram;
  /** Attribute objects are kept: making one a call costs more than recording it. */
  readonly #rpcAttributes = new Map<string, Attributes>();
  readonly meter: Meter;

  constructor(role: string) {
    const resource = resourceFromAttributes({ 'service.name': `ssom-${role}`, 'service.namespace': 'ssom' });
    this.#provider = new MeterProvider({ resource, readers: [this.#exporter] });
    this.meter = this.#provider.getMeter('ssom-alert');
    this.#rpcDuration = this.histogram(
      'rpc.server.call.duration',
      'Duration of unary gRPC calls, by method and status.',
    );
    this.#observeProcess();
  }

  counter(name: string, description: string): Counter {
    const counter = this.meter.createCounter(name, { description });
    // From the start on, so that a rule on it has something to look at before the first event.
    counter.add(0);
    return counter;
  }

  /** A counter that is kept elsewhere and read when somebody asks: for what is counted more often than anything else. */
  total(name: string, description: string, read: () => number): void {
    this.meter.createObservableCounter(name, { description }).addCallback((result) => result.observe(read()));
  }

  /** A histogram of seconds. */
  histogram(name: string, description: string): Histogram {
    return this.meter.createHistogram(name, {
      description,
      unit: 's',
      advice: { explicitBucketBoundaries: LATENCY_BUCKETS },
    });
  }

  /** A value that is read when somebody asks. An observation that fails is left out. */
  gauge(
    name: string,
    description: string,
    read: () => number | readonly { value: number; attributes: Attributes }[],
  ): void {
    this.meter.createObservableGauge(name, { description }).addCallback((result) => {
      const values = read();
      if (typeof values === 'number') result.observe(values);
      else for (const { value, attributes } of values) result.observe(value, attributes);
    });
  }

  rpc(path: string, status: number, ms: number): void {
    const key = `${path} ${status}`;
    let attributes = this.#rpcAttributes.get(key);
    if (attributes === undefined) {
      attributes = { 'rpc.method': path.slice(1), 'rpc.response.status_code': GRPC_STATUS[status] ?? String(status) };
      this.#rpcAttributes.set(key, attributes);
    }
    this.#rpcDuration.record(ms / 1000, attributes);
  }

  #observeProcess(): void {
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    this.gauge(
      'nodejs.eventloop.delay.p99',
      'Event-loop delay since the last reading, 99th percentile, in seconds.',
      () => {
        const value = delay.percentile(99) / 1e9;
        delay.reset();
        return Number.isFinite(value) ? value : 0;
      },
    );
    this.gauge('process.memory.usage', 'Resident memory in bytes.', () => process.memoryUsage.rss());
    this.gauge('process.uptime', 'Seconds since the start.', () => process.uptime());
    this.meter
      .createObservableCounter('process.cpu.time', { description: 'CPU time in seconds, user and system.' })
      .addCallback((result) => {
        const { user, system } = process.cpuUsage();
        result.observe((user + system) / 1e6);
      });
  }

  /** Answers a Prometheus scrape. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    this.#exporter.getMetricsRequestHandler(request, response);
  }

  async close(): Promise<void> {
    await this.#provider.shutdown();
  }
}
