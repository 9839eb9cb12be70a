import type grpc from '@grpc/grpc-js';
import type { StreamAlertsRequest } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsRequest.js';
import type { StreamAlertsResponse__Output } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsResponse.js';
import type { StreamFilter } from '../lib/grpc/types/ssom/alert/v1/StreamFilter.js';
import type { Logger } from '../lib/logging.js';
import { backoffMs, wait } from '../lib/retry.js';
import { AlertClientError, toClientError } from './errors.js';
import { withinMs } from './within-ms.js';

/** What becomes of the connection, for those who want to show it. */
export type StreamEvent =
  /** The first response arrived. */
  | { readonly type: 'connected' }
  /** The stream has caught up: what comes now comes as it happens. */
  | { readonly type: 'live' }
  /** It broke; the next try is in `retryInMs`, from the last resume token. */
  | { readonly type: 'lost'; readonly error: AlertClientError; readonly retryInMs: number };

export interface StreamOptions {
  /** Whose inbox; the caller's own unless given. */
  readonly userId?: string;
  /** The last resume token that was seen. */
  readonly resumeToken?: string;
  /** Where to begin without a token; now. */
  readonly start?: 'now' | 'beginning';
  readonly filter?: StreamFilter;
  /** How often the service says that it is alive; 15,000. */
  readonly checkpointIntervalMs?: number;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** False: the first loss of the connection is thrown. An object changes the waits between tries, in milliseconds. */
  readonly reconnect?: boolean | { readonly baseMs: number; readonly capMs: number };
  readonly onEvent?: (event: StreamEvent) => void;
}

/** One connection for streams, which can be exchanged for another. */
export interface StreamConnection {
  /** Opens a call; `abandon` replaces the connection beneath it, so that the next call does not use it. */
  open(request: StreamAlertsRequest): {
    readonly call: grpc.ClientReadableStream<StreamAlertsResponse__Output>;
    readonly abandon: () => void;
  };
}

const CHECKPOINT_INTERVAL_MS = 15_000;
/** Two missed checkpoints, and half an interval in which the second may be late. */
const SILENT_INTERVALS = 2.5;
/** Full jitter over half a second at first: when a gateway restarts, all of its clients come back at once. */
const RECONNECT = { baseMs: 500, capMs: 15_000 } as const;

/**
 * The responses of StreamAlerts, checkpoints included, across connections: after a loss it goes on behind the last
 * response that was handed over. While the consumer is busy nothing more than 16 responses is fetched ahead (grpc-js's
 * buffer), and the service keeps the rest.
 * @throws AlertClientError what another connection does not cure, for example OUT_OF_RANGE RESUME_TOKEN_EXPIRED
 */
export async function* streamAlerts(
  connection: StreamConnection,
  options: StreamOptions,
  closed: AbortSignal,
  logger: Logger | undefined,
): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
  const { reconnect = true, onEvent } = options;
  const { baseMs, capMs } = typeof reconnect === 'object' ? reconnect : RECONNECT;
  const signal = options.signal === undefined ? closed : AbortSignal.any([closed, options.signal]);
  const checkpointIntervalMs = Math.round(options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS);
  const silenceMs = SILENT_INTERVALS * checkpointIntervalMs;
  const request: StreamAlertsRequest = {
    userId: options.userId ?? '',
    start: options.start === 'beginning' ? 'STREAM_START_BEGINNING' : 'STREAM_START_NOW',
    filter: options.filter ?? null,
    checkpointInterval: toDuration(checkpointIntervalMs),
  };
  let resumeToken = options.resumeToken ?? '';
  let failures = 0;
  while (!signal.aborted) {
    let error: AlertClientError;
    let connected = false;
    let live = false;
    try {
      for await (const response of responses(connection, { ...request, resumeToken }, silenceMs, signal)) {
        failures = 0;
        resumeToken = response.resumeToken;
        if (!connected) onEvent?.({ type: 'connected' });
        connected = true;
        if (!live && response.changes.length === 0) {
          live = true;
          onEvent?.({ type: 'live' });
        }
        yield response;
      }
      if (reconnect === false) return;
      error = new AlertClientError('UNAVAILABLE', 'STREAM_ENDED', 'the stream ended');
    } catch (thrown) {
      error = toClientError(thrown);
    }
    if (signal.aborted) return;
    if (reconnect === false || !isCuredByReconnecting(error)) throw error;
    const retryInMs = Math.round((error.retryAfterMs ?? 0) + backoffMs(failures, baseMs, capMs));
    failures += 1;
    logger?.info({ code: error.code, reason: error.reason, retryInMs }, 'the alert stream was lost');
    onEvent?.({ type: 'lost', error, retryInMs });
    await wait(retryInMs, signal);
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
  silenceMs: number,
  signal: AbortSignal,
): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
  const { call, abandon } = connection.open(request);
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
        abandon();
        throw new AlertClientError(
          'UNAVAILABLE',
          'CHECKPOINTS_MISSED',
          `nothing arrived for ${silenceMs} ms, two checkpoints were missed: the connection is taken for dead`,
        );
      }
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
}
