import { peakMb, residentMb } from '../frame/processes.js';

const INTERVAL_MS = 200;

export interface Held {
  /** When the watch began. */
  readonly before: number;
  /** See `peakMb`. */
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
      samples.push(residentMb(pid));
      this.#samples.set(name, samples);
      this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, peakMb(pid)));
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
