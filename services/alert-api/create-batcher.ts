import { countNames, namesLength, type NewAlert, type Unreached } from '../domain/alert.js';
import { AlertError, invalidArgument, type FieldViolation } from '../domain/errors.js';
import { createdAlert, type CreatedAlert } from '../events/records.js';
import { repeatConflicts, type Database } from '../lib/postgres.js';
import { SharedRoom } from '../lib/shared-room.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import { findReplays, insertAlerts, type Inserted, type Replayed } from '../store/alerts.js';
import { CommitTrace } from './commit-trace.js';
import { CreateLane, type CreateResult, type Waiting } from './create-lane.js';

export interface CreateBatcherOptions {
  readonly database: Database;
  readonly tracing: Tracing;
  /** From here on a commit is called slow. */
  readonly slowMs: number;
  readonly queueMax: number;
  readonly batchMax: number;
  /** Whether no more may be stored, because too much waits for Kafka already. */
  readonly isFull: () => boolean;
  /** Told of everything that was stored, once each, after the commit. */
  readonly onStored: (alerts: readonly CreatedAlert[]) => void;
}

/** Two writers overlap one batch's commit with the next one's statement. */
const WRITERS = 2;
/** A caller that no other has interrupted for so long has PostgreSQL for itself. */
const ALONE_AFTER_MS = 1000;
/** A caller that has more waiting fills statements by itself, and shares those of the others no more. */
const FEW = 16;
/**
 * What a statement costs, in characters: an alert takes PostgreSQL as long as so many of them, and a name, which is looked up and
 * stored as a row, as long as so many.
 */
const ALERT_COST = 600;
const NAME_COST = 100;
/** A request that costs more has a writer of its own kind: with 10,000 names it takes as long as thousands of others. */
const HEAVY_COST = 50_000;
/** Characters of all requests that wait for their answer: 10,000 of the largest would be gigabytes. */
export const QUEUE_CHARACTERS = 32_000_000;
const FULL_RETRY_MS = 500;
const OUTBOX_RETRY_MS = 5000;
const NAMES_SHOWN = 10;

/**
 * Commits concurrent requests together: a batch takes what has queued while earlier ones were being written, so that under
 * load a commit's cost is shared and without load nobody waits. Callers take turns: one that sends much waits for itself.
 */
export class CreateBatcher {
  /** Those of callers that have few waiting, so that they never wait for a statement that others have filled. */
  readonly #few: CreateLane;
  readonly #many: CreateLane;
  readonly #heavy: CreateLane;
  /** Of whom the last request was, and when one was of another caller than the one before. */
  #lastCaller: string | undefined;
  #otherAt = -Infinity;
  /** Requests that are being written, by caller and request id: a second one waits for the first one's outcome. */
  readonly #running = new Map<string, Waiting[]>();
  /** What waits for its answer. */
  readonly #requests: SharedRoom;
  readonly #characters = new SharedRoom(QUEUE_CHARACTERS);

  constructor(private readonly options: CreateBatcherOptions) {
    const { batchMax, database, queueMax } = options;
    this.#requests = new SharedRoom(queueMax);
    const accept = (waiting: Waiting) => this.#accept(waiting);
    const reject = ({ reject: answer }: Waiting, error: Error) => answer(error);
    const finish = (waiting: Waiting, error: Error) => this.#finish(waiting, (each) => each.reject(error));
    const writes = { batchMax, accept, dropped: reject, failed: finish };
    const insert = (batch: readonly Waiting[]) => this.#insert(batch);
    const isShared = () => performance.now() - this.#otherAt < ALONE_AFTER_MS;
    this.#few = new CreateLane({ ...writes, writersMax: WRITERS, isModest: () => false, work: insert });
    this.#many = new CreateLane({ ...writes, writersMax: WRITERS, isModest: isShared, work: insert });
    // Not on the connections for bulk work: lists of inboxes would keep an alert to a thousand people waiting.
    this.#heavy = new CreateLane({ ...writes, writersMax: 1, isModest: () => true, work: insert });
    database.breaker.onOpen(() => this.#refuseQueued());
  }

  /** Requests that wait for their answer. */
  get depth(): number {
    return this.#requests.taken;
  }

  /** Characters in them. */
  get characters(): number {
    return this.#characters.taken;
  }

  /**
   * Stores an alert.
   * @param signal aborted when nobody waits for the answer any more; what has not been begun by then is dropped
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait, UNAVAILABLE if the outbox is full, FAILED_PRECONDITION if the request id was used for another
   * request, INVALID_ARGUMENT for unknown recipients; the database's error if it is away; the signal's reason
   */
  async create(request: NewAlert, signal?: AbortSignal): Promise<CreateResult> {
    const characters = charactersOf(request);
    const leave = this.enter(request.caller, characters);
    const cost =
      ALERT_COST + characters + NAME_COST * (request.recipients === undefined ? 0 : countNames(request.recipients));
    try {
      return await new Promise<CreateResult>((resolve, reject) => {
        this.#enqueue({ request, cost, resolve, reject, signal });
      });
    } finally {
      leave();
    }
  }

  /**
   * Takes the room of a request that is to wait for its answer.
   * @returns to be called when it waits no more
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait, UNAVAILABLE if the outbox is full; the database's error if it is away
   */
  enter(caller: string, characters: number): () => void {
    if (this.#requests.isFullFor(caller) || !this.#characters.hasRoomFor(caller, characters)) {
      throw new AlertError(
        'RESOURCE_EXHAUSTED',
        'TOO_MANY_REQUESTS',
        `${this.depth} requests wait for the database already, ${this.#requests.takenBy(caller)} of this caller; try again later`,
        { retryAfterMs: FULL_RETRY_MS },
      );
    }
    if (this.options.isFull()) {
      throw new AlertError(
        'UNAVAILABLE',
        'OUTBOX_FULL',
        'too many alerts wait for Kafka, which is away; try again later',
        { retryAfterMs: OUTBOX_RETRY_MS },
      );
    }
    // Not left to the statement: all writers may be waiting for a time-out.
    const { refusal } = this.options.database.breaker;
    if (refusal !== undefined) throw refusal;
    const leaveRoom = [this.#requests.take(caller, 1), this.#characters.take(caller, characters)];
    return () => leaveRoom.forEach((leave) => leave());
  }

  #enqueue(waiting: Waiting): void {
    const { caller } = waiting.request;
    if (this.#lastCaller !== undefined && caller !== this.#lastCaller) this.#otherAt = performance.now();
    this.#lastCaller = caller;
    const hasFew = this.#requests.takenBy(caller) <= FEW;
    (waiting.cost > HEAVY_COST ? this.#heavy : hasFew ? this.#few : this.#many).add(waiting);
  }

  /** PostgreSQL is away: what no writer has taken yet is answered, rather than wait behind those that hang. */
  #refuseQueued(): void {
    const { refusal } = this.options.database.breaker;
    if (refusal === undefined) return;
    const queued = [this.#few, this.#many, this.#heavy].flatMap((lane) => lane.drain());
    for (const { reject } of queued) reject(refusal);
  }

  /** Whether a request is to be written: each caller's request id once; repeats are hung on to the first. */
  #accept(waiting: Waiting): boolean {
    const key = keyOf(waiting.request);
    if (key === undefined) return true;
    const followers = this.#running.get(key);
    if (followers === undefined) this.#running.set(key, []);
    else followers.push(waiting);
    return followers === undefined;
  }

  async #insert(batch: readonly Waiting[]): Promise<void> {
    const { onStored } = this.options;
    const requests = batch.map(({ request }) => request);
    const results = await this.#commit(requests);
    const stored: CreatedAlert[] = [];
    const repeats: Unstored[] = [];
    results.forEach((result, index) => {
      const waiting = batch[index]!;
      if (result.outcome === 'stored') {
        const created = createdAlert(waiting.request, result);
        stored.push(created);
        this.#succeed(waiting, { alert: created.alert, reach: result.reach, requestHash: waiting.request.requestHash });
      } else if (result.outcome === 'unknown-recipients' && waiting.request.requestId === '') {
        waiting.reject(recipientsError(result.unreached));
      } else repeats.push({ waiting, unreached: result.outcome === 'replay' ? undefined : result.unreached });
    });
    if (stored.length > 0) onStored(stored);
    if (repeats.length > 0) await this.#answerUnstored(repeats);
  }

  async #commit(requests: readonly NewAlert[]): Promise<Inserted[]> {
    const { tracing, slowMs } = this.options;
    const commit = CommitTrace.begin(tracing, slowMs, requests);
    const database = this.options.database.observedBy(commit?.statements);
    try {
      // Two instances that got the same request ids may lock each other out.
      const results = await repeatConflicts(() => insertAlerts(database, requests));
      if (commit !== undefined)
        for (const [index, each] of results.entries())
          if (each.outcome === 'stored') commit.stored(index, each.alertId);
      commit?.end();
      return results;
    } catch (error) {
      commit?.end(error as Error);
      throw error;
    }
  }

  /**
   * A repeat of a request that was stored gets the first answer, whatever has become of its recipients since. In a statement of
   * its own: the insert's snapshot cannot see a winner that it waited for.
   */
  async #answerUnstored(unstored: readonly Unstored[]): Promise<void> {
    let firsts: Map<string, Replayed>;
    try {
      firsts = await this.#firstAnswers(unstored.map(({ waiting }) => waiting.request));
    } catch (error) {
      for (const { waiting } of unstored) this.#finish(waiting, ({ reject }) => reject(error as Error));
      return;
    }
    for (const { waiting, unreached } of unstored) {
      const first = firsts.get(keyOf(waiting.request)!);
      if (first !== undefined) this.#finish(waiting, (each) => answer(each, first));
      else if (unreached !== undefined) this.#refuse(waiting, unreached);
      else this.#finish(waiting, ({ reject }) => reject(new Error('a replayed request is not to be found')));
    }
  }

  async #firstAnswers(requests: readonly NewAlert[]): Promise<Map<string, Replayed>> {
    const replays = await findReplays(this.options.database, requests);
    return new Map(replays.map((replay) => [keyOf(replay)!, replay]));
  }

  /** Repeats of its request id may name others, so each is judged for itself. */
  #refuse(waiting: Waiting, unreached: Unreached): void {
    const followers = this.#release(waiting);
    waiting.reject(recipientsError(unreached));
    for (const each of followers) this.#enqueue(each);
  }

  #succeed(waiting: Waiting, stored: StoredRequest): void {
    const followers = this.#release(waiting);
    waiting.resolve({ alert: stored.alert, reach: stored.reach, replayed: false });
    for (const follower of followers) answer(follower, stored);
  }

  #finish(waiting: Waiting, settle: (each: Waiting) => void): void {
    for (const each of [waiting, ...this.#release(waiting)]) settle(each);
  }

  #release({ request }: Waiting): Waiting[] {
    const key = keyOf(request);
    if (key === undefined) return [];
    const followers = this.#running.get(key) ?? [];
    this.#running.delete(key);
    return followers;
  }
}

/** What an insert did not store: a repeat, or one that reaches nobody and may be a repeat. */
interface Unstored {
  readonly waiting: Waiting;
  /** Undefined: it is a repeat. */
  readonly unreached: Unreached | undefined;
}

/** About how many characters a request brings into a statement. */
function charactersOf({ message, labels, recipients }: NewAlert): number {
  const labelled = Object.entries(labels).flat();
  const length = labelled.reduce((sum, text) => sum + text.length, message.length);
  return length + (recipients === undefined ? 0 : namesLength(recipients));
}

function keyOf({ caller, requestId }: { caller: string; requestId: string }): string | undefined {
  return requestId === '' ? undefined : `${caller}\0${requestId}`;
}

/** An alert, and what it was made of. */
type StoredRequest = Pick<Replayed, 'alert' | 'reach' | 'requestHash'>;

/** The first answer again, or that it was to another request. */
function answer({ request, resolve, reject }: Waiting, { alert, reach, requestHash }: StoredRequest): void {
  if (requestHash.equals(request.requestHash)) return resolve({ alert, reach, replayed: true });
  reject(
    new AlertError(
      'FAILED_PRECONDITION',
      'REQUEST_ID_REUSED',
      `request_id '${request.requestId}' was used for alert ${alert.alertId} with other contents; use a new one for a new alert`,
      { metadata: { alert_id: String(alert.alertId) } },
    ),
  );
}

function recipientsError({ names, count }: Unreached): AlertError {
  const violations: FieldViolation[] = names.slice(0, NAMES_SHOWN).map(({ list, name, reason }) => ({
    field: `recipients.${list.toLowerCase()}`,
    description: reason === 'INACTIVE' ? `'${name}' is inactive` : `'${name}' does not exist`,
  }));
  if (count > NAMES_SHOWN) {
    violations.push({
      field: 'recipients',
      description: `and ${count - NAMES_SHOWN} more do not exist or are inactive`,
    });
  }
  return invalidArgument(violations);
}
