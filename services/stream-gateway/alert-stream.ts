import type { ServerWritableStream } from '@grpc/grpc-js';
import type { AlertError } from '../domain/errors.js';
import type { ResumeTokenWriter } from '../domain/resume-token.js';
import type { InboxChangedEvent } from '../events/event-types.js';
import type { Config } from '../lib/config/load.js';
import { resetCall } from '../lib/grpc/reset-call.js';
import { toStatus } from '../lib/grpc/status.js';
import { wallClock } from '../lib/wall-clock.js';
import type { InboxChangeRow } from '../store/inboxes.js';
import type { AlertContents, EncodedAlert } from './alert-contents.js';
import { type EncodableChange, encodeResponse } from './response-encoder.js';
import type { StreamBudget } from './stream-budget.js';
import { credentialsExpired, resumeElsewhere, streamStalled } from './stream-errors.js';
import type { StreamFilter } from './stream-filter.js';
import type { StreamMetrics } from './stream-metrics.js';

export type StreamCall = ServerWritableStream<unknown, Buffer>;

/** What a stream asks of its hub. */
export interface StreamHost {
  readonly contents: AlertContents;
  readonly limits: Pick<Config, 'streamBufferMax' | 'streamStallMs'>;
  readonly budget: StreamBudget;
  readonly metrics: Pick<StreamMetrics, 'gaps' | 'stalled' | 'sent' | 'arrived'>;
  /** Reads the stream's next changes from PostgreSQL, in its turn. */
  catchUp(stream: AlertStream): void;
  /** What came by Kafka is behind the stream, or of another epoch: perhaps the inbox is not the one that it was. */
  suspect(stream: AlertStream): void;
  ended(stream: AlertStream): void;
}

export interface AlertStreamOptions {
  readonly userId: string;
  /** The key of who holds it. */
  readonly caller: string;
  readonly call: StreamCall;
  readonly host: StreamHost;
  readonly filter: StreamFilter;
  /** Of the user, and of the database's epoch when the stream was opened. */
  readonly tokens: ResumeTokenWriter;
  readonly checkpointMs: number;
  /** The client has examined everything up to here already. */
  readonly cursor: number;
  /** The inbox's last number, as far as it is known. */
  readonly inboxEnd: number;
  /** When it is to be resumed elsewhere, by performance.now(). */
  readonly endsAt: number;
  /** Until when its holder is believed, in milliseconds since 1970; undefined: as long as it holds it. */
  readonly believedUntil: number | undefined;
  /** The traceparent of the call that opened it, if that is recorded. */
  readonly openedIn: string | undefined;
}

/**
 * Bytes of alerts after which a response is full, and of waiting responses after which a slow client gets no more. gRPC
 * itself counts responses, 16 of them: with 256 KiB each that was 4 MB a stream.
 */
const RESPONSE_BYTES = 65_536;
/** A checkpoint comes up to so much of its interval early: after a broadcast all streams would be due at once. */
const CHECKPOINT_JITTER = 0.1;
/** How long the client of an ended stream has to read what waits for it: the status comes behind that. */
const RESET_AFTER_MS = 5000;

/**
 * One client's stream. Until it ends it is in one of two states, and in either it may be blocked:
 *
 * - catching up: something behind the cursor is unread. Pages of it come from PostgreSQL (`applyPage`), and what Kafka
 *   brings is buffered. The page that reaches the inbox's end makes it live (`#goLive`), unless PostgreSQL has told
 *   of a later end meanwhile.
 * - live: all up to the cursor was examined, and what Kafka brings is written at once (`#apply`). It falls behind
 *   (`#fallBehind`) when a number or an alert is missing, PostgreSQL is ahead (`resync`), or its buffer overflowed.
 * - blocked: the client's side is full (`#write`), so what Kafka brings is buffered and no page is read. When it has
 *   drained (`#drained`), a live stream writes its buffer (`#flush`), another one asks for its next page.
 *
 * What the buffer has no room for is dropped, since PostgreSQL has it all.
 */
export class AlertStream {
  /** The client's port: equal for all streams of a connection. */
  readonly connection: number;
  readonly #host: StreamHost;

  #live = false;
  #everLive = false;
  /** The client's side is full: nothing is written until it drains. */
  #blocked = false;
  /** Whether what is written now has waited for the client. */
  #backpressured = false;
  #overflowed = false;
  #ended = false;
  /** Runs while an ended stream waits for its client. */
  #reset: NodeJS.Timeout | undefined;

  #cursor: number;
  /** Up to where the client has taken what it was sent. */
  #takenCursor: number;
  /** The inbox's last number, as far as it is known. */
  #inboxEnd: number;
  /** The inbox's end as a comparison saw it during a catch-up: the page under way may have been read before. */
  #seenInDatabase = 0;
  #unreadCount = 0;
  /** The number as of which the unread count holds. */
  #unreadAsOf = -1;

  #buffer: InboxChangedEvent[] = [];
  /** Changes in the buffer. */
  #buffered = 0;
  /** Bytes of responses that the client's side has not taken yet. */
  #pending = 0;
  /** When the client last took something, or had nothing to take. */
  #progressAt = performance.now();
  #nextCheckpoint = 0;

  constructor(private readonly options: AlertStreamOptions) {
    const { call, host, cursor } = options;
    this.connection = portOf(call.getPeer());
    this.#host = host;
    this.#cursor = cursor;
    this.#takenCursor = cursor;
    this.#inboxEnd = options.inboxEnd;
    call.on('drain', () => this.#drained());
    // Fires after a normal end too, once the status was taken.
    call.on('cancelled', () => this.#closed());
    call.on('error', () => this.end());
  }

  get caller(): string {
    return this.options.caller;
  }

  get userId(): string {
    return this.options.userId;
  }

  get openedIn(): string | undefined {
    return this.options.openedIn;
  }

  /** The database's when it was opened: its numbers and tokens mean nothing in another one. */
  get epoch(): number {
    return this.options.tokens.epoch;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** How many changes it may have missed, as far as that is known. */
  get behind(): number {
    return Math.max(0, this.#inboxEnd - this.#cursor);
  }

  get isLive(): boolean {
    return this.#live;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Whether its client does not take what it was sent. */
  get isSlow(): boolean {
    return this.#blocked;
  }

  /** Whether a page is to be read for it: it is behind, and its client takes more. */
  get wantsPage(): boolean {
    return !this.#live && !this.#blocked && !this.#ended;
  }

  /** A change of the user's inbox came by Kafka. Its alerts are in the cache, if they could be loaded. */
  push(event: InboxChangedEvent): void {
    if (this.#ended) return;
    const isOther = event.epoch !== 0 && event.epoch !== this.epoch;
    if (isOther || event.lastSequence < this.#cursor) return this.#host.suspect(this);
    this.#receive(event);
  }

  #receive(event: InboxChangedEvent): void {
    if (this.#ended || event.lastSequence <= this.#cursor) return;
    this.#inboxEnd = Math.max(this.#inboxEnd, event.lastSequence);
    if (this.#live && !this.#blocked) return this.#apply(event);
    const size = Math.max(1, event.changes.length);
    if (this.#overflowed) return;
    if (this.#buffered + size > this.#host.limits.streamBufferMax || !this.#host.budget.reserve(size)) {
      this.#takeBuffer();
      this.#overflowed = true;
      return;
    }
    this.#buffer.push(event);
    this.#buffered += size;
  }

  /** Empties the buffer. */
  #takeBuffer(): InboxChangedEvent[] {
    const events = this.#buffer;
    this.#host.budget.release(this.#buffered);
    this.#buffer = [];
    this.#buffered = 0;
    return events;
  }

  /** PostgreSQL is ahead of what this stream has seen, and Kafka has not brought it: read it. */
  resync(lastSequence: number): void {
    this.#inboxEnd = Math.max(this.#inboxEnd, lastSequence);
    if (this.#ended || this.#cursor >= lastSequence) return;
    if (this.#live) this.#fallBehind();
    else this.#seenInDatabase = lastSequence;
  }

  #apply(event: InboxChangedEvent): void {
    const changes: EncodableChange[] = [];
    let bytes = 0;
    let cursor = this.#cursor;
    for (const { sequence, alertId, type, isRead, traceparent } of event.changes) {
      if (sequence <= cursor) continue;
      if (bytes > RESPONSE_BYTES) break;
      const content = this.#host.contents.get(alertId);
      // A number is missing, or the content could not be loaded: PostgreSQL has both.
      if (sequence !== cursor + 1 || (content === undefined && type !== 'DELETED')) break;
      cursor = sequence;
      // A live client knows every row up to its cursor, so what leaves is always told.
      if (this.options.filter.passes(type, isRead, 0, 0, content)) {
        if (type === 'CREATED' && !this.#backpressured) this.#host.metrics.arrived(content!, traceparent);
        bytes += content?.bytes.length ?? 0;
        changes.push({
          alertId,
          sequence,
          change: type,
          isRead,
          content: type === 'DELETED' ? undefined : content!.bytes,
        });
      }
    }
    this.#cursor = cursor;
    const complete = cursor >= event.lastSequence;
    const full = !complete && bytes > RESPONSE_BYTES;
    if (complete || full) this.#count(event.unreadCount, event.lastSequence);
    if (full) {
      // The count is of the event's end, which this response does not reach.
      this.#write(changes, event.lastSequence - cursor);
      // The rest, at once or when the client has made room.
      return this.#receive(event);
    }
    if (changes.length > 0 && complete) this.#write(changes);
    else if (changes.length > 0) this.#cursor = changes[0]!.sequence - 1;
    if (!complete) {
      // After a bulk change there is nothing in the event to miss.
      if (event.changes.length > 0) this.#host.metrics.gaps.add(1);
      this.#fallBehind();
    }
  }

  #fallBehind(): void {
    this.#live = false;
    this.#host.catchUp(this);
  }

  /**
   * A page of changes behind the cursor, read in one snapshot.
   * @param complete whether the page reaches the inbox's last number
   * @param contents of the page's alerts; what is not in it does not exist
   */
  applyPage(
    changes: readonly InboxChangeRow[],
    complete: boolean,
    inbox: { lastSequence: number; unreadCount: number },
    contents: Pick<ReadonlyMap<number, EncodedAlert>, 'get'> = this.#host.contents,
  ): void {
    if (this.#ended) return;
    let bytes = 0;
    let sent: EncodableChange[] = [];
    // The client has never seen a row that was created behind this cursor, as a page holds each row once.
    const knownUpTo = this.#cursor;
    this.#count(inbox.unreadCount, inbox.lastSequence);
    this.#inboxEnd = Math.max(this.#inboxEnd, inbox.lastSequence);
    for (const { alertId, sequence, createdSequence, change, isRead } of changes) {
      // Another page that was read at the same time had it.
      if (sequence <= this.#cursor) continue;
      if (bytes > RESPONSE_BYTES) {
        this.#write(sent);
        sent = [];
        bytes = 0;
        // The rest is read again when the client has made room.
        if (this.#blocked) return;
      }
      const content = contents.get(alertId);
      this.#cursor = sequence;
      if (!this.options.filter.passes(change, isRead, createdSequence, knownUpTo, content)) continue;
      if (change === 'CREATED' && this.#everLive && !this.#backpressured && content !== undefined)
        this.#host.metrics.arrived(content, '');
      bytes += content?.bytes.length ?? 0;
      sent.push({ alertId, sequence, change, isRead, content: change === 'DELETED' ? undefined : content?.bytes });
    }
    if (complete) this.#cursor = Math.max(this.#cursor, inbox.lastSequence);
    if (sent.length > 0) this.#write(sent);
    if (!complete) return;
    const outdated = this.#seenInDatabase > inbox.lastSequence;
    this.#seenInDatabase = 0;
    if (outdated) this.#fallBehind();
    else this.#goLive();
  }

  #goLive(): void {
    this.#live = true;
    this.#backpressured = this.#blocked;
    if (!this.#everLive) {
      this.#everLive = true;
      this.checkpoint();
    }
    if (!this.#blocked) this.#flush();
  }

  /** What was buffered while the stream was behind or its client slow. */
  #flush(): void {
    const events = this.#takeBuffer();
    const overflowed = this.#overflowed;
    this.#overflowed = false;
    for (const event of events) this.#receive(event);
    if (overflowed && this.#live) this.#fallBehind();
  }

  #drained(): void {
    if (!this.#blocked || this.#ended) return;
    this.#blocked = false;
    if (!this.#live) return this.#host.catchUp(this);
    this.#flush();
    this.#backpressured = this.#blocked;
  }

  /**
   * Sends a checkpoint if nothing was sent for the checkpoint interval, and ends the stream if its time has come.
   * @param now of performance.now(), which no change of the clock moves
   */
  tick(now: number): void {
    if (this.#ended) return;
    if (this.#pending > 0 && now - this.#progressAt > this.#host.limits.streamStallMs) return this.#endStalled();
    const { believedUntil } = this.options;
    if (believedUntil !== undefined && wallClock() >= believedUntil)
      return this.#endWith(credentialsExpired(this.options.tokens.write(this.#cursor)));
    if (now >= this.options.endsAt) return this.leave('STREAM_MAX_AGE', 'this stream is old enough; connect again');
    if (this.#everLive && now >= this.#nextCheckpoint && !this.#blocked) this.checkpoint();
  }

  /** Ends the stream so that its client resumes: a last checkpoint, if it has room, and the token in the status. */
  leave(reason: string, message: string, retryAfterMs = 100): void {
    if (this.#ended) return;
    this.#endWith(resumeElsewhere(reason, message, this.options.tokens.write(this.#cursor), retryAfterMs));
  }

  #endWith(error: AlertError): void {
    if (this.#live && !this.#blocked) this.checkpoint();
    this.end(error);
  }

  #endStalled(): void {
    this.#host.metrics.stalled.add(1);
    this.end(streamStalled(this.#host.limits.streamStallMs, this.options.tokens.write(this.#takenCursor)));
  }

  checkpoint(): void {
    this.#write([]);
  }

  #count(count: number, asOf: number): void {
    if (asOf < this.#unreadAsOf) return;
    this.#unreadCount = count;
    this.#unreadAsOf = asOf;
  }

  /** @param behind how many numbers come after it, as far as is known */
  #write(changes: readonly EncodableChange[], behind = this.#live ? 0 : this.behind): void {
    const cursor = this.#cursor;
    const bytes = encodeResponse(changes, this.options.tokens.write(cursor), this.#unreadCount, behind);
    const now = performance.now();
    if (this.#pending === 0) this.#progressAt = now;
    this.#wait(bytes.length);
    const room = this.options.call.write(bytes, () => {
      // What is dropped with the call may be reported too; it has been given back.
      if (this.#pending === 0) return;
      this.#progressAt = performance.now();
      this.#takenCursor = cursor;
      this.#wait(-bytes.length);
      if (this.#pending <= RESPONSE_BYTES / 2) this.#drained();
    });
    this.#nextCheckpoint = now + this.options.checkpointMs * (1 - Math.random() * CHECKPOINT_JITTER);
    if (!room || this.#pending > RESPONSE_BYTES) this.#blocked = this.#backpressured = true;
    if (changes.length > 0) this.#host.metrics.sent(changes.length);
  }

  #wait(bytes: number): void {
    this.#pending += bytes;
    this.#host.budget.wait(bytes);
  }

  /**
   * Ends the stream: with an error, or because the client went away. A client that does not read its error is cut off
   * after RESET_AFTER_MS; until then what waits for it counts.
   */
  end(error?: AlertError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#takeBuffer();
    this.#host.ended(this);
    if (error === undefined) {
      this.#wait(-this.#pending);
      this.options.call.end();
    } else {
      this.#reset = setTimeout(() => resetCall(this.options.call), RESET_AFTER_MS).unref();
      this.options.call.emit('error', toStatus(error));
    }
  }

  /** The call is over: nothing waits any more. */
  #closed(): void {
    clearTimeout(this.#reset);
    this.end();
    this.#wait(-this.#pending);
  }
}

/** Of an address such as 127.0.0.1:50000 or [::1]:50000. 0 if there is none, as of a Unix socket. */
function portOf(peer: string): number {
  return Number(/:(\d+)$/.exec(peer)?.[1] ?? 0);
}
