import type * as grpc from '@grpc/grpc-js';
import type { StreamAlertsRequest, StreamAlertsResponse__Output } from '../gen/types.js';
import { slowTokenError } from './call.js';
import { cancelCall } from './cancel-call.js';
import { AlertClientError, type StatusName, toClientError } from './errors.js';
import type { StreamChannel } from './stream-channel.js';
import { withinMs } from './within-ms.js';

/** A gateway that is away, or full. */
const ANOTHER_MAY_DO: ReadonlySet<StatusName> = new Set<StatusName>(['UNAVAILABLE', 'RESOURCE_EXHAUSTED']);
/** Two missed checkpoints, and half an interval in which the second may be late. */
const SILENT_INTERVALS = 2.5;
/** The first response also waits for name, connection, token and the first page, however short the interval. */
const FIRST_RESPONSE_MS = 10_000;

/**
 * The responses of one call; it ends without an error when the signal aborts.
 * @param refused whether the credentials of the call before were
 * @throws ServiceError, or AlertClientError CHECKPOINTS_MISSED when the service falls silent
 */
export async function* receive(
  channel: StreamChannel,
  request: StreamAlertsRequest,
  refused: boolean,
  checkpointIntervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<StreamAlertsResponse__Output, void, undefined> {
  const silenceMs = SILENT_INTERVALS * checkpointIntervalMs;
  const firstMs = Math.max(FIRST_RESPONSE_MS, silenceMs);
  const opening = channel.open(request, refused);
  const opened = await withinMs(opening, firstMs, signal);
  if (opened === undefined) {
    // Once there is a token there will be a call that nobody reads.
    opening.then(
      ({ responses, ended }) => {
        cancel(responses);
        ended();
      },
      () => undefined,
    );
    if (signal.aborted) return;
    throw slowTokenError(firstMs);
  }
  const { responses, lost, ended } = opened;
  const onAbort = () => cancelCall(responses);
  signal.addEventListener('abort', onAbort, { once: true });
  // The iterator reports errors; the one of our own cancel comes after it has been left.
  responses.on('error', () => undefined);
  const iterator = responses[Symbol.asyncIterator]() as AsyncIterator<StreamAlertsResponse__Output>;
  try {
    for (let waitMs = firstMs; !signal.aborted; waitMs = silenceMs) {
      // The clock runs only while we wait: a consumer that takes its time is no dead connection.
      const next = await withinMs(iterator.next(), waitMs, signal);
      if (signal.aborted || next?.done === true) return;
      if (next === undefined) throw checkpointsMissed(waitMs);
      yield next.value;
    }
  } catch (error) {
    // With a reason it was the gateway that refused, or fell silent: over the same connection it would do so again.
    const { code, reason } = toClientError(error);
    if (!signal.aborted && ANOTHER_MAY_DO.has(code)) lost(reason !== '');
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    cancelCall(responses);
    ended();
  }
}

function cancel(responses: grpc.ClientReadableStream<unknown>): void {
  responses.on('error', () => undefined);
  cancelCall(responses);
}

function checkpointsMissed(ms: number): AlertClientError {
  return new AlertClientError(
    'UNAVAILABLE',
    'CHECKPOINTS_MISSED',
    `nothing arrived for ${ms} ms, two checkpoints were missed: the connection is taken for dead`,
  );
}
