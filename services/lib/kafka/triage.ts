import { classify, type FailureClass } from '../failure.js';
import type { Logger } from '../logging.js';
import { backoffMs, wait } from '../retry.js';
import { wallClock } from '../wall-clock.js';
import type { IncomingRecord } from './consumer.js';
import type { DeadLetters } from './dead-letters.js';
import { PoisonRecord } from './poison-record.js';

/** A batch failed in a way that is no record's fault; all of it is to be tried again later. */
export class NotTheRecordsFault extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'NotTheRecordsFault';
  }
}

/** Why something is tried again: something that it needs is away, it may work next time, or it fails alone. */
export const RETRY_REASONS = ['outage', 'transient', 'suspect'] as const;
export type RetryReason = (typeof RETRY_REASONS)[number];

export interface TriageOptions {
  readonly deadLetters: DeadLetters;
  /** How often a batch is tried as a whole, and then how often a record may fail alone. */
  readonly attempts: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  readonly logger: Logger;
  readonly onRetry?: (reason: RetryReason) => void;
}

interface Suspect {
  /** Failures alone, each with a success of somebody else behind the one before. */
  strikes: number;
  attempts: number;
  readonly firstFailureAt: number;
  /** What `#successes` was at the last strike. */
  successes: number;
}

/** Records that fail alone, one after the other with no success between them, before another one is asked. */
const FAILURES_IN_A_ROW = 3;
/** Suspects that are remembered; beyond that the oldest starts from zero. */
const SUSPECTS_MAX = 10_000;

/**
 * Finds out which record of a failing batch is at fault, by halving. What can never work goes to the dead letters at once. What
 * fails in an unknown way goes there only after it has failed alone `attempts` times and after each failure some other
 * record has succeeded. What waits for others, or takes too long, is tried again however often: that is no evidence.
 */
export class Triage {
  readonly #suspects = new Map<string, Suspect>();
  /** Records that were handled so far. */
  #successes = 0;
  #failuresInARow = 0;
  #control: () => Promise<void> = () => Promise.resolve();

  constructor(private readonly options: TriageOptions) {}

  /** Something is tried again. */
  noteRetry(reason: RetryReason): void {
    this.options.onRetry?.(reason);
  }

  /** Records that have failed alone and were neither handled nor given up since. */
  get suspects(): number {
    return this.#suspects.size;
  }

  /**
   * Handles records, however they have to be divided. Afterwards each is handled, dead, or in the list that is returned: those
   * are to be tried again after a while, and nothing behind them in their partitions may be committed.
   * @throws NotTheRecordsFault in an outage; what was handled may be handled again
   */
  async sift(
    records: readonly IncomingRecord[],
    handle: (records: readonly IncomingRecord[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<IncomingRecord[]> {
    this.#failuresInARow = 0;
    // A record that is picked by chance: whether it works tells a few bad neighbours from an outage that looks otherwise.
    this.#control = async () => {
      const unsuspected = records.filter((record) => !this.#suspects.has(nameOf(record)));
      const candidates = unsuspected.length > 0 ? unsuspected : records;
      await handle([candidates[Math.floor(Math.random() * candidates.length)]!]);
      this.#successes += 1;
      this.#failuresInARow = 0;
    };
    return this.#sift(records, handle, signal, this.options.attempts);
  }

  async #sift(
    records: readonly IncomingRecord[],
    handle: (records: readonly IncomingRecord[]) => Promise<void>,
    signal: AbortSignal,
    attempts: number,
  ): Promise<IncomingRecord[]> {
    const { logger, backoffBaseMs, backoffCapMs } = this.options;
    let rest = [...records];
    for (let attempt = 1; rest.length > 0; attempt += 1) {
      let error: Error;
      try {
        await handle(rest);
        this.#handled(rest);
        return [];
      } catch (reason) {
        error = reason as Error;
      }
      const failure = classify(error);
      if (failure === 'outage') throw new NotTheRecordsFault(error);
      if (error instanceof PoisonRecord) {
        const { record } = error;
        await this.#bury(record, error, attempt);
        rest = rest.filter((each) => each !== record);
        attempt -= 1;
        continue;
      }
      // Known to be the values' fault, and not yet whose: dividing finds it, waiting does not.
      if (failure !== 'poison' && attempt < attempts) {
        this.noteRetry('transient');
        logger.warn({ err: error, records: rest.length, attempt, attempts }, 'a batch failed and is tried again');
        await wait(backoffMs(attempt - 1, backoffBaseMs, backoffCapMs), signal);
        continue;
      }
      if (rest.length === 1) return this.#judge(rest[0]!, error, failure);
      const middle = rest.length >> 1;
      return [
        ...(await this.#sift(rest.slice(0, middle), handle, signal, 1)),
        ...(await this.#sift(rest.slice(middle), handle, signal, 1)),
      ];
    }
    return [];
  }

  #handled(records: readonly IncomingRecord[]): void {
    this.#successes += records.length;
    this.#failuresInARow = 0;
    if (this.#suspects.size > 0) for (const record of records) this.#suspects.delete(nameOf(record));
  }

  /** A record failed alone. */
  async #judge(
    record: IncomingRecord,
    error: Error,
    failure: Exclude<FailureClass, 'outage'>,
  ): Promise<IncomingRecord[]> {
    if (failure === 'poison') {
      await this.#bury(record, error, 1);
      return [];
    }
    const name = nameOf(record);
    const suspect = this.#suspects.get(name) ?? {
      strikes: 0,
      attempts: 0,
      firstFailureAt: wallClock(),
      successes: -1,
    };
    suspect.attempts += 1;
    if (failure === 'transient' && this.#successes > suspect.successes) suspect.strikes += 1;
    suspect.successes = this.#successes;
    this.#suspects.set(name, suspect);
    if (this.#suspects.size > SUSPECTS_MAX) this.#suspects.delete(this.#suspects.keys().next().value!);
    // The first strike needs no success before it, so one more than the attempts proves that many successes.
    if (suspect.strikes > this.options.attempts) {
      await this.#bury(record, error, suspect.attempts, 'exhausted', suspect.firstFailureAt);
      return [];
    }
    this.#failuresInARow += 1;
    if (this.#failuresInARow >= FAILURES_IN_A_ROW) {
      await this.#control().catch(() => {
        throw new NotTheRecordsFault(error);
      });
    }
    this.noteRetry('suspect');
    const { topic, partition, offset } = record;
    this.options.logger.warn(
      { err: error, topic, partition, offset, strikes: suspect.strikes, attempts: suspect.attempts },
      'a record fails alone; its partition waits, the others go on',
    );
    return [record];
  }

  async #bury(
    record: IncomingRecord,
    error: Error,
    attempts: number,
    errorClass: 'poison' | 'exhausted' = 'poison',
    firstFailureAt = wallClock(),
  ): Promise<void> {
    try {
      await this.options.deadLetters.send(record, {
        errorClass,
        error,
        attempts,
        firstFailureAt,
        lastFailureAt: wallClock(),
      });
    } catch (failure) {
      throw new NotTheRecordsFault(failure as Error);
    }
    this.#suspects.delete(nameOf(record));
  }

  /** Forgets what was suspected: the partitions are somebody else's now. */
  clear(): void {
    this.#suspects.clear();
  }
}

function nameOf({ topic, partition, offset }: IncomingRecord): string {
  return `${topic}-${partition}@${offset}`;
}
