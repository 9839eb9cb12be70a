// What processes hold resident, from /proc: Linux only.
import { readFileSync } from 'node:fs';

const INTERVAL_MS = 200;

function megabytes(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // it has ended
  }
}

export interface Held {
  /** When the watch began. */
  readonly before: number;
  /** Of the process's whole life, as the kernel keeps it. */
  readonly peak: number;
  readonly after: number;
  readonly mean: number;
}

/** Samples the resident memory of processes until it is stopped. */
export class MemoryWatch {
  readonly #samples = new Map<string, number[]>();
  readonly #peaks = new Map<string, number>();
  readonly #timer = setInterval(() => this.#sample(), INTERVAL_MS);

  constructor(private readonly pids: Readonly<Record<string, number>>) {
    this.#sample();
  }

  #sample(): void {
    for (const [name, pid] of Object.entries(this.pids)) {
      const samples = this.#samples.get(name) ?? [];
      samples.push(megabytes(pid, 'VmRSS'));
      this.#samples.set(name, samples);
      this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, megabytes(pid, 'VmHWM')));
    }
  }

  stop(): Map<string, Held> {
    clearInterval(this.#timer);
    this.#sample();
    return new Map(
      [...this.#samples].map(([name, samples]) => [
        name,
        {
          before: samples[0]!,
          peak: this.#peaks.get(name)!,
          after: samples.at(-1)!,
          mean: samples.reduce((sum, value) => sum + value, 0) / samples.length,
        },
      ]),
    );
  }
}
