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

interface AddsRequests {
  addRequest(this: Agent, request: ClientRequest, options: ClientRequestArgs): void;
}

/**
 * A keep-alive agent for firebase-admin that connects to a server of ours, without TLS, whatever host it is asked for: the
 * package has Google's hosts written in. It also makes up for what the package hides or leaves out.
 */
export class RedirectAgent extends Agent {
  readonly #watches = new AsyncLocalStorage<Watch>();
  readonly #port: number;

  constructor(url: string, maxSockets: number) {
    super({ keepAlive: true, maxSockets });
    this.#port = Number(new URL(url).port);
  }

  /**
   * Runs `send` and collects the answers of all its requests: the package's own retries, and the one for an access token.
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
        // A time-out of the package destroys the request too; that one it reports by itself.
        response.once('error', ({ message }) => watch.fail(new AnswerCut(`the answer was cut: ${message}`)));
      });
    }
    const { addRequest } = Agent.prototype as unknown as AddsRequests;
    addRequest.call(this, request, options);
  }
}
