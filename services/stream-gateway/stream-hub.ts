import { setImmediate as turn } from 'node:timers/promises';
import { userInactive } from '../api/user-errors.js';
import type { AlertError } from '../domain/errors.js';
import { tokenExpired } from '../domain/resume-token.js';
import type { Config } from '../lib/config/load.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { wait } from '../lib/retry.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import { lastSequences } from '../store/inboxes.js';
import type { AlertContents } from './alert-contents.js';
import type { AlertStream, StreamHost } from './alert-stream.js';
import { CatchUps } from './catch-ups.js';
import { Counts, OpeningQuota } from './opening-quota.js';
import { StreamBudget } from './stream-budget.js';
import { tooManyStreams, tooManyStreamsOfCaller, tooManyStreamsOfUser } from './stream-errors.js';
import { StreamMetrics } from './stream-metrics.js';

export interface StreamHubDeps {
  readonly config: Pick<
    Config,
    | 'streamHealIntervalMs'
    | 'streamPageSize'
    | 'streamBufferMax'
    | 'streamsMax'
    | 'streamsPerUserMax'
    | 'streamStallMs'
    | 'streamMaxAgeMs'
    | 'streamCatchUpsMax'
  >;
  readonly database: Database;
  readonly contents: AlertContents;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** Hears of users whose first stream is opened or whose last one ends. */
  readonly presence?: { note(userId: string, here: boolean): void };
}

const CHECKPOINT_TICK_MS = 500;
/** Users whose streams are looked at in one go, at most 20 ms; what comes by Kafka has its turn in between. */
const TICK_USERS = 1000;
/** Users of one query when last numbers are compared. */
const RESYNC_PAGE = 1000;
/** A change that PostgreSQL has may still be on its way through Kafka: it counts as lost after this. */
const RESYNC_PATIENCE_MS = 500;
/** That commits were lost shows in all streams at once; it is logged once in so many milliseconds. */
const SAY_AGAIN_MS = 60_000;
/** How long users gather whose streams heard something odd, before they are compared. */
const SUSPECT_MS = 500;

/** All streams of one gateway: lets them catch up in turn, sends checkpoints, and resyncs what got lost. */
export class StreamHub implements StreamHost {
  readonly #byUser = new Map<string, Set<AlertStream>>();
  readonly #ofCaller = new Counts();
  readonly #opening = new OpeningQuota();
  readonly #catchUps;
  #epoch = 0;
  readonly #suspects = new Set<string>();
  #looking: NodeJS.Timeout | undefined;
  #closed = false;
  #count = 0;
  #saidBeyondAt = -Infinity;

  readonly contents;
  readonly limits;
  readonly budget = new StreamBudget();
  readonly metrics;

  constructor(private readonly deps: StreamHubDeps) {
    const { contents, config } = deps;
    this.contents = contents;
    this.limits = config;
    this.#catchUps = new CatchUps({ ...deps, onBeyondInbox: (stream) => this.#endBeyondInbox(stream) });
    this.metrics = new StreamMetrics(deps.metrics, {
      contents,
      budget: this.budget,
      streamsMax: config.streamsMax,
      open: () => this.#count,
      opening: () => this.#opening.count,
      slow: () => this.#slow,
    });
  }

  /** Counted when it is read; otherwise each stream would have to report each of its pauses. */
  get #slow(): number {
    let slow = 0;
    for (const streams of this.#byUser.values()) for (const stream of streams) if (stream.isSlow) slow += 1;
    return slow;
  }

  /** When a stream that begins now is to end, by performance.now(). */
  newEnd(): number {
    return performance.now() + this.deps.config.streamMaxAgeMs * (1 - Math.random() / 10);
  }

  /** The database's, as of the last comparison; 0: not known yet. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Users who hold a stream here. */
  get users(): Iterable<string> {
    return this.#byUser.keys();
  }

  /** The streams of one user. */
  streamsOf(userId: string): ReadonlySet<AlertStream> | undefined {
    return this.#byUser.get(userId);
  }

  /**
   * Keeps room for a stream while it is being opened.
   * @param callerMax how many whoever asks for it may hold
   * @returns what gives the room back, once the stream was added or was not
   * @throws AlertError RESOURCE_EXHAUSTED if no more streams are taken here, or of this user, or of this caller
   */
  reserveStream(userId: string, caller: string, callerMax: number): () => void {
    const { streamsMax, streamsPerUserMax } = this.deps.config;
    const ofUser = (this.#byUser.get(userId)?.size ?? 0) + this.#opening.of(userId);
    const refused = (bound: 'gateway' | 'user' | 'caller', error: AlertError) => {
      this.metrics.refused.add(1, { bound });
      return error;
    };
    if (ofUser >= streamsPerUserMax) throw refused('user', tooManyStreamsOfUser(userId, streamsPerUserMax));
    if (this.#ofCaller.of(caller) + this.#opening.by(caller) >= callerMax)
      throw refused('caller', tooManyStreamsOfCaller(caller, callerMax));
    if (this.#count + this.#opening.count >= streamsMax) throw refused('gateway', tooManyStreams(streamsMax));
    return this.#opening.begin(userId, caller);
  }

  /** Registers a stream: from now on it hears of every change, and reads what it has missed. */
  add(stream: AlertStream): void {
    if (this.#closed) return leave(stream);
    const streams = this.#byUser.get(stream.userId);
    if (streams === undefined) {
      this.#byUser.set(stream.userId, new Set([stream]));
      this.deps.presence?.note(stream.userId, true);
    } else streams.add(stream);
    this.#count += 1;
    this.#ofCaller.add(stream.caller, 1);
    if (this.#epoch === 0) this.#epoch = stream.epoch;
    else if (this.#epoch !== stream.epoch) this.suspect(stream);
    this.catchUp(stream);
  }

  ended(stream: AlertStream): void {
    this.#catchUps.remove(stream);
    const streams = this.#byUser.get(stream.userId);
    if (streams?.delete(stream)) {
      this.#count -= 1;
      this.#ofCaller.add(stream.caller, -1);
    }
    if (streams?.size !== 0) return;
    this.#byUser.delete(stream.userId);
    this.deps.presence?.note(stream.userId, false);
  }

  suspect({ userId }: AlertStream): void {
    this.#suspects.add(userId);
    this.#lookSoon();
  }

  #lookSoon(): void {
    if (!this.#closed) this.#looking ??= setTimeout(() => void this.#lookAtSuspects(), SUSPECT_MS).unref();
  }

  /** If it cannot be done, the next comparison of all does it. */
  async #lookAtSuspects(): Promise<void> {
    const users = [...this.#suspects];
    this.#suspects.clear();
    try {
      for (let from = 0; from < users.length && !this.#closed; from += RESYNC_PAGE)
        await this.#compare(users.slice(from, from + RESYNC_PAGE));
    } catch (error) {
      this.#cannotCompare(error as Error);
    }
    this.#looking = undefined;
    if (this.#suspects.size > 0) this.#lookSoon();
  }

  /** What it has seen is not in the database any more, so its numbers will be given to other changes. */
  #endBeyondInbox(stream: AlertStream): void {
    this.metrics.beyondInbox.add(1);
    const now = performance.now();
    if (now - this.#saidBeyondAt > SAY_AGAIN_MS) {
      this.#saidBeyondAt = now;
      this.deps.logger.error(
        'streams are further than their inboxes: PostgreSQL has lost commits, or a backup was restored; run: ssom-alert epoch renew --yes',
      );
    }
    stream.end(tokenExpired());
  }

  /** Another epoch is another database: what is remembered of the one before goes. */
  #noteEpoch(epoch: number): void {
    if (epoch === this.#epoch) return;
    if (this.#epoch !== 0) this.deps.logger.warn('the database has another epoch: all streams of the one before end');
    this.#epoch = epoch;
    this.deps.contents.clear();
  }

  catchUp(stream: AlertStream): void {
    this.#catchUps.add(stream);
  }

  /** Sends checkpoints when they are due, until the signal aborts. */
  async checkpoints(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await wait(CHECKPOINT_TICK_MS, signal);
      let looked = 0;
      for (const streams of this.#byUser.values()) {
        for (const stream of streams) stream.tick(performance.now());
        looked += 1;
        if (looked % TICK_USERS === 0) await turn();
      }
    }
  }

  /** Compares with PostgreSQL every now and then, until the signal aborts. */
  async resync(signal: AbortSignal): Promise<void> {
    await every(
      this.deps.config.streamHealIntervalMs,
      signal,
      () => this.#compareAll(signal),
      (error) => this.#cannotCompare(error),
    );
  }

  /** Compares with PostgreSQL now, as Kafka does not bring what came before. If that fails, `resync` does it later. */
  async compare(signal: AbortSignal): Promise<void> {
    await this.#compareAll(signal).catch((error: Error) => this.#cannotCompare(error));
  }

  #cannotCompare(error: Error): void {
    this.deps.logger.debug({ err: error }, 'last numbers could not be compared; trying again');
  }

  /**
   * Compares the last numbers of connected users with what their streams have seen, and so finds a change whose record
   * never came. Streams of inactive users, of another epoch, and those that are further than their inbox are ended.
   */
  async #compareAll(signal: AbortSignal): Promise<void> {
    const users = [...this.#byUser.keys()];
    const ahead = new Map<string, number>();
    for (let from = 0; from < users.length; from += RESYNC_PAGE) {
      for (const [userId, last] of await this.#compare(users.slice(from, from + RESYNC_PAGE))) ahead.set(userId, last);
    }
    if (ahead.size === 0) return;
    await wait(RESYNC_PATIENCE_MS, signal);
    for (const [userId, last] of ahead) this.#resyncUser(userId, last);
  }

  async #compare(users: readonly string[]): Promise<[string, number][]> {
    // Only what a stream had reached before the question can be compared with the answer.
    const reached = new Map<AlertStream, number>();
    for (const userId of users) for (const stream of this.#streams(userId)) reached.set(stream, stream.cursor);
    const { epoch, users: states } = await lastSequences(this.deps.database, users);
    this.#noteEpoch(epoch);
    const ahead: [string, number][] = [];
    for (const userId of users) {
      const streams = this.#streams(userId);
      const state = states.get(userId);
      for (const stream of streams) {
        if (!reached.has(stream)) continue;
        if (stream.epoch !== epoch) stream.end(tokenExpired());
        else if (state !== undefined && reached.get(stream)! > state.lastSequence) this.#endBeyondInbox(stream);
      }
      if (state === undefined || !state.active) {
        for (const stream of streams) stream.end(userInactive(userId));
      } else if (streams.some((stream) => stream.cursor < state.lastSequence)) {
        ahead.push([userId, state.lastSequence]);
      }
    }
    return ahead;
  }

  #streams(userId: string): AlertStream[] {
    return [...(this.#byUser.get(userId) ?? [])];
  }

  #resyncUser(userId: string, lastSequence: number): void {
    for (const stream of this.#byUser.get(userId) ?? []) {
      if (stream.cursor >= lastSequence) continue;
      if (stream.isLive) this.metrics.resynced.add(1);
      stream.resync(lastSequence);
    }
  }

  /** Ends all streams so that their clients resume elsewhere. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#looking);
    this.#catchUps.close();
    for (const streams of [...this.#byUser.values()]) for (const stream of [...streams]) leave(stream);
  }
}

/** Clients come back at once, and elsewhere; by chance one a little later than the other. */
function leave(stream: AlertStream): void {
  stream.leave('SHUTTING_DOWN', 'this server shuts down; connect again', Math.round(Math.random() * 200));
}
