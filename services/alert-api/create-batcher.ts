import type { NewAlert } from '../domain/alert.js';
import { AlertError, invalidArgument, type FieldViolation } from '../domain/errors.js';
import { createdAlert, type CreatedAlert } from '../events/records.js';
import { repeatConflicts, type Database } from '../lib/postgres.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import {
  findReplays,
  insertAlerts,
  unknownRecipients,
  type Inserted,
  type Replayed,
  type UnknownRecipient,
} from '../store/alerts.js';
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
  /** Those that named somebody unknown, beside the others, which they must not hold up. */
  readonly #refusals: CreateLane;
  /** Requests that are being written, by caller and request id: a second one waits for the first one's outcome. */
  readonly #running = new Map<string, Waiting[]>();
  /** What waits for its answer, in all and by caller. */
  readonly #unanswered: Load = { requests: 0, characters: 0 };
  readonly #unansweredOf = new Map<string, Load>();

  constructor(private readonly options: CreateBatcherOptions) {
    const { batchMax, database } = options;
    const accept = (waiting: Waiting) => this.#accept(waiting);
    const reject = ({ reject: answer }: Waiting, error: Error) => answer(error);
    const finish = (waiting: Waiting, error: Error) => this.#finish(waiting, (each) => each.reject(error));
    const writes = { batchMax, accept, dropped: reject, failed: finish };
    const insert = (batch: readonly Waiting[]) => this.#insert(batch);
    this.#few = new CreateLane({ ...writes, writersMax: WRITERS, work: insert });
    this.#many = new CreateLane({ ...writes, writersMax: WRITERS, work: insert });
    // Not on the connections for bulk work: lists of inboxes would keep an alert to a thousand people waiting.
    this.#heavy = new CreateLane({ ...writes, writersMax: 1, rests: true, work: insert });
    this.#refusals = new CreateLane({
      batchMax,
      writersMax: 1,
      rests: true,
      accept: () => true,
      work: (batch) => this.#refuse(batch),
      failed: finish,
    });
    database.breaker.onOpen(() => this.#refuseQueued());
  }

  /** Requests that wait for their answer. */
  get depth(): number {
    return this.#unanswered.requests;
  }

  /** Characters in them. */
  get characters(): number {
    return this.#unanswered.characters;
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
    const cost = ALERT_COST + characters + NAME_COST * namesOf(request).length;
    try {
      return await new Promise<CreateResult>((resolve, reject) => {
        this.#enqueue({ request, cost, resolve, reject, signal, retried: false });
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
    const own = this.#unansweredOf.get(caller) ?? { requests: 0, characters: 0 };
    if (this.#isFull(own)) {
      throw new AlertError(
        'RESOURCE_EXHAUSTED',
        'TOO_MANY_REQUESTS',
        `${this.depth} requests wait for the database already, ${own.requests} of this caller; try again later`,
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
    this.#unansweredOf.set(caller, own);
    for (const load of [this.#unanswered, own]) add(load, 1, characters);
    return () => {
      for (const load of [this.#unanswered, own]) add(load, -1, -characters);
      if (own.requests === 0) this.#unansweredOf.delete(caller);
    };
  }

  /**
   * Nobody may have more than is left for others: one caller has half of the room, two a third each, and a newcomer always
   * finds some. As switches share their memory (A. Choudhury and E. Hahne, 1998).
   */
  #isFull(own: Load): boolean {
    const { requests, characters } = this.#unanswered;
    return own.requests >= this.options.queueMax - requests || own.characters >= QUEUE_CHARACTERS - characters;
  }

  #enqueue(waiting: Waiting): void {
    const hasFew = (this.#unansweredOf.get(waiting.request.caller)?.requests ?? 0) <= FEW;
    (waiting.cost > HEAVY_COST ? this.#heavy : hasFew ? this.#few : this.#many).add(waiting);
  }

  /** PostgreSQL is away: what no writer has taken yet is answered, rather than wait behind those that hang. */
  #refuseQueued(): void {
    const { refusal } = this.options.database.breaker;
    if (refusal === undefined) return;
    const queued = [this.#few, this.#many, this.#heavy].flatMap((lane) => lane.drain());
    for (const { reject } of queued) reject(refusal);
    for (const waiting of this.#refusals.drain()) this.#finish(waiting, (each) => each.reject(refusal));
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
    const replays: Waiting[] = [];
    results.forEach((result, index) => {
      const waiting = batch[index]!;
      if (result.outcome === 'replay') replays.push(waiting);
      else if (result.outcome === 'unknown-recipients') this.#refusals.add(waiting);
      else {
        const created = createdAlert(waiting.request, result);
        stored.push(created);
        this.#succeed(waiting, { alert: created.alert, reach: result.reach, requestHash: waiting.request.requestHash });
      }
    });
    if (stored.length > 0) onStored(stored);
    if (replays.length > 0) await this.#answerReplays(replays);
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
  async #answerReplays(waiting: readonly Waiting[]): Promise<void> {
    try {
      const replays = await this.#findReplays(waiting);
      for (const each of waiting)
        if (!this.#answerAsReplay(each, replays)) throw new Error('a replayed request is not to be found');
    } catch (error) {
      for (const each of waiting) this.#finish(each, ({ reject }) => reject(error as Error));
    }
  }

  async #findReplays(waiting: readonly Waiting[]): Promise<Map<string, Replayed>> {
    const named = waiting.map(({ request }) => request).filter(({ requestId }) => requestId !== '');
    const found = named.length === 0 ? [] : await findReplays(this.options.database, named);
    return new Map(found.map((replay) => [keyOf(replay)!, replay]));
  }

  #answerAsReplay(waiting: Waiting, replays: ReadonlyMap<string, Replayed>): boolean {
    const first = replays.get(keyOf(waiting.request) ?? '');
    if (first === undefined) return false;
    this.#finish(waiting, (each) => answer(each, first));
    return true;
  }

  /** One look at those who are named, for all of the batch. */
  async #refuse(batch: readonly Waiting[]): Promise<void> {
    const database = this.options.database.bulk;
    // A repeat of a request that was stored gets the first answer, whatever has become of its recipients since.
    const replays = await this.#findReplays(batch);
    const left = batch.filter((waiting) => !this.#answerAsReplay(waiting, replays));
    if (left.length === 0) return;
    const unknown = new Map<string, UnknownRecipient>();
    for (const each of await unknownRecipients(database, everybodyNamed(left)))
      unknown.set(nameKey(each.list, each.name), each);
    for (const waiting of left) {
      const names = namesOf(waiting.request).flatMap(([list, name]) => unknown.get(nameKey(list, name)) ?? []);
      // A repeat of this request id may name others, so it is judged for itself.
      const followers = this.#release(waiting);
      if (names.length > 0) waiting.reject(recipientsError(names));
      else if (waiting.retried) waiting.reject(new Error('recipients are refused without a reason'));
      else this.#enqueue({ ...waiting, retried: true });
      for (const each of followers) this.#enqueue(each);
    }
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

interface Load {
  requests: number;
  characters: number;
}

function add(load: Load, requests: number, characters: number): void {
  load.requests += requests;
  load.characters += characters;
}

/** The named recipients, each with the list that it is in. */
function namesOf({ recipients }: NewAlert): [list: UnknownRecipient['list'], name: string][] {
  if (recipients === undefined) return [];
  return [
    ...recipients.userIds.map((name): [UnknownRecipient['list'], string] => ['user_ids', name]),
    ...recipients.githubLogins.map((name): [UnknownRecipient['list'], string] => ['github_logins', name]),
    ...recipients.departments.map((name): [UnknownRecipient['list'], string] => ['departments', name]),
  ];
}

function everybodyNamed(batch: readonly Waiting[]): Parameters<typeof unknownRecipients>[1] {
  const lists = batch.flatMap(({ request }) => request.recipients ?? []);
  return {
    userIds: [...new Set(lists.flatMap(({ userIds }) => userIds))],
    githubLogins: [...new Set(lists.flatMap(({ githubLogins }) => githubLogins))],
    departments: [...new Set(lists.flatMap(({ departments }) => departments))],
  };
}

function nameKey(list: string, name: string): string {
  return `${list}\0${name}`;
}

/** About how many characters a request brings into a statement. */
function charactersOf(request: NewAlert): number {
  const texts = [
    request.message,
    ...Object.entries(request.labels).flat(),
    ...namesOf(request).map(([, name]) => name),
  ];
  return texts.reduce((sum, text) => sum + text.length, 0);
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

function recipientsError(names: readonly UnknownRecipient[]): AlertError {
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
