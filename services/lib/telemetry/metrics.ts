import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Attributes, Counter, Histogram, Meter, ObservableResult } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, type MetricProducer, type MetricReader } from '@opentelemetry/sdk-metrics';
import { Gauges, type OnUnreadable, type Reading } from './gauges.js';
import { LATENCY_BUCKETS, LatencyHistogram } from './latency.js';
import { observeProcess } from './process-metrics.js';
import { resourceOf } from './resource.js';
import { Scrapes } from './scrapes.js';

const SIZE_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
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

export type { Reading } from './gauges.js';

/** What a cache was asked so far. */
export interface Lookups {
  readonly hits: number;
  readonly misses: number;
}

interface Queue {
  readonly queue: string;
  readonly size: () => number;
  readonly limit: number | (() => number);
}

/** Makes a reader that sends metrics somewhere by itself. */
export type ReaderFactory = (producer: MetricProducer) => MetricReader;

/**
 * The metrics of one process; METRICS.md has the table of all. Never labelled by user or alert: their number must stay
 * bounded.
 */
export class Metrics {
  readonly #provider: MeterProvider;
  readonly #scrapes: Scrapes;
  readonly #rpcDuration: Histogram;
  /** Attribute objects are kept: making one a call costs more than recording it. */
  readonly #rpcAttributes = new Map<string, Attributes>();
  readonly #latencies = new Map<string, LatencyHistogram>();
  readonly #gauges: Gauges;
  readonly #queues: Queue[] = [];
  readonly #caches: { cache: string; read: () => Lookups }[] = [];
  readonly meter: Meter;

  /** @param onUnreadable told once of each gauge that cannot be read */
  constructor(
    role: string,
    sender?: ReaderFactory,
    of = resourceOf(role),
    onUnreadable: OnUnreadable = () => undefined,
  ) {
    this.#gauges = new Gauges(onUnreadable);
    // By OTLP the instance's id alone tells the instances of a role apart: without it their counters would be taken for
    // one.
    const resource = of.merge(resourceFromAttributes({ 'service.name': `ssom-${role}` }));
    const ours: MetricProducer = {
      collect: () => {
        const metrics = [...this.#gauges.read(), ...[...this.#latencies.values()].map((histogram) => histogram.read())];
        const scopeMetrics = [{ scope: { name: 'ssom-alert' }, metrics }];
        return Promise.resolve({ resourceMetrics: { resource, scopeMetrics }, errors: [] });
      },
    };
    this.#scrapes = new Scrapes([ours]);
    const readers = [this.#scrapes.reader, ...(sender === undefined ? [] : [sender(ours)])];
    this.#provider = new MeterProvider({ resource, readers });
    this.meter = this.#provider.getMeter('ssom-alert');
    this.#rpcDuration = this.histogram(
      'rpc.server.call.duration',
      'Duration of unary gRPC calls, by method and status.',
    );
    this.#observeQueues();
    observeProcess(this);
  }

  /** @param initial labels under which it shows from the start, so that a rule on it has something to look at */
  counter(name: string, description: string, initial: readonly Attributes[] = [{}]): Counter {
    const counter = this.meter.createCounter(name, { description });
    for (const attributes of initial) counter.add(0, attributes);
    return counter;
  }

  /**
   * A counter that is kept elsewhere and read when somebody asks: for what is counted more often than anything else.
   */
  total(name: string, description: string, read: () => Reading): void {
    this.meter.createObservableCounter(name, { description }).addCallback((result) => observe(result, read()));
  }

  /** A histogram of seconds. */
  histogram(name: string, description: string): Histogram {
    return this.meter.createHistogram(name, {
      description,
      unit: 's',
      advice: { explicitBucketBoundaries: LATENCY_BUCKETS },
    });
  }

  /** A histogram of how many there are of something. */
  sizes(name: string, description: string): Histogram {
    return this.meter.createHistogram(name, { description, advice: { explicitBucketBoundaries: SIZE_BUCKETS } });
  }

  /** A histogram of seconds with exemplars; whoever asks for the same name gets the same one. */
  latency(name: string, description: string): LatencyHistogram {
    const histogram = this.#latencies.get(name) ?? new LatencyHistogram(name, description);
    this.#latencies.set(name, histogram);
    return histogram;
  }

  /**
   * A value that is read when somebody asks. One that fails is left out, and labels that it does not name any more are
   * gone.
   */
  gauge(name: string, description: string, read: () => Reading, unit = ''): void {
    this.#gauges.add({ name, description, unit }, read);
  }

  /** Something that fills while others are slow: how full it is, and how full it may be. */
  queue(queue: string, size: () => number, limit: number | (() => number)): void {
    this.#queues.push({ queue, size, limit });
  }

  /** A cache, whose lookups are counted where they are made. */
  cache(cache: string, read: () => Lookups): void {
    if (this.#caches.push({ cache, read }) > 1) return;
    this.total('ssom.cache.lookups', 'Lookups in caches, by whether it was there.', () =>
      this.#caches.flatMap((entry) => {
        const { hits, misses } = entry.read();
        return [
          { value: hits, attributes: { cache: entry.cache, result: 'hit' } },
          { value: misses, attributes: { cache: entry.cache, result: 'miss' } },
        ];
      }),
    );
  }

  #observeQueues(): void {
    this.gauge('ssom.queue.size', 'How much is in each bounded queue.', () =>
      this.#queues.map(({ queue, size }) => ({ value: size(), attributes: { queue } })),
    );
    this.gauge('ssom.queue.limit', 'How much each bounded queue may hold.', () =>
      this.#queues.map(({ queue, limit }) => ({
        value: typeof limit === 'number' ? limit : limit(),
        attributes: { queue },
      })),
    );
  }

  rpc(path: string, status: number, ms: number): void {
    const key = `${path} ${status}`;
    let attributes = this.#rpcAttributes.get(key);
    if (attributes === undefined) {
      attributes = { 'rpc.method': path.slice(1), 'rpc.response.status_code': statusName(status) };
      this.#rpcAttributes.set(key, attributes);
    }
    this.#rpcDuration.record(ms / 1000, attributes);
  }

  /** Answers a Prometheus scrape. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    this.#scrapes.serve(request, response);
  }

  /** How often values were collected for scrapes. */
  get collections(): number {
    return this.#scrapes.collections;
  }

  async close(): Promise<void> {
    await this.#provider.shutdown();
  }
}

/** A status of gRPC as labels have it: `UNAVAILABLE`. */
export function statusName(code: number): string {
  return GRPC_STATUS[code] ?? String(code);
}

function observe(result: ObservableResult, values: Reading): void {
  if (typeof values === 'number') result.observe(values);
  else for (const { value, attributes } of values) result.observe(value, attributes);
}
