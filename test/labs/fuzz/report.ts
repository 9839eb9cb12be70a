export interface Failure {
  readonly part: string;
  readonly what: string;
  readonly input: string;
}

/** Enough to find a cause; a product that is broken throughout fails each input. */
const FAILURES_KEPT = 20;
const INPUT_SHOWN = 250;

/** What was fed, what became of it, and what should not have. */
export class Report {
  /** By part, then by kind and outcome. */
  readonly counts = new Map<string, Map<string, number>>();
  readonly failures: Failure[] = [];
  inputs = 0;
  failed = 0;

  input(part: string, kind: string, outcome: string): void {
    this.inputs += 1;
    this.note(part, `${kind}: ${outcome}`);
  }

  note(part: string, what: string, count = 1): void {
    let counts = this.counts.get(part);
    if (counts === undefined) this.counts.set(part, (counts = new Map<string, number>()));
    counts.set(what, (counts.get(what) ?? 0) + count);
  }

  fail(part: string, what: string, input: unknown): void {
    this.failed += 1;
    if (this.failures.length < FAILURES_KEPT) this.failures.push({ part, what, input: show(input) });
  }

  table(): string {
    const lines: string[] = [];
    for (const [part, counts] of this.counts) {
      lines.push('', part);
      for (const [what, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
        lines.push(`  ${String(count).padStart(7)}  ${what}`);
    }
    for (const { part, what, input } of this.failures) lines.push('', `FAILED ${part}: ${what}`, `  input: ${input}`);
    return lines.join('\n');
  }
}

function show(input: unknown): string {
  const text = Buffer.isBuffer(input)
    ? `${input.length} bytes, base64 ${input.subarray(0, INPUT_SHOWN).toString('base64')}`
    : typeof input === 'string'
      ? input
      : JSON.stringify(input, (_key, value: unknown) => (isBufferJson(value) ? showBytes(value) : value));
  return text.length > INPUT_SHOWN ? `${text.slice(0, INPUT_SHOWN)}… (${text.length} characters)` : text;
}

function isBufferJson(value: unknown): value is { data: number[] } {
  return (value as { type?: unknown } | null)?.type === 'Buffer';
}

function showBytes({ data }: { data: number[] }): string {
  return `${data.length} bytes, base64 ${Buffer.from(data.slice(0, 200)).toString('base64')}`;
}
