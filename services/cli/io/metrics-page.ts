/** One line of a page of metrics. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A page in Prometheus's text format, by metric. */
export class MetricsPage {
  readonly #samples = new Map<string, Sample[]>();

  /** @param text lines that are none of the format are passed over */
  constructor(text: string) {
    for (const line of text.split('\n')) {
      const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+(\S+)/.exec(line);
      if (match === null) continue;
      const [, name, labels, number] = match as unknown as [string, string, string | undefined, string];
      const value = number === '+Inf' ? Infinity : number === '-Inf' ? -Infinity : Number(number);
      const sample = { labels: readLabels(labels ?? ''), value };
      const known = this.#samples.get(name);
      if (known === undefined) this.#samples.set(name, [sample]);
      else known.push(sample);
    }
  }

  has(name: string): boolean {
    return this.#samples.has(name);
  }

  /** The lines of a metric; none if it is not there. */
  samples(name: string): readonly Sample[] {
    return this.#samples.get(name) ?? [];
  }

  /** Its values together; undefined if it is not there. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    return this.#labelled(name, labels).reduce<number | undefined>((sum, { value }) => (sum ?? 0) + value, undefined);
  }

  /** The largest of its values; undefined if it is not there. */
  max(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    return this.#labelled(name, labels).reduce<number | undefined>(
      (most, { value }) => Math.max(most ?? value, value),
      undefined,
    );
  }

  #labelled(name: string, labels: Readonly<Record<string, string>>): Sample[] {
    const wanted = Object.entries(labels);
    return this.samples(name).filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value));
  }
}

function readLabels(text: string): Record<string, string> {
  // Without a prototype, so that no label is one of its names.
  const labels = Object.create(null) as Record<string, string>;
  for (const [, key, value] of text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[key!] = value!.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
  }
  return labels;
}

/** Counts of a histogram up to each bound, of all its series together. */
export type Buckets = ReadonlyMap<number, number>;

/** The buckets of a histogram; empty if it is not there. */
export function bucketsOf(page: MetricsPage, name: string): Buckets {
  const buckets = new Map<number, number>();
  for (const { labels, value } of page.samples(`${name}_bucket`)) {
    const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le']);
    buckets.set(bound, (buckets.get(bound) ?? 0) + value);
  }
  return buckets;
}

/**
 * A quantile as Prometheus's histogram_quantile has it: linear within a bucket. Above the last bound it is that bound.
 * @returns undefined if nothing was counted
 */
export function quantile(buckets: Buckets, q: number): number | undefined {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (!(total > 0)) return undefined;
  const rank = q * total;
  let [lower, below] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= rank) {
      if (bound === Infinity) return lower;
      return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return lower;
}
