import type { NewAlert, Unreached } from '../domain/alert.js';
import type { Database } from '../lib/postgres.js';
import { findReplays, type Replayed } from '../store/alerts.js';
import { recipientsError, requestIdReused } from './create-errors.js';
import type { Waiting } from './create-lane.js';

/** What an insert did not store: a repeat, or one that reaches nobody and may be a repeat. */
export interface Unstored {
  readonly waiting: Waiting;
  /** Undefined: it is a repeat. */
  readonly unreached: Unreached | undefined;
}

/** An alert, and what it was made of. */
type StoredRequest = Pick<Replayed, 'alert' | 'reach' | 'requestHash'>;

/**
 * Same request, same alert (I2): of requests with one caller and id the first is written, those that come meanwhile get
 * its outcome, and one that comes later its answer.
 */
export class RequestIds {
  /** The followers of each request that is being written, by caller and id. */
  readonly #followers = new Map<string, Waiting[]>();

  constructor(
    private readonly database: Database,
    /** Takes a request that has followed another one, and is to be judged for itself. */
    private readonly enqueue: (waiting: Waiting) => void,
  ) {}

  /** Whether a request is to be written; otherwise it follows the one that is. */
  begin(waiting: Waiting): boolean {
    const key = keyOf(waiting.request);
    if (key === undefined) return true;
    const followers = this.#followers.get(key);
    if (followers === undefined) this.#followers.set(key, []);
    else followers.push(waiting);
    return followers === undefined;
  }

  stored(waiting: Waiting, stored: StoredRequest): void {
    const followers = this.#end(waiting);
    waiting.resolve({ alert: stored.alert, reach: stored.reach, replayed: false });
    for (const follower of followers) answer(follower, stored);
  }

  failed(waiting: Waiting, error: Error): void {
    for (const each of [waiting, ...this.#end(waiting)]) each.reject(error);
  }

  /**
   * A repeat of a request that was stored gets the first answer, whatever has become of its recipients since. In a
   * statement of its own: the insert's snapshot cannot see a winner that it waited for.
   */
  async answer(unstored: readonly Unstored[]): Promise<void> {
    let firsts: Map<string | undefined, Replayed>;
    try {
      const replays = await findReplays(
        this.database,
        unstored.map(({ waiting }) => waiting.request),
      );
      firsts = new Map(replays.map((replay) => [keyOf(replay), replay]));
    } catch (error) {
      for (const { waiting } of unstored) this.failed(waiting, error as Error);
      return;
    }
    for (const { waiting, unreached } of unstored) {
      const first = firsts.get(keyOf(waiting.request));
      if (first !== undefined) for (const each of [waiting, ...this.#end(waiting)]) answer(each, first);
      else if (unreached !== undefined) this.#refuse(waiting, unreached);
      else this.failed(waiting, new Error('a replayed request is not to be found'));
    }
  }

  /** Repeats of its request id may name others, so each is judged for itself. */
  #refuse(waiting: Waiting, unreached: Unreached): void {
    const followers = this.#end(waiting);
    waiting.reject(recipientsError(unreached));
    for (const each of followers) this.enqueue(each);
  }

  #end({ request }: Waiting): readonly Waiting[] {
    const key = keyOf(request);
    if (key === undefined) return NONE;
    const followers = this.#followers.get(key) ?? NONE;
    this.#followers.delete(key);
    return followers;
  }
}

const NONE: readonly Waiting[] = [];

function keyOf({ caller, requestId }: Pick<NewAlert, 'caller' | 'requestId'>): string | undefined {
  return requestId === '' ? undefined : `${caller}\0${requestId}`;
}

/** The first answer again, or that it was to another request. */
function answer({ request, resolve, reject }: Waiting, { alert, reach, requestHash }: StoredRequest): void {
  if (requestHash.equals(request.requestHash)) resolve({ alert, reach, replayed: true });
  else reject(requestIdReused(request.requestId, alert));
}
