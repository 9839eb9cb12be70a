import type grpc from '@grpc/grpc-js';
import { backoffMs, wait } from '../lib/retry.js';
import { AlertClientError, toClientError } from './errors.js';

export interface CallOptions {
  /** How long one attempt may take; 10,000 unless the client was made with another. */
  readonly timeoutMs?: number;
  /** Cancels the call, which then fails with CANCELLED. */
  readonly signal?: AbortSignal;
}

export interface RepeatOptions extends CallOptions {
  /** How often it is tried in all; 5. */
  readonly attempts?: number;
}

export type Unary<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;

/** A method of a generated client, in the one of its overloads that we use. */
export type Method<Request, Response> = (
  request: Request,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  callback: grpc.requestCallback<Response>,
) => grpc.ClientUnaryCall;

export interface CallSettings {
  readonly timeoutMs: number;
  /** Identity and trace of a call that starts now. */
  readonly metadata: () => grpc.Metadata;
  /** Aborted when the client was closed. */
  readonly closed: AbortSignal;
}

export function closedError(): AlertClientError {
  return new AlertClientError('CANCELLED', 'CLIENT_CLOSED', 'the client is closed; make another one with createClient');
}

/** A method as a function that returns a promise, has a deadline and can be cancelled. */
export function unary<Request, Response>(
  settings: CallSettings,
  method: Method<Request, Response>,
): Unary<Request, Response> {
  return async (request, { timeoutMs = settings.timeoutMs, signal } = {}) => {
    if (settings.closed.aborted) throw closedError();
    if (signal?.aborted) throw new AlertClientError('CANCELLED', 'ABORTED', 'the call was cancelled before it began');
    let cancel: (() => void) | undefined;
    try {
      return await new Promise<Response>((resolve, reject) => {
        const options = { deadline: Date.now() + timeoutMs };
        const call = method(request, settings.metadata(), options, (error, response) => {
          if (error === null) resolve(response!);
          else reject(error);
        });
        cancel = () => call.cancel();
        signal?.addEventListener('abort', cancel, { once: true });
      });
    } catch (error) {
      throw toClientError(error);
    } finally {
      if (cancel !== undefined) signal?.removeEventListener('abort', cancel);
    }
  };
}

const ATTEMPTS = 5;
const BACKOFF_BASE_MS = 100;
const BACKOFF_CAP_MS = 5000;

/**
 * Tries again what may succeed later (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED with a RetryInfo), never
 * before the service's RetryInfo. Only for requests that are harmless to repeat.
 * @throws AlertClientError the last one
 */
export async function repeat<T>(attempt: () => Promise<T>, options: RepeatOptions): Promise<T> {
  for (let failures = 0; ;) {
    try {
      return await attempt();
    } catch (error) {
      failures += 1;
      if (!(error instanceof AlertClientError) || !error.canRetry || failures >= (options.attempts ?? ATTEMPTS)) {
        throw error;
      }
      await wait((error.retryAfterMs ?? 0) + backoffMs(failures - 1, BACKOFF_BASE_MS, BACKOFF_CAP_MS), options.signal);
    }
  }
}
