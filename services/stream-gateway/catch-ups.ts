import { tokenExpired } from '../domain/resume-token.js';
import { Batcher } from '../lib/batcher.js';
import type { Config } from '../lib/config/load.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { backoffMs, wait } from '../lib/retry.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { StatementSpans } from '../lib/telemetry/statements.js';
import { failSpan, type Span, traceparentOf, type Tracing } from '../lib/telemetry/tracing.js';
import { changesAfter } from '../store/inboxes.js';
import type { AlertContents } from './alert-contents.js';
import type { AlertStream } from './alert-stream.js';

interface CatchUpDeps {
  readonly config: Pick<Config, 'streamPageSize' | 'streamCatchUpsMax' | 'streamsMax'>;
  readonly database: Database;
  readonly contents: AlertContents;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** A stream has come further than its inbox goes. */
  readonly onBeyondInbox: (stream: AlertStream) => void;
}

/** A stream and how many changes are read for it. */
interface Turn {
  readonly stream: AlertStream;
  readonly limit: number;
}

/**
 * Reads from PostgreSQL what streams have missed: STREAM_CATCH_UPS_MAX queries at once, of about a page each. A stream
 * far behind has a page to itself in its turn; those that missed little share one query by hundreds.
 */
export class CatchUps {
  /** Streams that wait for their turn; a stream is in it once. */
  readonly #queue = new Set<AlertStream>();
  /** Streams that are being read for: a second reader would read the same page. */
  readonly #reading = new Set<AlertStream>();
  readonly #readers;
  readonly #queries;
  #failures = 0;
  #closed = false;

  constructor(private readonly deps: CatchUpDeps) {
    const { metrics, config } = deps;
    this.#readers = new Batcher<Turn>({
      workersMax: () => config.streamCatchUpsMax,
      take: () => (this.#closed ? [] : this.#next()),
      work: (turns) => this.#work(turns),
    });
    this.#queries = metrics.counter('ssom.stream.catch_up.queries', 'Queries for what streams have missed.');
    metrics.gauge('ssom.stream.catch_up.waiting', 'Streams that wait for a catch-up query.', () => this.#queue.size);
    metrics.queue('catch_ups', () => this.#queue.size, config.streamsMax);
  }

  add(stream: AlertStream): void {
    // Whoever reads for it looks again when the page is done.
    if (stream.hasEnded || this.#reading.has(stream)) return;
    this.#queue.add(stream);
    this.#readers.wake();
  }

  remove(stream: AlertStream): void {
    this.#queue.delete(stream);
  }

  close(): void {
    this.#closed = true;
  }

  async #work(turns: readonly Turn[]): Promise<void> {
    for (const { stream } of turns) this.#reading.add(stream);
    try {
      await this.#read(turns);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const waitMs = 200 + backoffMs(this.#failures, 200, 3000);
      this.deps.logger.warn(
        { err: error, streams: turns.length, waitMs: Math.round(waitMs) },
        'streams could not catch up; trying again',
      );
      await wait(waitMs);
    }
    for (const { stream } of turns) {
      this.#reading.delete(stream);
      if (stream.wantsPage) this.#queue.add(stream);
    }
  }

  /** The streams whose turn it is: together they have missed a page at most, or it is one alone. */
  #next(): Turn[] {
    const { streamPageSize } = this.deps.config;
    const turns: Turn[] = [];
    let room = streamPageSize;
    for (const stream of this.#queue) {
      // One more than is known of, to see that there is no more.
      const limit = Math.min(streamPageSize, stream.behind + 1);
      if (turns.length > 0 && limit > room) break;
      this.#queue.delete(stream);
      if (!stream.wantsPage) continue;
      turns.push({ stream, limit });
      room -= limit;
    }
    return turns;
  }

  async #read(turns: readonly Turn[]): Promise<void> {
    const span = this.#startSpan(turns);
    try {
      await this.#readPages(turns, span);
      span?.end();
    } catch (error) {
      failSpan(span, error as Error);
      throw error;
    }
  }

  /** In a trace of its own: it serves many streams, each of which may have been opened days ago. */
  #startSpan(turns: readonly Turn[]): Span | undefined {
    const { tracing } = this.deps;
    if (!tracing.enabled) return undefined;
    return tracing.start(SPAN.catchUp, {
      links: turns.flatMap(({ stream }) => stream.openedIn ?? []),
      attributes: {
        [ATTR.streams]: turns.length,
        [ATTR.streamBehind]: turns.reduce((sum, { stream }) => sum + stream.behind, 0),
      },
    });
  }

  async #readPages(turns: readonly Turn[], span: Span | undefined): Promise<void> {
    const { tracing } = this.deps;
    const observer = span?.isRecording() === true ? new StatementSpans(tracing, traceparentOf(span)) : undefined;
    const database = observer === undefined ? this.deps.database : this.deps.database.observedBy(observer);
    const cursors = turns.map(({ stream, limit }) => ({ userId: stream.userId, after: stream.cursor, limit }));
    const pages = await changesAfter(database, cursors);
    this.#queries.add(1);
    const alertIds = pages.flatMap(({ changes }) => changes.map(({ alertId }) => alertId));
    const contents = await this.deps.contents.load(alertIds, observer);
    for (const [index, { stream, limit }] of turns.entries()) {
      const page = pages[index]!;
      if (page.epoch !== undefined && page.epoch !== stream.epoch) stream.end(tokenExpired());
      // The page was read after the stream had come that far.
      else if (page.lastSequence < cursors[index]!.after) this.deps.onBeyondInbox(stream);
      else if (stream.cursor < page.prunedSequence) stream.end(tokenExpired());
      else stream.applyPage(page.changes, page.changes.length < limit, page, contents);
    }
  }
}
