import type * as grpc from '@grpc/grpc-js';
import { wait } from '../lib/retry.js';
import { CallSpan } from '../lib/telemetry/call-span.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import { wallClock } from '../lib/wall-clock.js';
import { checkTimeout, checkWhole, DAY_MS } from './check.js';
import { AlertClientError, amended, toClientError } from './errors.js';
import { type Backoff, retryDelayMs } from './retry-delay.js';
import { withinMs } from './within-ms.js';

export interface CallOptions {
  /**
   * How long one attempt may take, in milliseconds; 1 to 86,400,000; 10,000 unless the client was made with another.
   */
  readonly timeoutMs?: number;
  /** Cancels the call, which then fails with CANCELLED. */
  readonly signal?: AbortSignal;
}

export interface RepeatOptions extends CallOptions {
  /** How often it is tried in all, at most; as often as fits into `retryForMs` unless given. */
  readonly attempts?: number;
  /**
   * How long after the call another attempt may begin, in milliseconds, 0 to 86,400,000; 30,000. With the last attempt
   * it takes up to `timeoutMs` more.
   */
  readonly retryForMs?: number;
}

export interface CreateOptions extends RepeatOptions {
  /**
   * Send it together with others that are created at the same time: far cheaper for many, and no slower for one.
   * `timeoutMs` and `signal` are the client's then.
   */
  readonly batch?: boolean;
}

export type Unary<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;

/** The methods that a generated client has of its own, in lower case, with the comments of the proto file. */
type Own<Client> = Pick<Client, Exclude<keyof Client & Uncapitalize<keyof Client & string>, keyof grpc.Client>>;
type AsPromises<Client> = {
  readonly [M in keyof Client]: Client[M] extends (
    request: infer Request,
    callback: grpc.requestCallback<infer Response>,
  ) => grpc.ClientUnaryCall
    ? Unary<Request, Response>
    : never;
};

/** A generated client whose methods return promises. */
export type Calls<Client> = AsPromises<Own<Client>>;

/** What is needed to call a method, of its definition. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface CallSettings {
  /** Of the connection. */
  readonly stub: grpc.Client;
  readonly timeoutMs: number;
  /**
   * Identity of a call that starts now, and the caller's trace.
   * @param refused whether the service did not accept the credentials of the attempt before
   */
  readonly metadata: (refused: boolean) => Promise<grpc.Metadata>;
  /** Whether there may be others when credentials were refused. */
  readonly hasFreshCredentials: boolean;
  /** Aborted when the client was closed. */
  readonly closed: AbortSignal;
}

export function closedError(): AlertClientError {
  return new AlertClientError('CANCELLED', 'CLIENT_CLOSED', 'the client is closed; make another one with createClient');
}

function cancelledError(): AlertClientError {
  return new AlertClientError('CANCELLED', 'ABORTED', 'the call was cancelled by its signal');
}

export function slowTokenError(ms: number): AlertClientError {
  return new AlertClientError('DEADLINE_EXCEEDED', 'TOKEN_SOURCE_SLOW', `identity.token gave no token within ${ms} ms`);
}

/**
 * A method as a function that returns a promise, has a deadline and can be cancelled. Refused credentials are asked for
 * anew, once.
 */
export function unary<Request, Response>(
  settings: CallSettings,
  method: Method<Request, Response>,
): Unary<Request, Response> {
  return async (request, options = {}) => {
    try {
      return await callTraced(settings, method, request, options, false);
    } catch (error) {
      const refused = error instanceof AlertClientError && error.code === 'UNAUTHENTICATED';
      if (!refused || !settings.hasFreshCredentials) throw error;
      return callTraced(settings, method, request, options, true);
    }
  };
}

async function callTraced<Request, Response>(
  settings: CallSettings,
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions,
  refused: boolean,
): Promise<Response> {
  const span = new CallSpan(method.path.slice(1));
  try {
    const response = await callOnce(settings, span, method, request, options, refused);
    span.end();
    return response;
  } catch (error) {
    span.end(error as AlertClientError);
    throw error;
  }
}

async function callOnce<Request, Response>(
  settings: CallSettings,
  span: CallSpan,
  method: Method<Request, Response>,
  request: Request,
  { timeoutMs = settings.timeoutMs, signal }: CallOptions,
  refused: boolean,
): Promise<Response> {
  checkTimeout('timeoutMs', timeoutMs);
  if (settings.closed.aborted) throw closedError();
  if (signal?.aborted) throw cancelledError();
  let cancel: (() => void) | undefined;
  const until = performance.now() + timeoutMs;
  try {
    const metadata = await withinMs(settings.metadata(refused), timeoutMs, signal);
    if (settings.closed.aborted) throw closedError();
    if (signal?.aborted) throw cancelledError();
    if (metadata === undefined) throw slowTokenError(timeoutMs);
    if (span.traceparent !== undefined) metadata.set(TRACEPARENT, span.traceparent);
    return await new Promise<Response>((resolve, reject) => {
      // gRPC takes a time of day; it turns it into a timer at once, which no step of the clock moves.
      const deadline = wallClock() + until - performance.now();
      const { path, requestSerialize, responseDeserialize } = method;
      const answer: grpc.requestCallback<Response> = (error, response) =>
        error === null ? resolve(response!) : reject(error);
      const call = settings.stub.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline },
        answer,
      );
      cancel = () => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  } catch (error) {
    throw signal?.aborted ? cancelledError() : toClientError(error);
  } finally {
    if (cancel !== undefined) signal?.removeEventListener('abort', cancel);
  }
}

/** Longer than the service takes to start again. */
const RETRY_FOR_MS = 30_000;
const BACKOFF: Backoff = { baseMs: 100, capMs: 5000 };

/**
 * Tries again what may succeed later (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED with a RetryInfo, a connection
 * that broke), never before the service's RetryInfo. Only for requests that are harmless to repeat.
 * @throws AlertClientError the last one, with the request ids
 */
export async function repeat<T>(
  attempt: () => Promise<T>,
  requestIds: readonly string[],
  { attempts = Number.MAX_SAFE_INTEGER, retryForMs = RETRY_FOR_MS, signal }: RepeatOptions,
  closed: AbortSignal,
): Promise<T> {
  checkWhole('attempts', attempts, 1, Number.MAX_SAFE_INTEGER);
  checkWhole('retryForMs', retryForMs, 0, DAY_MS);
  const until = performance.now() + retryForMs;
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (failure) {
      const error = amended(toClientError(failure), { requestIds });
      const delayMs = retryDelayMs(error, failures, BACKOFF);
      // Rather the error now than a wait for nothing.
      if (!error.canRetry || failures + 1 >= attempts || performance.now() + delayMs > until) throw error;
      const ended = signal === undefined ? closed : AbortSignal.any([signal, closed]);
      await wait(delayMs, ended);
      if (signal?.aborted) throw amended(cancelledError(), { requestIds });
    }
  }
}
