import type { Logger } from '../logging.js';
import { backoffMs, wait } from '../retry.js';
import { wallClock } from '../wall-clock.js';
import type { IncomingRecord } from './consumer.js';
import type { DeadLetters } from './dead-letters.js';
import { classify } from './failure.js';
import type { PoisonRecord } from './poison-record.js';
import { keyOf, SetAside } from './set-aside.js';

/** A batch failed in a way that is no record's fault; all of it is to be tried again later. */
export class NotTheRecordsFault extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'NotTheRecordsFault';
  }
}

/** Why something is tried again: what it needs is away, or held by others; it may work next time; or it fails alone. */
export const RETRY_REASONS = ['outage', 'contention', 'transient', 'suspect'] as const;
export type RetryReason = (typeof RETRY_REASONS)[number];

/** What became of records; the others are handled. */
export interface Handled {
  /** Those that no repetition helps. */
  readonly refused: readonly PoisonRecord[];
  /**
   * Those that have to wait, all of a key from the first on, as somebody holds what they need. Refused ones may be
   * among them.
   */
  readonly held: readonly IncomingRecord[];
}

export type Handle = (records: readonly IncomingRecord[]) => Promise<Handled>;

/** What the parts of one batch have in common. */
interface Batch {
  readonly handle: Handle;
  readonly signal: AbortSignal;
  /** Keys of which a record waits: what follows must not overtake it. */
  readonly held: Set<string>;
  /** Records that failed alone, one after the other with no success between them. */
  failuresInARow: number;
  /**
   * Handles a record that is picked by chance: whether it works tells a few bad neighbours from an outage that looks
   * otherwise.
   */
  readonly control: () => Promise<void>;
}

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
 * Finds out by halving which record of a failing batch is at fault: one that can never work, or has failed alone
 * `attempts` times while others succeeded. A time-out, a lock, a deadlock is no evidence: it waits.
 */
export class Triage {
  readonly #suspects = new Map<string, Suspect>();
  /** Records that were handled so far. */
  #successes = 0;
  /** What waits while others go on. */
  readonly setAside = new SetAside((record) => this.isSuspect(record));

  constructor(private readonly options: TriageOptions) {}

  /** Something is tried again. */
  noteRetry(reason: RetryReason): void {
    this.options.onRetry?.(reason);
  }

  /** Records that have failed alone and were neither handled nor given up since. */
  get suspects(): number {
    return this.#suspects.size;
  }

  isSuspect(record: IncomingRecord): boolean {
    return this.#suspects.has(nameOf(record));
  }

  /**
   * Handles records, however they have to be divided. Those that are returned, and what follows of their keys, are to
   * be tried again after a while; nothing behind them may be committed. The others are handled, or dead.
   * @param attempts how often they are tried as a whole
   * @throws NotTheRecordsFault in an outage; what was handled may be handled again
   */
  async process(
    records: readonly IncomingRecord[],
    handle: Handle,
    signal: AbortSignal,
    attempts = this.options.attempts,
  ): Promise<IncomingRecord[]> {
    const batch: Batch = {
      handle,
      signal,
      held: new Set(),
      failuresInARow: 0,
      control: async () => {
        // The first of a key: a later one would overtake it.
        const first = firstOfKeys(records);
        const others = first.filter((record) => !batch.held.has(keyOf(record)) && !this.isSuspect(record));
        const candidates = others.length > 0 ? others : first;
        const { refused, held } = await handle([candidates[Math.floor(Math.random() * candidates.length)]!]);
        // It tells nothing of what the others need.
        if (refused[0] !== undefined) throw refused[0];
        this.#successes += 1 - held.length;
        batch.failuresInARow = 0;
      },
    };
    return this.#bisect(records, batch, attempts);
  }

  /** Handles records together; if they fail, each half by itself. @returns as `process` does */
  async #bisect(records: readonly IncomingRecord[], batch: Batch, attempts: number): Promise<IncomingRecord[]> {
    const { logger, backoffBaseMs, backoffCapMs } = this.options;
    const { held } = batch;
    const waiting = held.size === 0 ? [] : records.filter((record) => held.has(keyOf(record)));
    const rest = held.size === 0 ? records : records.filter((record) => !held.has(keyOf(record)));
    for (let attempt = 1; rest.length > 0; attempt += 1) {
      let error: Error;
      try {
        const { refused, held: heldOrRefused } = await batch.handle(rest);
        for (const poison of refused) await this.#deadLetter(poison.record, poison, attempt);
        // One that is refused waits for nothing, also where somebody holds its user's inbox.
        const dead = new Set(refused.map(({ record }) => record));
        const outcome = { refused, held: heldOrRefused.filter((record) => !dead.has(record)) };
        this.#noteHandled(rest, outcome, batch);
        return [...waiting, ...outcome.held];
      } catch (reason) {
        if (reason instanceof NotTheRecordsFault) throw reason;
        error = reason as Error;
      }
      const failure = classify(error);
      if (failure === 'outage') throw new NotTheRecordsFault(error);
      // Known to be the values' fault, and not yet whose: dividing finds it, waiting does not.
      if (failure !== 'poison' && attempt < attempts) {
        this.noteRetry(failure);
        logger.warn({ err: error, records: rest.length, attempt, attempts }, 'a batch failed and is tried again');
        await wait(backoffMs(attempt - 1, backoffBaseMs, backoffCapMs), batch.signal);
        continue;
      }
      if (rest.length === 1) return [...waiting, ...(await this.#judge(rest[0]!, error, failure, batch))];
      const middle = rest.length >> 1;
      return [
        ...waiting,
        ...(await this.#bisect(rest.slice(0, middle), batch, 1)),
        ...(await this.#bisect(rest.slice(middle), batch, 1)),
      ];
    }
    return waiting;
  }

  #noteHandled(records: readonly IncomingRecord[], { refused, held }: Handled, batch: Batch): void {
    // That records are refused says nothing of whether others can be handled.
    if (refused.length === records.length) return;
    this.#successes += records.length - refused.length - held.length;
    batch.failuresInARow = 0;
    if (held.length > 0) this.noteRetry('contention');
    for (const record of held) batch.held.add(keyOf(record));
    if (this.#suspects.size === 0) return;
    const waiting = new Set(held);
    for (const record of records) if (!waiting.has(record)) this.#suspects.delete(nameOf(record));
  }

  /** A record failed alone. */
  async #judge(
    record: IncomingRecord,
    error: Error,
    failure: 'poison' | 'contention' | 'transient',
    batch: Batch,
  ): Promise<IncomingRecord[]> {
    if (failure === 'poison') {
      await this.#deadLetter(record, error, 1);
      return [];
    }
    const suspect = failure === 'transient' ? this.#strike(record) : undefined;
    // The first strike needs no success before it, so one more than the attempts proves that many successes.
    if (suspect !== undefined && suspect.strikes > this.options.attempts) {
      await this.#deadLetter(record, error, suspect.attempts, 'exhausted', suspect.firstFailureAt);
      return [];
    }
    batch.held.add(keyOf(record));
    batch.failuresInARow += 1;
    if (batch.failuresInARow >= FAILURES_IN_A_ROW) {
      await batch.control().catch(() => {
        throw new NotTheRecordsFault(error);
      });
    }
    this.noteRetry(suspect === undefined ? 'contention' : 'suspect');
    const { topic, partition, offset } = record;
    this.options.logger.warn(
      { err: error, topic, partition, offset, strikes: suspect?.strikes, attempts: suspect?.attempts },
      'a record fails alone; what follows of its key waits, the others go on',
    );
    return [record];
  }

  #strike(record: IncomingRecord): Suspect {
    const name = nameOf(record);
    const suspect = this.#suspects.get(name) ?? {
      strikes: 0,
      attempts: 0,
      firstFailureAt: wallClock(),
      successes: -1,
    };
    suspect.attempts += 1;
    if (this.#successes > suspect.successes) suspect.strikes += 1;
    suspect.successes = this.#successes;
    this.#suspects.set(name, suspect);
    if (this.#suspects.size > SUSPECTS_MAX) this.#suspects.delete(this.#suspects.keys().next().value!);
    return suspect;
  }

  async #deadLetter(
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
}

/** The first record of each key. */
function firstOfKeys(records: readonly IncomingRecord[]): IncomingRecord[] {
  const first = new Map<string, IncomingRecord>();
  for (const record of records) if (!first.has(keyOf(record))) first.set(keyOf(record), record);
  return [...first.values()];
}

function nameOf({ topic, partition, offset }: IncomingRecord): string {
  return `${topic}-${partition}@${offset}`;
}
