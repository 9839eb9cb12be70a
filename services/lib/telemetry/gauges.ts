import { type Attributes, ValueType } from '@opentelemetry/api';
import { AggregationTemporality, DataPointType, type GaugeMetricData } from '@opentelemetry/sdk-metrics';
import { wallClock } from '../wall-clock.js';
import { timeOf } from './latency.js';

/** A value, or one for each of some labels. */
export type Reading = number | readonly { readonly value: number; readonly attributes: Attributes }[];

type Read = () => Reading;
/** Told of what cannot be read, once for each. */
export type OnUnreadable = (name: string, error: unknown) => void;

interface Gauge {
  readonly description: string;
  readonly unit: string;
  readonly reads: Read[];
}

/**
 * Values as they are when somebody asks. OpenTelemetry's observable gauges show what was ever observed, for ever: the
 * lag of a partition that was given up stayed, and the alarm on it. Here what is not observed is not there.
 */
export class Gauges {
  readonly #gauges = new Map<string, Gauge>();
  readonly #startTime = timeOf(wallClock());
  readonly #unreadable = new Set<Read>();

  constructor(private readonly onUnreadable: OnUnreadable) {}

  /** Of one name there may be several, as of two roles in one process: their labels stand together. */
  add({ name, description, unit }: { name: string; description: string; unit: string }, read: Read): void {
    const gauge = this.#gauges.get(name) ?? { description, unit, reads: [] };
    gauge.reads.push(read);
    this.#gauges.set(name, gauge);
  }

  /** Those that have a value now. */
  read(): GaugeMetricData[] {
    const endTime = timeOf(wallClock());
    return [...this.#gauges].flatMap(([name, { description, unit, reads }]) => {
      const values = new Map<string, { value: number; attributes: Attributes }>();
      for (const { value, attributes } of reads.flatMap((read) => this.#reading(name, read)))
        values.set(keyOf(attributes), { value, attributes });
      if (values.size === 0) return [];
      return {
        descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPointType: DataPointType.GAUGE,
        dataPoints: [...values.values()].map((each) => ({ ...each, startTime: this.#startTime, endTime })),
      };
    });
  }

  #reading(name: string, read: Read): { value: number; attributes: Attributes }[] {
    try {
      const values = read();
      return typeof values === 'number' ? [{ value: values, attributes: {} }] : [...values];
    } catch (error) {
      if (!this.#unreadable.has(read)) this.onUnreadable(name, error);
      this.#unreadable.add(read);
      return [];
    }
  }
}

function keyOf(attributes: Attributes): string {
  return JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}
