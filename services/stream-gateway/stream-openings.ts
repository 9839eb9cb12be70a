import { Batcher } from '../lib/batcher.js';
import type { Queryable } from '../lib/postgres.js';
import { streamOpenings, type StreamOpening } from '../store/stream-openings.js';
import { tooManyStreams } from './stream-errors.js';

/** Users of one statement. */
const BATCH_MAX = 500;
/** Statements at once. */
const READERS = 2;

/**
 * Looks up what streams begin from, in one statement for all that came while the last ones ran. When a gateway dies,
 * its clients come to another one at once: one by one they would be tens of thousands of queries before the first is
 * live.
 */
export class StreamOpenings {
  readonly #lookUps: Batcher<string, StreamOpening | undefined>;

  constructor(
    private readonly database: Queryable,
    max: number,
    /** Told how many others shared a statement that failed. */
    private readonly onSharedFailure: (error: unknown, others: number) => void = () => undefined,
  ) {
    this.#lookUps = new Batcher({
      workersMax: READERS,
      waitingMax: max,
      full: () => tooManyStreams(max),
      batchMax: BATCH_MAX,
      work: (userIds) => this.#lookUp(userIds),
    });
  }

  /** Streams that wait to be looked up. */
  get waiting(): number {
    return this.#lookUps.waiting;
  }

  /**
   * @returns undefined if the user is not in the directory
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait already
   */
  find(userId: string): Promise<StreamOpening | undefined> {
    return this.#lookUps.add(userId);
  }

  async #lookUp(userIds: readonly string[]): Promise<(StreamOpening | undefined)[]> {
    try {
      const openings = await streamOpenings(this.database, [...new Set(userIds)]);
      return userIds.map((userId) => openings.get(userId));
    } catch (error) {
      this.onSharedFailure(error, userIds.length - 1);
      throw error;
    }
  }
}
