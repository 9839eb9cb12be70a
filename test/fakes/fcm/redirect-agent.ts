import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientRequest, ClientRequestArgs, IncomingMessage } from 'node:http';
import { Agent } from 'node:https';
import { connect, type Socket } from 'node:net';

/** What one attempt of a request was answered. */
export interface Attempt {
  readonly status: number;
  /** As it came: seconds or a date. */
  readonly retryAfter: string | undefined;
}

/** The connection ended in the middle of an answer: nobody knows whether the message was accepted. */
export class AnswerCut extends Error {
  readonly code = 'ANSWER_CUT';
}

interface Watch {
  readonly attempts: Attempt[];
  readonly fail: (error: AnswerCut) => void;
}

/** firebase-admin tries again after these, and after a 503 unless Retry-After is above a minute. */
const RETRIED = ['ECONNRESET', 'ETIMEDOUT'];
const NOT_TODAY = '86400';

interface AddsRequests {
  addRequest(this: Agent, request: ClientRequest, options: ClientRequestArgs): void;
}

/**
 * A keep-alive agent for firebase-admin that connects to a server of ours, without TLS, whatever host it is asked for:
 * the package has Google's hosts written in. It also makes up for what the package hides or leaves out.
 */
export class RedirectAgent extends Agent {
  readonly #watches = new AsyncLocalStorage<Watch>();
  readonly #port: number;

  /**
   * @param timeoutMs when given, each send is one attempt, which takes at most so long; else the package tries again
   */
  constructor(
    url: string,
    maxSockets: number,
    private readonly timeoutMs?: number,
  ) {
    super({ keepAlive: true, maxSockets });
    this.#port = Number(new URL(url).port);
  }

  /**
   * Runs `send` and collects the answers of all its requests: the package's own retries, and the one for an access
   * token.
   * @returns `result` is what `send` gives. It rejects with AnswerCut where firebase-admin 13 would wait without end.
   */
  watch<T>(send: () => Promise<T>): { result: Promise<T>; attempts: readonly Attempt[] } {
    const attempts: Attempt[] = [];
    const result = new Promise<T>((resolve, reject) => {
      this.#watches.run({ attempts, fail: reject }, send).then(resolve, reject);
    });
    return { result, attempts };
  }

  override createConnection(): Socket {
    return connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
  }

  /** Node calls this for every request, in the asynchronous context of who made it. Its types do not know it. */
  addRequest(request: ClientRequest, options: ClientRequestArgs): void {
    const watch = this.#watches.getStore();
    if (watch !== undefined) {
      request.once('response', (response: IncomingMessage) => {
        watch.attempts.push({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
        response.once('error', ({ message }) => watch.fail(new AnswerCut(`the answer was cut: ${message}`)));
      });
    }
    if (this.timeoutMs !== undefined) makeSingleAttempt(request, this.timeoutMs);
    const { addRequest } = Agent.prototype as unknown as AddsRequests;
    addRequest.call(this, request, options);
  }
}

/**
 * The package has no setting for its retries or its time-out of 15 s: this keeps it from seeing a reason to try again.
 */
function makeSingleAttempt(request: ClientRequest, timeoutMs: number): void {
  const giveUp = () => request.destroy(codedError(`no answer within ${timeoutMs} ms`, 'SEND_TIMEOUT'));
  const timer = setTimeout(giveUp, timeoutMs);
  request.once('close', () => clearTimeout(timer));
  // Both listeners come before the package's own, which it adds later or which looks at the headers only at the end.
  request.once('error', (error: NodeJS.ErrnoException) => {
    if (RETRIED.includes(error.code ?? '')) error.code = `ONCE_${error.code}`;
  });
  request.once('response', ({ statusCode, headers }: IncomingMessage) => {
    if (statusCode === 503) headers['retry-after'] = NOT_TODAY;
  });
}

function codedError(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
