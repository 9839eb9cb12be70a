// Reading traces back from a real Jaeger, and showing one as text.
import type { Jaeger } from '#stack';

export interface Span {
  readonly id: string;
  readonly traceId: string;
  readonly parent: string | undefined;
  readonly service: string;
  readonly name: string;
  /** Microseconds since 1970. */
  readonly start: number;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly linked: readonly string[];
}

export type Trace = readonly Span[];

interface Reference {
  readonly refType: 'CHILD_OF' | 'FOLLOWS_FROM';
  readonly traceID: string;
  readonly spanID: string;
}

/** What Jaeger's HTTP API answers, as far as we use it. */
interface RawTrace {
  readonly processes: Record<string, { serviceName: string }>;
  readonly spans: readonly {
    readonly traceID: string;
    readonly spanID: string;
    readonly operationName: string;
    readonly processID: string;
    readonly references: readonly Reference[];
    readonly startTime: number;
    readonly duration: number;
    readonly tags: readonly { key: string; value: unknown }[];
  }[];
}

function readTrace({ spans, processes }: RawTrace): Trace {
  return spans.map(({ traceID, spanID, operationName, processID, references, startTime, duration, tags }) => {
    const parent = references.find(({ refType, traceID: id }) => refType === 'CHILD_OF' && id === traceID)?.spanID;
    return {
      id: spanID,
      traceId: traceID,
      parent,
      service: processes[processID]!.serviceName,
      name: operationName,
      start: startTime,
      durationMs: duration / 1000,
      attributes: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
      linked: references.filter(({ spanID: id }) => id !== parent).map(({ traceID: id }) => id),
    };
  });
}

async function ask(jaeger: Jaeger, path: string): Promise<Trace[]> {
  const response = await fetch(`${jaeger.url}${path}`);
  const { data } = (await response.json()) as { data: RawTrace[] | null };
  return (data ?? []).map(readTrace);
}

/** The spans that Jaeger has of a trace; none: it does not know it. */
export async function traceOf(jaeger: Jaeger, traceId: string): Promise<Trace> {
  return (await ask(jaeger, `/api/traces/${traceId}`))[0] ?? [];
}

/** Traces with a span of this service that has these attributes, and is at least so long: `5s`. */
export function findTraces(
  jaeger: Jaeger,
  { service, minDuration, tags = {} }: { service: string; minDuration?: string; tags?: Record<string, string> },
): Promise<Trace[]> {
  const query = new URLSearchParams({ service, limit: '1000', lookback: '1h', tags: JSON.stringify(tags) });
  if (minDuration !== undefined) query.set('minDuration', minDuration);
  return ask(jaeger, `/api/traces?${query.toString()}`);
}

export const servicesOf = (trace: Trace) => [...new Set(trace.map(({ service }) => service))].sort();

/** Spans whose parent is not in the trace. Of a trace that is whole: one. */
export function rootsOf(trace: Trace): Trace {
  const ids = new Set(trace.map(({ id }) => id));
  return trace.filter(({ parent }) => parent === undefined || !ids.has(parent));
}

/** The spans above one, the nearest first. */
export function ancestorsOf(trace: Trace, span: Span): Span[] {
  const byId = new Map(trace.map((each) => [each.id, each]));
  const found: Span[] = [];
  for (let at = byId.get(span.parent ?? ''); at !== undefined; at = byId.get(at.parent ?? '')) found.push(at);
  return found;
}

/** A line for each span: when it began after the first one, how long it took, and where it is in the tree. */
export function treeOf(trace: Trace): string[] {
  const begin = Math.min(...trace.map(({ start }) => start));
  const ms = (value: number) => `${value.toFixed(1)} ms`.padStart(11);
  const lines: string[] = [`${'after'.padStart(11)} ${'duration'.padStart(11)}`];
  const walk = (span: Span, depth: number) => {
    const what = `${'  '.repeat(depth)}${span.name}  [${span.service}]`;
    lines.push(`${ms((span.start - begin) / 1000)} ${ms(span.durationMs)}  ${what}`);
    const children = trace.filter(({ parent }) => parent === span.id).sort((a, b) => a.start - b.start);
    for (const child of children) walk(child, depth + 1);
  };
  for (const root of rootsOf(trace)) walk(root, 0);
  return lines;
}
