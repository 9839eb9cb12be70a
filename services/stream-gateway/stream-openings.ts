import { Batcher } from '../lib/batcher.js';
import type { Queryable } from '../lib/postgres.js';
import { type StreamOpening, streamOpenings } from '../store/stream-openings.js';
import { tooManyStreams } from './stream-errors.js';

/** Users of one statement. */
const BATCH_MAX = 500;
/** Statements at once. */
const READERS = 2;

interface Waiting {
  readonly userId: string;
  readonly resolve: (opening: StreamOpening | undefined) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Looks up what streams begin from, in one statement for all that came while the last ones ran: when a gateway dies,
 * tens of thousands of its clients come to another one at once.
 */
export class StreamOpenings {
  readonly #waiting: Waiting[] = [];
  readonly #readers = new Batcher<Waiting>({
    workersMax: () => READERS,
    take: () => this.#waiting.splice(0, BATCH_MAX),
    work: (batch) => this.#lookUp(batch),
  });

  constructor(
    private readonly database: Queryable,
    private readonly max: number,
    /** Told how many others shared a statement that failed. */
    private readonly onSharedFailure: (error: unknown, others: number) => void = () => undefined,
  ) {}

  /** Streams that wait to be looked up. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * @returns undefined if the user is not in the directory
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait already
   */
  find(userId: string): Promise<StreamOpening | undefined> {
    if (this.#waiting.length >= this.max) throw tooManyStreams(this.max);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ userId, resolve, reject });
      this.#readers.wake();
    });
  }

  async #lookUp(batch: readonly Waiting[]): Promise<void> {
    try {
      const openings = await streamOpenings(this.database, [...new Set(batch.map(({ userId }) => userId))]);
      for (const { userId, resolve } of batch) resolve(openings.get(userId));
    } catch (error) {
      this.onSharedFailure(error, batch.length - 1);
      for (const { reject } of batch) reject(error as Error);
    }
  }
}
