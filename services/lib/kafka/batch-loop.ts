import type { Logger } from '../logging.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import type { Consumer, IncomingRecord } from './consumer.js';
import { positionsAfter } from './offset-tracker.js';
import { PoisonRecord } from './poison-record.js';

/** How long a partition waits before its poison record is tried again: somebody may have mended what it needs. */
export const PARK_MS = 10_000;

export interface BatchLoopOptions {
  readonly batchMax: number;
  readonly attemptTimeoutMs: number;
  readonly slowMs: number;
  readonly logEachBatch: boolean;
  readonly logger: Logger;
  /**
   * Must have no effect beyond the first when it is called again with the same records.
   * @throws PoisonRecord for a record that no repetition helps; its partition is then set aside
   */
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
        const records = await this.#next(consumer, signal);
        if (records.length > 0) await this.#work(consumer, records, consumer.generation, signal);
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

  async #work(consumer: Consumer, batch: IncomingRecord[], generation: number, signal: AbortSignal): Promise<void> {
    const { logger, slowMs, logEachBatch } = this.options;
    const started = performance.now();
    let records = batch;
    for (let attempt = 0; records.length > 0; attempt += 1) {
      const error = await this.#attempt(consumer, records, generation, signal);
      if (error === undefined) break;
      this.options.onFailure?.(error);
      // The partitions belong to somebody else now, or came back and start again.
      if (consumer.generation !== generation) break;
      if (error instanceof PoisonRecord) {
        logger.error(
          { err: error, retryMs: PARK_MS },
          'a record cannot be handled; its partition waits, the others go on',
        );
        consumer.park(error.record, PARK_MS);
        records = records.filter((record) => !isBehind(record, error.record));
        continue;
      }
      const waitMs = 100 + backoffMs(attempt, 200, 5000);
      logger.warn(
        { err: error, records: records.length, attempt: attempt + 1, waitMs: Math.round(waitMs) },
        'a batch failed and will be tried again',
      );
      await consumer.idle(waitMs, signal);
      if (signal.aborted || consumer.generation !== generation) break;
    }
    const ms = performance.now() - started;
    if (ms > slowMs) logger.warn({ records: batch.length, ms: Math.round(ms), slowMs }, 'slow processing');
    else if (logEachBatch) logger.debug({ records: batch.length, ms: Math.round(ms) }, 'batch processed');
  }

  /** One attempt. That one takes too long is logged and its end is awaited: a second one beside it would race. */
  async #attempt(
    consumer: Consumer,
    records: IncomingRecord[],
    generation: number,
    signal: AbortSignal,
  ): Promise<Error | undefined> {
    let error: Error | undefined;
    let ended = false;
    this.#working = this.options.handle(records).then(
      () => {
        ended = true;
        consumer.commit(positionsAfter(records), generation);
      },
      (reason: unknown) => {
        ended = true;
        error = reason as Error;
      },
    );
    try {
      await withTimeout(this.#working, this.options.attemptTimeoutMs, 'processing a batch');
    } catch (timeout) {
      this.options.logger.warn({ err: timeout, records: records.length }, 'waiting for the end of a slow batch');
      while (!ended && !signal.aborted) await consumer.idle(1000, signal);
    }
    return error;
  }
}

/** Whether a record lies at or behind another one in the same partition. */
function isBehind(record: IncomingRecord, other: IncomingRecord): boolean {
  return record.topic === other.topic && record.partition === other.partition && record.offset >= other.offset;
}
