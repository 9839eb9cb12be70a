import { countNames, namesLength, type NewAlert } from '../domain/alert.js';
import { type CreatedAlert, createdAlert } from '../events/records.js';
import { type Database, repeatConflicts } from '../lib/postgres.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import { insertAlerts, type Inserted } from '../store/alerts.js';
import { CommitTrace } from './commit-trace.js';
import { recipientsError } from './create-errors.js';
import { CreateLane, type CreateResult, type Waiting } from './create-lane.js';
import { CreateRoom } from './create-room.js';
import { RequestIds, type Unstored } from './request-ids.js';

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
 * What a statement costs, in characters: an alert takes PostgreSQL as long as so many of them, and a name, which is
 * looked up and stored as a row, as long as so many.
 */
const ALERT_COST = 600;
const NAME_COST = 100;
/**
 * A request that costs more has a writer of its own kind: with 10,000 names it takes as long as thousands of others.
 */
const HEAVY_COST = 50_000;

/**
 * Commits concurrent requests together: a batch takes what has queued while earlier ones were written, so without load
 * nobody waits. Callers take turns: one that sends much waits for itself.
 */
export class CreateBatcher {
  /** What waits for its answer. */
  readonly room: CreateRoom;
  /** Those of callers that have few waiting, so that they never wait for a statement that others have filled. */
  readonly #few: CreateLane;
  readonly #many: CreateLane;
  readonly #heavy: CreateLane;
  /** Of whom the last request was, and when one was of another caller than the one before. */
  #lastCaller: string | undefined;
  #otherAt = -Infinity;
  readonly #ids: RequestIds;

  constructor(private readonly options: CreateBatcherOptions) {
    const { batchMax, database, isFull, queueMax } = options;
    this.room = new CreateRoom(queueMax, database.breaker, isFull);
    this.#ids = new RequestIds(database, (waiting) => this.#enqueue(waiting));
    const writes = {
      batchMax,
      accept: (waiting: Waiting) => this.#ids.begin(waiting),
      work: (batch: readonly Waiting[]) => this.#insert(batch),
      failed: (waiting: Waiting, error: Error) => this.#ids.failed(waiting, error),
    };
    const isShared = () => performance.now() - this.#otherAt < ALONE_AFTER_MS;
    this.#few = new CreateLane({ ...writes, writersMax: WRITERS, isModest: () => false });
    this.#many = new CreateLane({ ...writes, writersMax: WRITERS, isModest: isShared });
    // Not on the connections for bulk work: lists of inboxes would keep an alert to a thousand people waiting.
    this.#heavy = new CreateLane({ ...writes, writersMax: 1, isModest: () => true });
    database.breaker.onOpen(() => this.#refuseQueued());
  }

  /**
   * Stores an alert.
   * @param signal aborted when nobody waits for the answer any more; what has not been begun by then is dropped
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait, UNAVAILABLE if the outbox is full, FAILED_PRECONDITION if
   * the request id was used for another request, INVALID_ARGUMENT for unknown recipients; the database's error if it is
   * away; the signal's reason
   */
  async create(request: NewAlert, signal?: AbortSignal): Promise<CreateResult> {
    const characters = charactersOf(request);
    const leave = this.room.enter(request.caller, characters);
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

  #enqueue(waiting: Waiting): void {
    const { caller } = waiting.request;
    if (this.#lastCaller !== undefined && caller !== this.#lastCaller) this.#otherAt = performance.now();
    this.#lastCaller = caller;
    const hasFew = this.room.requestsOf(caller) <= FEW;
    (waiting.cost > HEAVY_COST ? this.#heavy : hasFew ? this.#few : this.#many).add(waiting);
  }

  /** PostgreSQL is away: what no writer has taken yet is answered, rather than wait behind those that hang. */
  #refuseQueued(): void {
    const { refusal } = this.options.database.breaker;
    if (refusal === undefined) return;
    const queued = [this.#few, this.#many, this.#heavy].flatMap((lane) => lane.drain());
    for (const { reject } of queued) reject(refusal);
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
        this.#ids.stored(waiting, {
          alert: created.alert,
          reach: result.reach,
          requestHash: waiting.request.requestHash,
        });
      } else if (result.outcome === 'unknown-recipients' && waiting.request.requestId === '') {
        waiting.reject(recipientsError(result.unreached));
      } else repeats.push({ waiting, unreached: result.outcome === 'replay' ? undefined : result.unreached });
    });
    if (stored.length > 0) onStored(stored);
    if (repeats.length > 0) await this.#ids.answer(repeats);
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
}

/** About how many characters a request brings into a statement. */
function charactersOf({ message, labels, recipients }: NewAlert): number {
  const labelled = Object.entries(labels).flat();
  const length = labelled.reduce((sum, text) => sum + text.length, message.length);
  return length + (recipients === undefined ? 0 : namesLength(recipients));
}
