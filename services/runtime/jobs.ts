import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import type { Metrics } from '../lib/telemetry/metrics.js';

/** What is done again and again: never two runs of one at once, and one that fails time after time shows. */
export class Jobs {
  /** Runs that failed since the last one that did not, by job. */
  readonly #failures = new Map<string, number>();

  constructor(
    private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {}

  /** Runs a job at an interval until the signal aborts. */
  async every(job: string, intervalMs: number, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    if (this.#failures.size === 0) this.#observe();
    this.#failures.set(job, 0);
    await every(
      intervalMs,
      signal,
      async () => {
        await run();
        this.#failures.set(job, 0);
      },
      (error) => {
        const failures = this.#failures.get(job)! + 1;
        this.#failures.set(job, failures);
        this.logger.warn({ err: error, job, failures, intervalMs }, 'a periodic job failed; it is tried again');
      },
    );
  }

  #observe(): void {
    this.metrics.gauge(
      'ssom.job.failures',
      'Runs of a periodic job that failed since the last one that did not, by job.',
      () => [...this.#failures].map(([job, value]) => ({ value, attributes: { job } })),
    );
  }
}
