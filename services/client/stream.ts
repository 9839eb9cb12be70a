import grpc from '@grpc/grpc-js';
import type { StreamAlertsRequest } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsRequest.js';
import type { StreamAlertsResponse__Output } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsResponse.js';
import type { StreamFilter } from '../lib/grpc/types/ssom/alert/v1/StreamFilter.js';
import type { Logger } from '../lib/logging.js';
import { backoffMs, wait } from '../lib/retry.js';
import { AlertClientError, toClientError } from './errors.js';
import type { TokenStore } from './token-store.js';
import { withinMs } from './within-ms.js';

/** What becomes of the stream, for those who want to show it or must act on it. */
export type StreamEvent =
  /** The first response arrived. */
  | { readonly type: 'connected' }
  /** The stream has caught up: what comes now comes as it happens. */
  | { readonly type: 'live' }
  /** It broke; the next try is in `retryInMs`, from the last resume token. */
  | { readonly type: 'lost'; readonly error: AlertClientError; readonly retryInMs: number }
  /**
   * The resume token is of no use any more (RESUME_TOKEN_EXPIRED): forget the inbox that you have. The stream begins again
   * with all of it, when the handler's promise is fulfilled.
   */
  | { readonly type: 'expired'; readonly error: AlertClientError };

/** `connecting` before the first response of a connection, `catching up` until everything older has come, then `live`. */
export type StreamState = 'connecting' | 'catching up' | 'live' | 'ended';

/** The responses of StreamAlerts across connections, checkpoints included. It can be iterated once. */
export interface AlertStream extends AsyncIterable<StreamAlertsResponse__Output> {
  readonly state: StreamState;
  /** How many numbers of the inbox's sequence come after the last response, as far as the service knew; 0 when live. */
  readonly behind: number;
  /** Milliseconds since the last response, checkpoints included: beyond two intervals the connection is given up. */
  readonly silentMs: number;
}

export interface StreamOptions {
  /** Whose inbox; the caller's own unless given. */
  readonly userId?: string;
  /** The last resume token that was seen. */
  readonly resumeToken?: string;
  /**
   * Where the place in the stream is kept, in the place of `resumeToken`. A response's token is saved when the next one is
   * asked for, so what you were doing when you crashed comes again.
   */
  readonly tokens?: TokenStore;
  /** Where to begin without a token; now. */
  readonly start?: 'now' | 'beginning';
  readonly filter?: StreamFilter;
  /** How often the service says that it is alive; 15,000. */
  readonly checkpointIntervalMs?: number;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** False: the first loss of the connection is thrown. An object changes the waits between tries, in milliseconds. */
  readonly reconnect?: boolean | { readonly baseMs: number; readonly capMs: number };
  /**
   * Without it an expired token is thrown (OUT_OF_RANGE, RESUME_TOKEN_EXPIRED) instead of told. A promise is awaited.
   */
  readonly onEvent?: (event: StreamEvent) => unknown;
}

/** One connection for streams, which can be exchanged for another. */
export interface StreamConnection {
  /**
   * Opens a call; `lost` is told when it failed, `silent` if nothing came rather than an error: the next call is to use
   * another connection where that may help.
   * @param refused whether the credentials of the call before were
   */
  open(
    request: StreamAlertsRequest,
    refused: boolean,
  ): Promise<{
    readonly call: grpc.ClientReadableStream<StreamAlertsResponse__Output>;
    readonly lost: (silent: boolean) => void;
  }>;
}

/** A gateway that is away, or full. */
const ANOTHER_MAY_DO: ReadonlySet<grpc.status> = new Set([grpc.status.UNAVAILABLE, grpc.status.RESOURCE_EXHAUSTED]);
const CHECKPOINT_INTERVAL_MS = 15_000;
/** Two missed checkpoints, and half an interval in which the second may be late. */
const SILENT_INTERVALS = 2.5;
/** Full jitter over half a second at first: when a gateway restarts, all of its clients come back at once. */
const RECONNECT = { baseMs: 500, capMs: 15_000 } as const;

/** With credentials that are refused so often in a row nobody gets in. */
const REFUSALS_MAX = 3;

/**
 * The responses of StreamAlerts, checkpoints included, across connections: after a loss it goes on behind the last
 * response that was handed over. While the consumer is busy nothing more than 16 responses is fetched ahead (grpc-js's
 * buffer), and the service keeps the rest. Iterating throws an AlertClientError for what another connection does not cure.
 */
export class ResumingStream implements AlertStream {
  state: StreamState = 'connecting';
  behind = 0;
  #heardAt = performance.now();

  constructor(
    private readonly connection: StreamConnection,
    private readonly options: StreamOptions,
    private readonly closed: AbortSignal,
    private readonly logger: Logger | undefined,
  ) {}

  get silentMs(): number {
    return Math.round(performance.now() - this.#heardAt);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
    try {
      yield* this.#responses();
    } finally {
      this.state = 'ended';
    }
  }

  async *#responses(): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
    const { reconnect = true, tokens, onEvent } = this.options;
    const { baseMs, capMs } = typeof reconnect === 'object' ? reconnect : RECONNECT;
    const signal =
      this.options.signal === undefined ? this.closed : AbortSignal.any([this.closed, this.options.signal]);
    const checkpointIntervalMs = Math.round(this.options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS);
    const request: StreamAlertsRequest = {
      userId: this.options.userId ?? '',
      resumeToken: (await tokens?.load()) ?? this.options.resumeToken ?? '',
      start: this.options.start === 'beginning' ? 'STREAM_START_BEGINNING' : 'STREAM_START_NOW',
      filter: this.options.filter ?? null,
      checkpointInterval: toDuration(checkpointIntervalMs),
    };
    let failures = 0;
    let refusals = 0;
    /** Told, with nothing received since: a service that says so again is not right, and no reason to spin. */
    let expired = false;
    while (!signal.aborted) {
      let error: AlertClientError;
      this.state = 'connecting';
      try {
        const silenceMs = SILENT_INTERVALS * checkpointIntervalMs;
        for await (const response of responses(this.connection, request, refusals > 0, silenceMs, signal)) {
          failures = 0;
          refusals = 0;
          expired = false;
          await this.#note(response);
          yield response;
          request.resumeToken = response.resumeToken;
          await tokens?.save(response.resumeToken);
        }
        if (reconnect === false) return;
        error = new AlertClientError('UNAVAILABLE', 'STREAM_ENDED', 'the stream ended');
      } catch (thrown) {
        error = toClientError(thrown);
      }
      if (signal.aborted) return;
      if (error.reason === 'RESUME_TOKEN_EXPIRED' && onEvent !== undefined && !expired) {
        expired = true;
        await tokens?.save(undefined);
        request.resumeToken = '';
        request.start = 'STREAM_START_BEGINNING';
        this.state = 'connecting';
        await onEvent({ type: 'expired', error });
        continue;
      }
      if (error.code === 'UNAUTHENTICATED') refusals += 1;
      const again = isCuredByReconnecting(error) || (error.code === 'UNAUTHENTICATED' && refusals < REFUSALS_MAX);
      if (reconnect === false || !again) throw error;
      const retryInMs = Math.round((error.retryAfterMs ?? 0) + backoffMs(failures, baseMs, capMs));
      failures += 1;
      this.state = 'connecting';
      this.logger?.info({ code: error.code, reason: error.reason, retryInMs }, 'the alert stream was lost');
      await onEvent?.({ type: 'lost', error, retryInMs });
      await wait(retryInMs, signal);
    }
  }

  async #note({ changes, behind }: StreamAlertsResponse__Output): Promise<void> {
    const { onEvent } = this.options;
    this.#heardAt = performance.now();
    this.behind = behind;
    if (this.state === 'connecting') {
      this.state = 'catching up';
      await onEvent?.({ type: 'connected' });
    }
    if (this.state !== 'live' && changes.length === 0) {
      this.state = 'live';
      await onEvent?.({ type: 'live' });
    }
  }
}

/** A connection that breaks is UNAVAILABLE, or CANCELLED or INTERNAL by an RST_STREAM that nobody here asked for. */
function isCuredByReconnecting(error: AlertClientError): boolean {
  if (error.canRetry || error.code === 'CANCELLED') return true;
  return error.code === 'INTERNAL' && error.message.startsWith('Received RST_STREAM');
}

function toDuration(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

/** The responses of one call. @throws AlertClientError CHECKPOINTS_MISSED when the service falls silent */
async function* responses(
  connection: StreamConnection,
  request: StreamAlertsRequest,
  refused: boolean,
  silenceMs: number,
  signal: AbortSignal,
): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
  const { call, lost } = await connection.open(request, refused);
  if (signal.aborted) {
    call.on('error', () => undefined);
    call.cancel();
    return;
  }
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  // The iterator reports errors; the one of our own cancel comes after it has been left.
  call.on('error', () => undefined);
  const iterator = call[Symbol.asyncIterator]() as AsyncIterator<StreamAlertsResponse__Output>;
  try {
    for (;;) {
      // The clock runs only while we wait: a consumer that takes its time is no dead connection.
      const next = await withinMs(iterator.next(), silenceMs);
      if (next === undefined) {
        lost(true);
        throw new AlertClientError(
          'UNAVAILABLE',
          'CHECKPOINTS_MISSED',
          `nothing arrived for ${silenceMs} ms, two checkpoints were missed: the connection is taken for dead`,
        );
      }
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    if (ANOTHER_MAY_DO.has((error as grpc.ServiceError).code)) lost(false);
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}
