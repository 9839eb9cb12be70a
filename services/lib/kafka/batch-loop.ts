import type { Logger } from '../logging.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import type { Consumer, IncomingRecord } from './consumer.js';
import { partitionName } from './incoming-record.js';
import { SUSPECT_WAIT_MS, type WaitingKey } from './set-aside.js';
import type { Handled, Triage } from './triage.js';

/** From so many tries on, some 0.6 s, a key waits in line: what others hold in turn is never found free by chance. */
const PATIENT_AFTER = 5;

export interface BatchLoopOptions {
  readonly batchMax: number;
  readonly attemptTimeoutMs: number;
  /** Told of each batch and how long it took; returns whether that was too long. */
  readonly onProcessed: (ms: number, records: readonly IncomingRecord[]) => boolean;
  readonly logEachBatch: boolean;
  readonly logger: Logger;
  /**
   * Must have no effect beyond the first when it is called again with the same records, alone or with others. Two calls
   * may run at once; they share no key.
   * @param patient these, of one key, may wait in line for what somebody else holds, about a second
   */
  readonly handle: (records: readonly IncomingRecord[], patient: boolean) => Promise<Handled>;
  readonly onFailure?: (error: Error) => void;
}

/** Who reads, whose records those are, and until when. */
interface Reading {
  readonly consumer: Consumer;
  readonly triage: Triage;
  readonly generation: number;
  readonly signal: AbortSignal;
}

/**
 * Polls, handles and commits batches one after the other; in an outage the same one again. Triage sorts out what is one
 * record's fault, and what has to wait is set aside. Only what was handled or dead-lettered is committed.
 */
export class BatchLoop {
  #working: Promise<unknown> = Promise.resolve();
  /** A try of what was set aside. */
  #trying: Promise<unknown> = Promise.resolve();
  #aside: Promise<void> | undefined;
  #generation = -1;
  /** What was committed last, by partition. */
  readonly #committed = new Map<string, number>();

  constructor(private readonly options: BatchLoopOptions) {}

  /** Resolves when the batch in hand is done; for the consumer's `onRevoke`. */
  settled = async (): Promise<void> => {
    await Promise.all([this.#working, this.#trying]);
  };

  async run(consumer: Consumer, triage: Triage, signal: AbortSignal): Promise<void> {
    const interrupt = () => consumer.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      while (!signal.aborted) {
        const records = await this.#next(consumer, signal);
        const { generation } = consumer;
        this.#forgetRevoked(triage, generation);
        if (records.length > 0) await this.#take({ consumer, triage, generation, signal }, records);
      }
    } finally {
      signal.removeEventListener('abort', interrupt);
      await this.#aside;
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

  /** After a rebalance what waits belongs to whoever reads its partitions now. */
  #forgetRevoked(triage: Triage, generation: number): void {
    if (generation === this.#generation) return;
    triage.setAside.clear();
    this.#committed.clear();
    this.#generation = generation;
  }

  async #take(reading: Reading, records: readonly IncomingRecord[]): Promise<void> {
    const { taken, now, refused } = reading.triage.setAside.admit(records);
    for (const record of refused) reading.consumer.park(record, SUSPECT_WAIT_MS);
    if (now.length === 0) this.#finish(reading, taken, []);
    else await this.#work(reading, now, taken);
  }

  /** What was taken is handled, but for what has to wait. */
  #finish(reading: Reading, taken: readonly IncomingRecord[], waiting: readonly IncomingRecord[]): void {
    const { consumer, triage, generation } = reading;
    if (consumer.generation !== generation) return;
    triage.setAside.add(taken, waiting);
    this.#commit(reading);
    if (triage.setAside.size > 0) this.#aside ??= this.#serveAside(reading);
  }

  #commit({ consumer, triage, generation }: Reading): void {
    const moved = triage.setAside
      .positions()
      .filter((position) => this.#committed.get(partitionName(position)) !== position.offset);
    for (const position of moved) this.#committed.set(partitionName(position), position.offset);
    consumer.commit(moved, generation);
  }

  async #work(reading: Reading, batch: readonly IncomingRecord[], taken: readonly IncomingRecord[]): Promise<void> {
    const { consumer, triage, generation, signal } = reading;
    const { logger, onProcessed, logEachBatch } = this.options;
    const started = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      const error = await this.#attempt(reading, batch, taken);
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
    reading: Reading,
    batch: readonly IncomingRecord[],
    taken: readonly IncomingRecord[],
  ): Promise<Error | undefined> {
    const { consumer, triage, signal } = reading;
    let error: Error | undefined;
    let ended = false;
    this.#working = triage
      .process(batch, (some) => this.#handle(some, false), signal)
      .then((waiting) => this.#finish(reading, taken, waiting))
      .catch((reason: unknown) => {
        error = reason as Error;
      })
      .finally(() => {
        ended = true;
      });
    try {
      await withTimeout(this.#working, this.options.attemptTimeoutMs, 'processing a batch');
    } catch (timeout) {
      this.options.logger.warn({ err: timeout, records: batch.length }, 'waiting for the end of a slow batch');
      while (!ended && !signal.aborted) await consumer.idle(1000, signal);
    }
    return error;
  }

  #handle(records: readonly IncomingRecord[], patient: boolean): Promise<Handled> {
    return this.options.handle(records, patient).catch((reason: unknown) => {
      this.options.onFailure?.(reason as Error);
      throw reason;
    });
  }

  /** Tries what was set aside, beside the batches, until nothing is. */
  async #serveAside({ consumer, triage, signal }: Reading): Promise<void> {
    const { setAside } = triage;
    let failures = 0;
    try {
      while (setAside.size > 0 && !signal.aborted) {
        await wait(setAside.nextInMs, signal);
        const { generation } = consumer;
        this.#forgetRevoked(triage, generation);
        if (signal.aborted) return;
        try {
          await this.#tryAside({ consumer, triage, generation, signal });
          failures = 0;
        } catch (error) {
          const waitMs = 100 + backoffMs(failures, 200, 5000);
          failures += 1;
          this.options.logger.warn(
            { err: error, records: setAside.size, waitMs: Math.round(waitMs) },
            'records that were set aside failed and will be tried again',
          );
          await wait(waitMs, signal);
        }
      }
    } finally {
      // Before the promise resolves, or what is added in between starts no new run.
      this.#aside = undefined;
    }
  }

  async #tryAside(reading: Reading): Promise<void> {
    const { triage } = reading;
    const due = triage.setAside.due();
    const suspects = due.filter(({ records }) => triage.isSuspect(records[0]!));
    const others = due.filter((key) => !suspects.includes(key));
    for (const key of suspects) await this.#try(reading, [key], key.records.slice(0, 1), false);
    const together = others.flatMap(({ records }) => records).slice(0, this.options.batchMax);
    await this.#try(reading, others, together, false);
    const [stubborn] = others
      .filter(({ tries }) => tries >= PATIENT_AFTER)
      .sort((a, b) => a.inLineAt - b.inLineAt || a.since - b.since);
    if (stubborn === undefined) return;
    stubborn.inLineAt = performance.now();
    await this.#try(reading, [stubborn], stubborn.records.slice(0, this.options.batchMax), true);
  }

  async #try(
    reading: Reading,
    keys: readonly WaitingKey[],
    records: readonly IncomingRecord[],
    patient: boolean,
  ): Promise<void> {
    if (records.length === 0) return;
    const { consumer, triage, generation, signal } = reading;
    const trial = triage
      .process(records, (some) => this.#handle(some, patient), signal, 1)
      .then((waiting) => {
        if (consumer.generation !== generation) return;
        const tried = new Set(records);
        const still = new Set(waiting);
        for (const key of keys) if (tried.has(key.records[0]!)) triage.setAside.settle(key, tried, still);
        for (const key of keys) if (key.tries === PATIENT_AFTER && !patient) this.#tellOf(key);
        this.#commit(reading);
      });
    this.#trying = trial.catch(() => undefined);
    await trial;
  }

  #tellOf({ records }: WaitingKey): void {
    const { topic, partition, offset, key } = records[0]!;
    this.options.logger.warn(
      { topic, partition, offset, key, records: records.length },
      'records of a key wait, as somebody holds what they need; the others go on',
    );
  }
}
