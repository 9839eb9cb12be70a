import { type HrTime, ValueType } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  type HistogramMetricData,
} from '@opentelemetry/sdk-metrics';
import { wallClock } from '../wall-clock.js';

/** Upper bounds of latency buckets, in seconds. */
export const LATENCY_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

/** A trace that fell into a bucket: what to look at when the bucket is higher than it should be. */
export interface Exemplar {
  readonly traceId: string;
  readonly value: number;
  /** Seconds since 1970. */
  readonly at: number;
}

/** A point of a histogram, with an exemplar of each bucket that has one. */
export interface LatencyPoint extends DataPoint<Histogram> {
  readonly exemplars: readonly (Exemplar | undefined)[];
}

const ONE = '1'.charCodeAt(0);
const SAMPLED_TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/;

/**
 * A histogram of seconds that keeps the last sampled trace of each bucket. OpenTelemetry's for JavaScript has no
 * exemplars, and takes one value at a time; this one takes as many equal ones as there are at once.
 */
export class LatencyHistogram {
  readonly #counts: number[] = LATENCY_BUCKETS.map(() => 0).concat(0);
  readonly #traceparents = this.#counts.map(() => '');
  readonly #values = this.#counts.map(() => 0);
  readonly #times = this.#counts.map(() => 0);
  readonly #startTime: HrTime = timeOf(wallClock());
  #sum = 0;
  #count = 0;

  constructor(
    readonly name: string,
    readonly description: string,
  ) {}

  /**
   * @param seconds below 0 (two clocks that differ) counts as 0
   * @param traceparent of the alert, sampled or not
   * @param count how many had this latency
   */
  record(seconds: number, traceparent = '', count = 1): void {
    const value = Math.max(0, seconds);
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS.length && value > LATENCY_BUCKETS[bucket]!) bucket += 1;
    this.#counts[bucket]! += count;
    this.#sum += value * count;
    this.#count += count;
    // Most are not sampled, and the last digit says so.
    if (traceparent.charCodeAt(54) !== ONE) return;
    this.#traceparents[bucket] = traceparent;
    this.#values[bucket] = value;
    this.#times[bucket] = wallClock();
  }

  /** As it stands now. */
  read(): HistogramMetricData {
    const point: LatencyPoint = {
      startTime: this.#startTime,
      endTime: timeOf(wallClock()),
      attributes: {},
      value: {
        buckets: { boundaries: [...LATENCY_BUCKETS], counts: [...this.#counts] },
        sum: this.#sum,
        count: this.#count,
      },
      exemplars: this.#counts.map((_, bucket) => this.#exemplar(bucket)),
    };
    return {
      descriptor: { name: this.name, description: this.description, unit: 's', valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: [point],
    };
  }

  #exemplar(bucket: number): Exemplar | undefined {
    // What others wrote into a record is looked at here, not each time it comes by.
    const traceId = SAMPLED_TRACEPARENT.exec(this.#traceparents[bucket]!)?.[1];
    if (traceId === undefined) return undefined;
    return { traceId, value: this.#values[bucket]!, at: this.#times[bucket]! / 1000 };
  }
}

export function timeOf(ms: number): HrTime {
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6];
}
