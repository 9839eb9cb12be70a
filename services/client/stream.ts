import type { StreamAlertsRequest, StreamAlertsResponse__Output, StreamFilter } from '../gen/types.js';
import { wait } from '../lib/retry.js';
import { checkTimeout, checkWhole, invalid, shown } from './check.js';
import { checkStream } from './check-request.js';
import { AlertClientError, amended, messageOf, toClientError } from './errors.js';
import { receive } from './receive.js';
import { type Backoff, retryDelayMs } from './retry-delay.js';
import type { StreamChannel } from './stream-channel.js';
import type { TokenStore } from './token-store.js';
import { unlessAborted } from './within-ms.js';

/** The part of pino's loggers that is used. */
export interface Logger {
  info(fields: object, message: string): void;
}

/** What becomes of the stream, for those who want to show it or must act on it. */
export type StreamEvent =
  /** The first response arrived. */
  | { readonly type: 'connected' }
  /** The stream has caught up: what comes now comes as it happens. */
  | { readonly type: 'live' }
  /** It broke; the next try is in `retryInMs`, from the last resume token. */
  | { readonly type: 'lost'; readonly error: AlertClientError; readonly retryInMs: number }
  /**
   * The resume token is of no use any more (RESUME_TOKEN_EXPIRED; RESUME_TOKEN_AHEAD, after a backup was restored):
   * forget the inbox that you have. The stream begins again with all of it, when the handler's promise is fulfilled.
   */
  | { readonly type: 'expired'; readonly error: AlertClientError };

/**
 * `connecting` before the first response of a connection, `catching up` until everything older has come, then `live`.
 */
export type StreamState = 'connecting' | 'catching up' | 'live' | 'ended';

/** The responses of StreamAlerts across connections, checkpoints included. It can be iterated once. */
export interface AlertStream extends AsyncIterable<StreamAlertsResponse__Output> {
  readonly state: StreamState;
  /** How many numbers of the inbox's sequence come after the last response, as far as the service knew; 0 when live. */
  readonly behind: number;
  /**
   * Milliseconds since the last response, checkpoints included: beyond two and a half intervals the connection is given
   * up.
   */
  readonly silentMs: number;
}

export interface StreamOptions {
  /** Whose inbox; the caller's own unless given. */
  readonly userId?: string;
  /** The last resume token that was seen. */
  readonly resumeToken?: string;
  /**
   * Where the place in the stream is kept, in the place of `resumeToken`. A response's token is saved when the next one
   * is asked for, so what you were doing when you crashed comes again.
   */
  readonly tokens?: TokenStore;
  /** Where to begin without a token; now. */
  readonly start?: 'now' | 'beginning';
  readonly filter?: StreamFilter;
  /** How often the service says that it is alive, in milliseconds: 1,000 to 300,000; 15,000 unless given. */
  readonly checkpointIntervalMs?: number;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** False: the first loss of the connection is thrown. An object changes the waits between tries, in milliseconds. */
  readonly reconnect?: boolean | Backoff;
  /**
   * Without it an expired token is thrown (OUT_OF_RANGE, RESUME_TOKEN_EXPIRED) instead of told. A promise is awaited.
   */
  readonly onEvent?: (event: StreamEvent) => unknown;
}

const CHECKPOINT_INTERVAL_MS = 15_000;
/** Full jitter over half a second at first: when a gateway restarts, all of its clients come back at once. */
const RECONNECT: Backoff = { baseMs: 500, capMs: 15_000 };

/** Resume tokens that no other connection would take. */
const OUTLIVED: ReadonlySet<string> = new Set(['RESUME_TOKEN_EXPIRED', 'RESUME_TOKEN_AHEAD']);
/** With credentials that are refused so often in a row nobody gets in. */
const REFUSALS_MAX = 3;

/**
 * The responses of StreamAlerts, checkpoints included, across connections: after a loss it goes on behind the last
 * response that was handed over. While the consumer is busy nothing more than 16 responses is fetched ahead (grpc-js's
 * buffer), and the service keeps the rest. Iterating throws an AlertClientError for what another connection does not
 * cure, and whatever `onEvent` throws.
 */
export class ResumingStream implements AlertStream {
  state: StreamState = 'connecting';
  behind = 0;
  #heardAt = performance.now();
  /** Connections lost, and of those credentials refused, since the last response. */
  #failures = 0;
  #refusals = 0;
  /** The loss that was logged last, since the last response. */
  #logged = '';
  /** Told, with nothing received since: a service that says so again is not right, and no reason to spin. */
  #expired = false;
  #iterated = false;
  /** Aborted when the consumer has left. */
  readonly #left = new AbortController();
  readonly #signal: AbortSignal;
  readonly #checkpointIntervalMs: number;

  /** @throws AlertClientError INVALID_ARGUMENT for what could not be right */
  constructor(
    private readonly channel: StreamChannel,
    private readonly options: StreamOptions,
    closed: AbortSignal,
    private readonly logger: Logger | undefined,
  ) {
    const { signal, checkpointIntervalMs = CHECKPOINT_INTERVAL_MS } = options;
    this.#signal = AbortSignal.any([closed, this.#left.signal, ...(signal === undefined ? [] : [signal])]);
    checkOptions(options);
    checkWhole('checkpointIntervalMs', checkpointIntervalMs, 1000, 300_000);
    this.#checkpointIntervalMs = checkpointIntervalMs;
  }

  get silentMs(): number {
    return Math.round(performance.now() - this.#heardAt);
  }

  /** @throws AlertClientError FAILED_PRECONDITION the second time: two would share one place in the stream */
  [Symbol.asyncIterator](): AsyncIterator<StreamAlertsResponse__Output, void, undefined> {
    if (this.#iterated) {
      const message = 'this stream was iterated before; call streamAlerts again for another one';
      throw new AlertClientError('FAILED_PRECONDITION', 'STREAM_ITERATED_TWICE', message);
    }
    this.#iterated = true;
    const responses = this.#responses();
    return {
      next: () => responses.next(),
      return: () => {
        // A generator's own return() waits until a next() that was called before is answered.
        this.#left.abort();
        return responses.return();
      },
    };
  }

  async *#responses(): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
    try {
      yield* this.#connections();
    } finally {
      this.state = 'ended';
    }
  }

  /** One connection after the other. */
  async *#connections(): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
    const request = await this.#firstRequest();
    while (!this.#signal.aborted) {
      this.state = 'connecting';
      const loss = yield* this.#connection(request);
      if (this.#signal.aborted) return;
      this.state = 'connecting';
      if (OUTLIVED.has(loss.reason) && this.options.onEvent !== undefined && !this.#expired) {
        // The stored token stays until there is a new one: who dies before that is told again, and misses nothing.
        this.#expired = true;
        request.resumeToken = '';
        request.start = 'STREAM_START_BEGINNING';
        await this.#tell({ type: 'expired', error: loss });
      } else {
        await this.#beforeNext(loss);
      }
    }
  }

  async #firstRequest(): Promise<StreamAlertsRequest> {
    const { tokens, resumeToken = '', userId = '', start, filter = null } = this.options;
    const stored = tokens === undefined ? undefined : await this.#stored(() => tokens.load());
    return {
      userId,
      resumeToken: stored ?? resumeToken,
      start: start === 'beginning' ? 'STREAM_START_BEGINNING' : 'STREAM_START_NOW',
      filter,
      checkpointInterval: toDuration(this.#checkpointIntervalMs),
    };
  }

  /** Hands over the responses of one connection, and moves the request on behind them. @returns why it ended */
  async *#connection(
    request: StreamAlertsRequest,
  ): AsyncGenerator<StreamAlertsResponse__Output, AlertClientError, undefined> {
    const { tokens } = this.options;
    const received = receive(this.channel, request, this.#refusals > 0, this.#checkpointIntervalMs, this.#signal);
    try {
      for (;;) {
        let next;
        try {
          next = await received.next();
        } catch (error) {
          return toClientError(error);
        }
        if (next.done === true) return ended();
        await this.#note(next.value);
        if (this.#signal.aborted) return ended();
        yield next.value;
        const { resumeToken } = next.value;
        request.resumeToken = resumeToken;
        if (tokens !== undefined) await this.#stored(() => tokens.save(resumeToken));
      }
    } finally {
      await received.return();
    }
  }

  async #note({ changes, behind }: StreamAlertsResponse__Output): Promise<void> {
    this.#heardAt = performance.now();
    this.#failures = 0;
    this.#refusals = 0;
    this.#logged = '';
    this.#expired = false;
    this.behind = behind;
    if (this.state === 'connecting') {
      this.state = 'catching up';
      await this.#tell({ type: 'connected' });
    }
    if (this.state !== 'live' && changes.length === 0) {
      this.state = 'live';
      await this.#tell({ type: 'live' });
    }
  }

  /** What goes on, such as too many streams, is said once. */
  #log({ code, reason, message }: AlertClientError, retryInMs: number): void {
    const loss = `${code} ${reason}`;
    if (loss !== this.#logged)
      this.logger?.info({ code, reason, problem: message, retryInMs }, 'the alert stream was lost');
    this.#logged = loss;
  }

  /** Whoever reads of a bad token wants to know where it was. */
  #withPlace(loss: AlertClientError): AlertClientError {
    const { name } = this.options.tokens ?? {};
    if (name === undefined || !loss.reason.startsWith('RESUME_TOKEN_')) return loss;
    return amended(loss, { message: `${loss.message} (the token is from ${name})` });
  }

  /** @throws what the handler throws */
  async #tell(event: StreamEvent): Promise<void> {
    if (this.#signal.aborted) return;
    const handle = async () => this.options.onEvent?.(event);
    await unlessAborted(handle(), this.#signal);
  }

  /** @throws AlertClientError TOKEN_STORE_FAILED for what the store throws: another connection would not cure it */
  async #stored<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await unlessAborted(work(), this.#signal);
    } catch (error) {
      const message = `the token store failed: ${messageOf(error)}`;
      throw new AlertClientError('INTERNAL', 'TOKEN_STORE_FAILED', message, { cause: error });
    }
  }

  /** Waits until the next connection may be made. @throws AlertClientError the loss, if none would be better */
  async #beforeNext(loss: AlertClientError): Promise<void> {
    const { reconnect = true } = this.options;
    if (loss.code === 'UNAUTHENTICATED') this.#refusals += 1;
    if (reconnect === false || !isCuredByReconnecting(loss, this.#refusals)) throw this.#withPlace(loss);
    const retryInMs = retryDelayMs(loss, this.#failures, reconnect === true ? RECONNECT : reconnect);
    this.#failures += 1;
    this.#log(loss, retryInMs);
    await this.#tell({ type: 'lost', error: loss, retryInMs });
    await wait(retryInMs, this.#signal);
  }
}

function checkOptions({ userId = '', resumeToken = '', start, filter, reconnect }: StreamOptions): void {
  if (start !== undefined && start !== 'now' && start !== 'beginning') {
    throw invalid('start', `must be 'now' or 'beginning', not ${shown(start)}`);
  }
  checkStream({ userId, resumeToken, filter: filter ?? null });
  if (typeof reconnect !== 'object') return;
  checkTimeout('reconnect.baseMs', reconnect.baseMs);
  checkTimeout('reconnect.capMs', reconnect.capMs);
}

function ended(): AlertClientError {
  return new AlertClientError('UNAVAILABLE', 'STREAM_ENDED', 'the stream ended');
}

/**
 * A connection that breaks is UNAVAILABLE. An RST_STREAM that nobody here asked for is CANCELLED or INTERNAL; or, since
 * a gateway cuts off who does not read, RESOURCE_EXHAUSTED without a reason.
 */
function isCuredByReconnecting(loss: AlertClientError, refusals: number): boolean {
  if (loss.code === 'UNAUTHENTICATED') return refusals < REFUSALS_MAX;
  if (loss.canRetry || loss.code === 'CANCELLED') return true;
  return loss.code === 'RESOURCE_EXHAUSTED' && loss.reason === '';
}

function toDuration(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}
