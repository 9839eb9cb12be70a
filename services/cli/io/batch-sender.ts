import type { CreateAlertRequest } from '../../client/check-request.js';
import type { AlertClient } from '../../client/client.js';
import { AlertClientError, toClientError } from '../../client/errors.js';
import type { BatchItemError__Output, CreateAlertResponse__Output } from '../../gen/types.js';
import { backoffMs, wait } from '../../lib/retry.js';
import { describeItemError } from '../views/problems.js';

/** An alert to send. It needs a request id of its own: it may be sent more than once. */
export interface Item {
  readonly line: number;
  readonly request: CreateAlertRequest;
}

export interface Tally {
  created: number;
  replayed: number;
  refused: number;
  /** Not known to be stored: the service was lost, or the user had enough. */
  unsent: number;
  /** Of those that are stored: they reach nobody. */
  nobody: number;
}

interface SendOptions {
  readonly client: Pick<AlertClient, 'batchCreateAlerts'>;
  readonly signal: AbortSignal;
  readonly tally: Tally;
  /** A pipe, which cannot be read again: its service is waited for from the first alert on. */
  readonly patient: boolean;
  readonly onStored: (line: number, response: CreateAlertResponse__Output) => void;
  readonly onRefused: (line: number, reason: string) => void;
  readonly onProgress: () => Promise<void>;
  /** Called once, when a call fails in a way that the next ones would too; the chunks should end then. */
  readonly onFatal: (error: AlertClientError) => void;
}

/** Calls under way at once: enough to keep the service busy while answers travel, few enough for a fair share. */
const IN_FLIGHT = 4;
/** How long items are sent again that the service asks for again, as long as the client repeats whole calls. */
const ITEMS_AGAIN_MS = 30_000;
/** Until the service has answered once: somebody waits to hear whether it is there at all. */
const FIRST_ATTEMPTS = 5;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5000;

/** Sends chunks by BatchCreateAlerts and counts what became of every item. */
export async function sendChunks(chunks: AsyncIterable<readonly Item[]>, options: SendOptions): Promise<void> {
  const { signal, tally, onFatal } = options;
  const running = new Set<Promise<void>>();
  const service = { hasAnswered: options.patient };
  let fatal = false;
  try {
    for await (const chunk of chunks) {
      if (fatal || signal.aborted) {
        tally.unsent += chunk.length;
        continue;
      }
      const task = sendChunk(chunk, options, service)
        .catch((error: unknown) => {
          if (!fatal && !signal.aborted) onFatal(toClientError(error));
          fatal = true;
        })
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size === IN_FLIGHT) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
}

/** @throws AlertClientError when the call failed for no fault of the items */
async function sendChunk(
  items: readonly Item[],
  options: SendOptions,
  service: { hasAnswered: boolean },
): Promise<void> {
  const { client, signal, tally, onStored, onRefused, onProgress } = options;
  const until = performance.now() + ITEMS_AGAIN_MS;
  for (let attempt = 1, waiting = items; ; attempt += 1) {
    let results;
    try {
      const requests = waiting.map(({ request }) => request);
      const patience = service.hasAnswered ? { signal } : { signal, attempts: FIRST_ATTEMPTS };
      ({ results } = await client.batchCreateAlerts({ requests }, patience));
      service.hasAnswered = true;
    } catch (error) {
      const [only] = waiting;
      if (waiting.length === 1 && isItemsFault(error as AlertClientError)) {
        tally.refused += 1;
        return onRefused(only!.line, (error as AlertClientError).message);
      }
      if (waiting.length > 1 && isItemsFault(error as AlertClientError)) {
        // One of them, or their number: alone it is known which.
        service.hasAnswered = true;
        const middle = waiting.length >> 1;
        await sendChunk(waiting.slice(0, middle), options, service);
        return sendChunk(waiting.slice(middle), options, service);
      }
      tally.unsent += waiting.length;
      throw error;
    }
    const again: Item[] = [];
    let retryAfterMs = 0;
    let why: BatchItemError__Output | undefined;
    for (const [index, item] of waiting.entries()) {
      const { response, error } = results[index] ?? {};
      if (response) {
        if (response.replayed) tally.replayed += 1;
        else tally.created += 1;
        onStored(item.line, response);
      } else if (error && error.retryAfterMs > 0) {
        again.push(item);
        why = error;
        retryAfterMs = Math.max(retryAfterMs, error.retryAfterMs);
      } else {
        tally.refused += 1;
        onRefused(item.line, error ? describeItemError(error) : 'the service did not say what became of it');
      }
    }
    await onProgress();
    if (again.length === 0) return;
    const delayMs = retryAfterMs + backoffMs(attempt - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS);
    const isOver = performance.now() + delayMs > until;
    if (!isOver) await wait(delayMs, signal);
    if (isOver || signal.aborted) {
      tally.unsent += again.length;
      if (signal.aborted) return;
      throw new AlertClientError('UNAVAILABLE', why!.reason, why!.message, { retryAfterMs });
    }
    waiting = again;
  }
}

/** Whether a call was refused because of what it carries, for example as too large. */
function isItemsFault({ code, canRetry }: AlertClientError): boolean {
  return !canRetry && (code === 'INVALID_ARGUMENT' || code === 'RESOURCE_EXHAUSTED' || code === 'FAILED_PRECONDITION');
}
