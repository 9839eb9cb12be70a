import type { Attributes } from '@opentelemetry/api';
import {
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Exemplar, LatencyPoint } from './latency.js';

/** What Prometheus reads: its own text format, or OpenMetrics, which alone has exemplars. */
export type Format = 'text' | 'openmetrics';

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Metrics in seconds that were named before the unit became part of the name; dashboards know them as they are. */
const WITHOUT_UNIT = new Set(['rpc.server.call.duration', 'ssom.delivery.batch.duration', 'ssom.push.duration']);

/** Prometheus has the label `instance`. */
const INSTANCE_ID = 'service.instance.id';

/** The page for a scrape. Metrics of one name stand together, as both formats demand. */
export function exposition({ resource, scopeMetrics }: ResourceMetrics, format: Format): string {
  const families = new Map<string, { head: string; lines: string[] }>();
  for (const { scope, metrics } of scopeMetrics) {
    for (const metric of metrics) {
      const name = familyName(metric);
      const family = families.get(name) ?? { head: head(name, metric, format), lines: [] };
      family.lines.push(...samples(name, metric, { format, scope: { 'otel.scope.name': scope.name } }));
      families.set(name, family);
    }
  }
  const target = format === 'openmetrics' ? '# TYPE target info' : '# TYPE target_info gauge';
  const pages = [...families.values()].flatMap((family) => [family.head, ...family.lines]);
  const end = format === 'openmetrics' ? ['# EOF'] : [];
  const attributes = Object.entries(resource.attributes).filter(([key]) => key !== INSTANCE_ID);
  const info = sample('target_info', Object.fromEntries(attributes), 1);
  return [target, info, ...pages, ...end, ''].join('\n');
}

/**
 * `ssom.outbox.age` as `ssom_outbox_age`; the unit of seconds is part of a name, `_total` of a counter's comes later.
 */
export function familyName({ descriptor: { name, unit } }: Pick<MetricData, 'descriptor'>): string {
  const plain = name.replace(/[^a-zA-Z0-9_]/g, '_');
  return unit === 's' && !WITHOUT_UNIT.has(name) ? `${plain}_seconds` : plain;
}

function head(name: string, metric: MetricData, format: Format): string {
  const type = typeOf(metric);
  // OpenMetrics names a counter without the ending that its samples have.
  const shown = type === 'counter' && format === 'text' ? `${name}_total` : name;
  const escaped = metric.descriptor.description.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
  const help = format === 'openmetrics' ? escaped.replace(/"/g, '\\"') : escaped;
  return `# HELP ${shown} ${help}\n# TYPE ${shown} ${type}`;
}

function typeOf(metric: MetricData): 'counter' | 'gauge' | 'histogram' {
  if (metric.dataPointType === DataPointType.HISTOGRAM) return 'histogram';
  return metric.dataPointType === DataPointType.SUM && metric.isMonotonic ? 'counter' : 'gauge';
}

interface Page {
  readonly format: Format;
  /** A label of all samples of a scope. */
  readonly scope: Attributes;
}

function samples(name: string, metric: MetricData, page: Page): string[] {
  if (metric.dataPointType === DataPointType.HISTOGRAM) {
    return metric.dataPoints.flatMap((point) => histogram(name, point, page));
  }
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) return [];
  const full = typeOf(metric) === 'counter' ? `${name}_total` : name;
  return metric.dataPoints.map(({ attributes, value }) => sample(full, { ...attributes, ...page.scope }, value));
}

function histogram(name: string, point: DataPoint<Histogram>, { format, scope }: Page): string[] {
  const { buckets, sum = 0, count } = point.value;
  const { exemplars } = point as Partial<LatencyPoint>;
  const attributes = { ...point.attributes, ...scope };
  let below = 0;
  const lines = buckets.counts.map((inBucket, index) => {
    below += inBucket;
    const bound = numeral(buckets.boundaries[index] ?? Infinity);
    const line = sample(`${name}_bucket`, { ...attributes, le: bound }, below);
    const exemplar = format === 'openmetrics' ? exemplars?.[index] : undefined;
    return exemplar === undefined ? line : `${line} ${exemplarText(exemplar)}`;
  });
  return [...lines, sample(`${name}_sum`, attributes, sum), sample(`${name}_count`, attributes, count)];
}

function exemplarText({ traceId, value, at }: Exemplar): string {
  return `# {trace_id="${traceId}"} ${numeral(value)} ${at.toFixed(3)}`;
}

function sample(name: string, attributes: Attributes, value: number): string {
  const labels = Object.entries(attributes).map(
    ([key, text]) => `${key.replace(/[^a-zA-Z0-9_]/g, '_')}="${labelValue(String(text))}"`,
  );
  return `${name}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${numeral(value)}`;
}

function labelValue(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}

function numeral(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}
