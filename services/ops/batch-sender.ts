import type { AlertClient } from '../client/client.js';
import { toClientError, type AlertClientError } from '../client/errors.js';
import type { CreateAlertRequest } from '../lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
import { backoffMs, wait } from '../lib/retry.js';
import { describeItemError } from './problems.js';

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
}

interface SendOptions {
  readonly client: Pick<AlertClient, 'batchCreateAlerts'>;
  readonly signal: AbortSignal;
  readonly tally: Tally;
  readonly onRefused: (line: number, reason: string) => void;
  readonly onProgress: () => void;
  /** Called once, when a call fails in a way that the next ones would too; the chunks should end then. */
  readonly onFatal: (error: AlertClientError) => void;
}

/** Calls under way at once: enough to keep the service busy while answers travel, few enough for a fair share. */
const IN_FLIGHT = 4;
/** Of an item that the service asks to send again; the client's own repetition of whole calls comes on top. */
const ITEM_ATTEMPTS = 6;
/** Somebody waits to hear whether the service is there at all. */
const CALL_ATTEMPTS = 5;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5000;

/** Sends chunks by BatchCreateAlerts and counts what became of every item. */
export async function sendChunks(chunks: AsyncIterable<readonly Item[]>, options: SendOptions): Promise<void> {
  const { signal, tally, onFatal } = options;
  const running = new Set<Promise<void>>();
  let fatal = false;
  try {
    for await (const chunk of chunks) {
      if (fatal || signal.aborted) {
        tally.unsent += chunk.length;
        continue;
      }
      const task = sendChunk(chunk, options)
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
async function sendChunk(items: readonly Item[], options: SendOptions): Promise<void> {
  const { client, signal, tally, onRefused, onProgress } = options;
  for (let attempt = 1, waiting = items; ; attempt += 1) {
    let results;
    try {
      const requests = waiting.map(({ request }) => request);
      ({ results } = await client.batchCreateAlerts({ requests }, { signal, attempts: CALL_ATTEMPTS }));
    } catch (error) {
      const [only] = waiting;
      if (waiting.length === 1 && isItemsFault(error as AlertClientError)) {
        tally.refused += 1;
        return onRefused(only!.line, (error as AlertClientError).message);
      }
      tally.unsent += waiting.length;
      throw error;
    }
    const again: Item[] = [];
    let retryAfterMs = 0;
    for (const [index, item] of waiting.entries()) {
      const { response, error } = results[index] ?? {};
      if (response) {
        if (response.replayed) tally.replayed += 1;
        else tally.created += 1;
      } else if (error && error.retryAfterMs > 0 && attempt < ITEM_ATTEMPTS) {
        again.push(item);
        retryAfterMs = Math.max(retryAfterMs, error.retryAfterMs);
      } else {
        tally.refused += 1;
        onRefused(item.line, error ? describeItemError(error) : 'the service did not say what became of it');
      }
    }
    onProgress();
    if (again.length === 0) return;
    await wait(retryAfterMs + backoffMs(attempt - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS), signal);
    if (signal.aborted) {
      tally.unsent += again.length;
      return;
    }
    waiting = again;
  }
}

/** Whether a call with one item was refused because of that item, for example as too large. */
function isItemsFault({ code, canRetry }: AlertClientError): boolean {
  return !canRetry && (code === 'INVALID_ARGUMENT' || code === 'RESOURCE_EXHAUSTED' || code === 'FAILED_PRECONDITION');
}
