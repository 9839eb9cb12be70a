import type { Logger } from '../logging.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import type { Consumer, IncomingRecord } from './consumer.js';
import { positionsAfter } from './offset-tracker.js';

export interface BatchLoopOptions {
  readonly batchMax: number;
  readonly attemptTimeoutMs: number;
  readonly slowMs: number;
  readonly logEachBatch: boolean;
  readonly logger: Logger;
  /** Must have no effect beyond the first when it is called again with the same records. */
  readonly handle: (records: readonly IncomingRecord[]) => Promise<void>;
  readonly onFailure?: (error: Error) => void;
}

/**
 * Polls, handles and commits batches one after the other. A batch that fails is tried again with backoff until it
 * succeeds or its partitions are revoked: nothing is skipped, and nothing is committed that was not handled. While it
 * waits, fetching is paused and the group membership stays alive.
 */
export class BatchLoop {
  #working: Promise<void> = Promise.resolve();

  constructor(private readonly options: BatchLoopOptions) {}

  /** Resolves when the batch in hand is done; for the consumer's `onRevoke`. */
  settled = (): Promise<void> => this.#working;

  async run(consumer: Consumer, signal: AbortSignal): Promise<void> {
    const interrupt = () => consumer.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      while (!signal.aborted) {
        const generation = consumer.generation;
        const records = await this.#next(consumer, signal);
        if (records.length === 0) continue;
        // A rebalance during the poll: the records may belong to the partitions of before, and will come again.
        if (generation !== consumer.generation) continue;
        await this.#work(consumer, records, generation, signal);
      }
    } finally {
      signal.removeEventListener('abort', interrupt);
    }
  }

  async #next(consumer: Consumer, signal: AbortSignal): Promise<IncomingRecord[]> {
    try {
      return await consumer.poll(this.options.batchMax);
    } catch (error) {
      this.options.onFailure?.(error as Error);
      this.options.logger.warn({ err: error }, 'Kafka could not be read; trying again in 1 s');
      await wait(1000, signal);
      return [];
    }
  }

  async #work(consumer: Consumer, records: IncomingRecord[], generation: number, signal: AbortSignal): Promise<void> {
    const { logger, slowMs } = this.options;
    const started = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      const error = await this.#attempt(consumer, records, generation);
      if (error === undefined) break;
      this.options.onFailure?.(error);
      const waitMs = 100 + backoffMs(attempt, 200, 5000);
      logger.warn(
        { err: error, records: records.length, attempt: attempt + 1, waitMs: Math.round(waitMs) },
        'a batch failed and will be tried again',
      );
      await consumer.idle(waitMs, signal);
      if (signal.aborted || consumer.generation !== generation) break;
    }
    const ms = performance.now() - started;
    if (ms > slowMs) logger.warn({ records: records.length, ms: Math.round(ms), slowMs }, 'slow processing');
    else if (this.options.logEachBatch)
      logger.debug({ records: records.length, ms: Math.round(ms) }, 'batch processed');
  }

  async #attempt(consumer: Consumer, records: IncomingRecord[], generation: number): Promise<Error | undefined> {
    const work = withTimeout(this.options.handle(records), this.options.attemptTimeoutMs, 'processing a batch').then(
      () => {
        void consumer.commit(positionsAfter(records), generation);
      },
    );
    this.#working = work.catch(() => undefined);
    return work.then(
      () => undefined,
      (error: Error) => error,
    );
  }
}
