import type { NewAlert, StoredAlert } from '../domain/alert.js';
import { AlertError, invalidArgument, type FieldViolation } from '../domain/errors.js';
import { createdAlert, type CreatedAlert } from '../events/records.js';
import { isDataError } from '../lib/postgres-errors.js';
import { repeatConflicts, type Database } from '../lib/postgres.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import {
  findReplays,
  insertAlerts,
  unknownRecipients,
  type Inserted,
  type Reach,
  type Replayed,
} from '../store/alerts.js';
import { CommitTrace } from './commit-trace.js';

export interface CreateResult {
  readonly alert: StoredAlert;
  readonly replayed: boolean;
  readonly reach: Reach;
}

interface Waiting {
  readonly request: NewAlert;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: Error) => void;
  /** Set once when a named recipient came into being between two statements. */
  retried?: boolean;
}

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
/** Characters of messages, labels and names in one statement, beyond which no further request joins it. */
const BATCH_CHARACTERS = 2_000_000;
/** The same, of all requests that wait for their answer: 10,000 of the largest would be gigabytes. */
export const QUEUE_CHARACTERS = 32_000_000;
const FULL_RETRY_MS = 500;
const OUTBOX_RETRY_MS = 5000;
const NAMES_SHOWN = 10;

/**
 * Commits concurrent requests together: a batch takes what has queued while earlier ones were being written, so that under
 * load a commit's cost is shared and without load nobody waits.
 */
export class CreateBatcher {
  readonly #queue: Waiting[] = [];
  /** Requests that are being written, by caller and request id: a second one waits for the first one's outcome. */
  readonly #running = new Map<string, Waiting[]>();
  #writers = 0;
  #unanswered = 0;
  #characters = 0;

  constructor(private readonly options: CreateBatcherOptions) {
    options.database.breaker.onOpen(() => this.#refuseQueued());
  }

  /** Requests that wait for their answer. */
  get depth(): number {
    return this.#unanswered;
  }

  /** Characters in them. */
  get characters(): number {
    return this.#characters;
  }

  /**
   * Stores an alert.
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait, UNAVAILABLE if the outbox is full, FAILED_PRECONDITION if the request id was used for another
   * request, INVALID_ARGUMENT for unknown recipients; the database's error if it is away
   */
  create(request: NewAlert): Promise<CreateResult> {
    if (this.#unanswered >= this.options.queueMax || this.#characters >= QUEUE_CHARACTERS) {
      return Promise.reject(
        new AlertError(
          'RESOURCE_EXHAUSTED',
          'TOO_MANY_REQUESTS',
          `${this.#unanswered} requests wait for the database already; try again later`,
          { retryAfterMs: FULL_RETRY_MS },
        ),
      );
    }
    if (this.options.isFull()) {
      return Promise.reject(
        new AlertError('UNAVAILABLE', 'OUTBOX_FULL', 'too many alerts wait for Kafka, which is away; try again later', {
          retryAfterMs: OUTBOX_RETRY_MS,
        }),
      );
    }
    // Not left to the statement: both writers may be waiting for a time-out.
    const { refusal } = this.options.database.breaker;
    if (refusal !== undefined) return Promise.reject(refusal);
    const size = sizeOf(request);
    this.#unanswered += 1;
    this.#characters += size;
    const answer = new Promise<CreateResult>((resolve, reject) => {
      this.#enqueue({ request, resolve, reject });
    });
    return answer.finally(() => {
      this.#unanswered -= 1;
      this.#characters -= size;
    });
  }

  #enqueue(waiting: Waiting): void {
    this.#queue.push(waiting);
    if (this.#writers < WRITERS) {
      this.#writers += 1;
      // One turn of the event loop: requests that arrived in the same read of a socket share the batch.
      setImmediate(() => void this.#write());
    }
  }

  /** PostgreSQL is away: what no writer has taken yet is answered, rather than wait behind those that hang. */
  #refuseQueued(): void {
    const { refusal } = this.options.database.breaker;
    if (refusal !== undefined) for (const { reject } of this.#queue.splice(0)) reject(refusal);
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#take();
      if (batch.length > 0) await this.#store(batch);
    }
    this.#writers -= 1;
  }

  /** The next requests to write, each caller's request id once; repeats are hung on to the first. */
  #take(): Waiting[] {
    const batch: Waiting[] = [];
    let characters = 0;
    let taken = 0;
    for (const waiting of this.#queue) {
      if (batch.length >= this.options.batchMax || characters > BATCH_CHARACTERS) break;
      taken += 1;
      const key = keyOf(waiting.request);
      const followers = key === undefined ? undefined : this.#running.get(key);
      if (followers !== undefined) {
        followers.push(waiting);
        continue;
      }
      if (key !== undefined) this.#running.set(key, []);
      characters += sizeOf(waiting.request);
      batch.push(waiting);
    }
    this.#queue.splice(0, taken);
    return batch;
  }

  async #store(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#insert(batch);
    } catch (error) {
      // A statement that fails as such may be one request's fault; alone it is known which.
      if (batch.length > 1 && isDataError(error)) {
        const middle = batch.length >> 1;
        await this.#store(batch.slice(0, middle));
        await this.#store(batch.slice(middle));
        return;
      }
      for (const waiting of batch) this.#finish(waiting, (each) => each.reject(error as Error));
    }
  }

  async #insert(batch: readonly Waiting[]): Promise<void> {
    const { onStored } = this.options;
    const requests = batch.map(({ request }) => request);
    const results = await this.#commit(requests);
    const stored: CreatedAlert[] = [];
    const replays: Waiting[] = [];
    const unknown: Waiting[] = [];
    results.forEach((result, index) => {
      const waiting = batch[index]!;
      if (result.outcome === 'replay') replays.push(waiting);
      else if (result.outcome === 'unknown-recipients') unknown.push(waiting);
      else {
        const created = createdAlert(waiting.request, result);
        stored.push(created);
        this.#succeed(waiting, { alert: created.alert, reach: result.reach, requestHash: waiting.request.requestHash });
      }
    });
    if (stored.length > 0) onStored(stored);
    if (replays.length > 0) await this.#answerReplays(replays);
    // Beside the next batches: a caller that names nobody we know must not hold up the others.
    for (const waiting of unknown) void this.#refuse(waiting);
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

  /** In a statement of its own: the insert's snapshot cannot see a winner that it waited for. */
  async #answerReplays(replays: readonly Waiting[]): Promise<void> {
    try {
      const found = await findReplays(
        this.options.database,
        replays.map(({ request }) => request),
      );
      const byKey = new Map(found.map((replay) => [`${replay.caller}\0${replay.requestId}`, replay]));
      for (const waiting of replays) {
        const first = byKey.get(keyOf(waiting.request)!);
        if (first === undefined) throw new Error('a replayed request is not to be found');
        this.#finish(waiting, (each) => answer(each, first));
      }
    } catch (error) {
      for (const waiting of replays) this.#finish(waiting, (each) => each.reject(error as Error));
    }
  }

  async #refuse(waiting: Waiting): Promise<void> {
    try {
      // A repeat of a request that was stored gets the first answer, whatever has become of its recipients since.
      if (await this.#answerAsReplay(waiting)) return;
      const names = await unknownRecipients(this.options.database, waiting.request.recipients!);
      if (names.length === 0 && waiting.retried !== true) {
        const followers = this.#release(waiting);
        for (const each of [{ ...waiting, retried: true }, ...followers]) this.#enqueue(each);
        return;
      }
      // A repeat of this request id may name others, so it is judged for itself.
      const followers = this.#release(waiting);
      waiting.reject(
        names.length === 0 ? new Error('recipients are refused without a reason') : recipientsError(names),
      );
      for (const each of followers) this.#enqueue(each);
    } catch (error) {
      this.#finish(waiting, (each) => each.reject(error as Error));
    }
  }

  async #answerAsReplay(waiting: Waiting): Promise<boolean> {
    if (waiting.request.requestId === '') return false;
    const [first] = await findReplays(this.options.database, [waiting.request]);
    if (first === undefined) return false;
    this.#finish(waiting, (each) => answer(each, first));
    return true;
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

/** About how many characters a request brings into a statement. */
function sizeOf({ message, labels, recipients }: NewAlert): number {
  const names = recipients === undefined ? [] : [recipients.userIds, recipients.githubLogins, recipients.departments];
  const lists = [Object.entries(labels).flat(), ...names];
  return message.length + lists.flat().reduce((sum, text) => sum + text.length, 0);
}

function keyOf({ caller, requestId }: NewAlert): string | undefined {
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

function recipientsError(names: readonly { list: string; name: string; inactive: boolean }[]): AlertError {
  const violations: FieldViolation[] = names.slice(0, NAMES_SHOWN).map(({ list, name, inactive }) => ({
    field: `recipients.${list}`,
    description: inactive ? `'${name}' is inactive` : `'${name}' does not exist`,
  }));
  if (names.length > NAMES_SHOWN) {
    violations.push({
      field: 'recipients',
      description: `and ${names.length - NAMES_SHOWN} more do not exist or are inactive`,
    });
  }
  return invalidArgument(violations);
}
