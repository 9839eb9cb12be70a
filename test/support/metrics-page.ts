/** One metric of a page of /metrics. */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** What follows a `#` behind the value. */
  readonly exemplar: string | undefined;
}

const SAMPLE = /^(\w+)(?:\{(.*?)\})? ([^ ]+)(?: # (.+))?$/;

/**
 * The metrics of a page by the name in its `# TYPE`, those without samples left out.
 * @throws on a line of another form
 */
export function readPage(page: string): Map<string, Family> {
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  let help = '';
  let current: { type: string; help: string; samples: Sample[] } | undefined;
  for (const line of page.split('\n')) {
    if (line === '' || line === '# EOF') continue;
    const [, keyword, name, text] = /^# (HELP|TYPE) (\w+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') help = text!;
    else if (keyword === 'TYPE') {
      if (families.has(name!)) throw new Error(`${name} is there twice`);
      current = { type: text!, help, samples: [] };
      help = '';
      families.set(name!, current);
    } else current!.samples.push(readSample(line));
  }
  return new Map([...families].filter(([, { samples }]) => samples.length > 0));
}

function readSample(line: string): Sample {
  const found = SAMPLE.exec(line);
  if (found === null) throw new Error(`no sample: ${line}`);
  const [, name, labels = '', value, exemplar] = found;
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((pair) => [pair[1]!, pair[2]!]);
  return {
    name: name!,
    labels: Object.fromEntries(pairs) as Record<string, string>,
    value: Number(value!.replace('Inf', 'Infinity')),
    exemplar,
  };
}
