import type { Queryable } from '../lib/postgres.js';
import { streamOpenings, type StreamOpening } from '../store/stream-openings.js';
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
 * Looks up what streams begin from, many in one statement: those that came while the last one ran. When a gateway dies, the
 * clients of another one come at once, and one by one they would be some ten thousands of queries before the first is live.
 */
export class StreamOpenings {
  readonly #waiting: Waiting[] = [];
  #running = 0;

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
      if (this.#running >= READERS) return;
      this.#running += 1;
      // Those of the same packet come along.
      setImmediate(() => void this.#work());
    });
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      try {
        const userIds = [...new Set(batch.map(({ userId }) => userId))];
        const openings = await streamOpenings(this.database, userIds);
        for (const { userId, resolve } of batch) resolve(openings.get(userId));
      } catch (error) {
        this.onSharedFailure(error, batch.length - 1);
        for (const { reject } of batch) reject(error as Error);
      }
    }
    this.#running -= 1;
  }
}
