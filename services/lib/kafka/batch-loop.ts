import type { Logger } from '../logging.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import type { Consumer, IncomingRecord } from './consumer.js';
import { positionsAfter } from './offset-tracker.js';
import type { Triage } from './triage.js';

/** How long a partition waits before the record that failed alone in it is tried again. */
export const SUSPECT_WAIT_MS = 1000;

export interface BatchLoopOptions {
  readonly batchMax: number;
  readonly attemptTimeoutMs: number;
  /** Told of each batch and how long it took; returns whether that was too long. */
  readonly onProcessed: (ms: number, records: readonly IncomingRecord[]) => boolean;
  readonly logEachBatch: boolean;
  readonly logger: Logger;
  /**
   * Must have no effect beyond the first when it is called again with the same records, alone or with others.
   * @throws PoisonRecord for a record that no repetition helps; the others of the batch may or may not be handled then
   */
  readonly handle: (records: readonly IncomingRecord[]) => Promise<void>;
  readonly onFailure?: (error: Error) => void;
}

/**
 * Polls, handles and commits batches one after the other. In an outage a batch is tried again with backoff until it
 * succeeds or its partitions are revoked, fetching is paused and the group membership stays alive; what is one record's fault is
 * sorted out by triage. Nothing is committed that was not handled or put among the dead letters.
 */
export class BatchLoop {
  #working: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: BatchLoopOptions) {}

  /** Resolves when the batch in hand is done; for the consumer's `onRevoke`. */
  settled = async (): Promise<void> => {
    await this.#working;
  };

  async run(consumer: Consumer, triage: Triage, signal: AbortSignal): Promise<void> {
    const interrupt = () => consumer.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      while (!signal.aborted) {
        const records = await this.#next(consumer, signal);
        if (records.length > 0) await this.#work(consumer, triage, records, consumer.generation, signal);
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

  async #work(
    consumer: Consumer,
    triage: Triage,
    batch: IncomingRecord[],
    generation: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { logger, onProcessed, logEachBatch } = this.options;
    const started = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      const error = await this.#attempt(consumer, triage, batch, generation, signal);
      if (error === undefined) break;
      this.options.onFailure?.(error);
      // The partitions belong to somebody else now, or came back and start again.
      if (consumer.generation !== generation) break;
      const waitMs = 100 + backoffMs(attempt, 200, 5000);
      triage.noteRetry('outage');
      logger.warn(
        { err: error, records: batch.length, attempt: attempt + 1, waitMs: Math.round(waitMs) },
        'a batch failed and will be tried again',
      );
      await consumer.idle(waitMs, signal);
      if (signal.aborted || consumer.generation !== generation) break;
    }
    const ms = performance.now() - started;
    if (!onProcessed(ms, batch) && logEachBatch)
      logger.debug({ records: batch.length, ms: Math.round(ms) }, 'batch processed');
  }

  /** One attempt. That one takes too long is logged and its end is awaited: a second one beside it would race. */
  async #attempt(
    consumer: Consumer,
    triage: Triage,
    records: IncomingRecord[],
    generation: number,
    signal: AbortSignal,
  ): Promise<Error | undefined> {
    let error: Error | undefined;
    let ended = false;
    const handle = (some: readonly IncomingRecord[]) =>
      this.options.handle(some).catch((reason: unknown) => {
        this.options.onFailure?.(reason as Error);
        throw reason;
      });
    this.#working = triage.sift(records, handle, signal).then(
      (suspects) => {
        ended = true;
        consumer.commit(positionsAfter(records, suspects), generation);
        if (consumer.generation !== generation) return;
        for (const suspect of firstOfEach(suspects)) consumer.park(suspect, SUSPECT_WAIT_MS);
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

/** The first record of each partition. */
function firstOfEach(records: readonly IncomingRecord[]): IncomingRecord[] {
  const first = new Map<string, IncomingRecord>();
  for (const record of records) {
    const name = `${record.topic}-${record.partition}`;
    if ((first.get(name)?.offset ?? Infinity) > record.offset) first.set(name, record);
  }
  return [...first.values()];
}
