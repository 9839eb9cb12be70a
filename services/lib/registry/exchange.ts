import http from 'node:http';
import https from 'node:https';
import type { ClientTls } from '../tls-client-files.js';

export interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly timeoutMs: number;
  readonly tls: ClientTls;
  /** Bytes of an answer; a longer one is an error. */
  readonly answerMax: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** Where a redirect points to. */
  readonly location: string | undefined;
}

/**
 * One request over HTTP or HTTPS, which follows nobody elsewhere: what it carries is for this server alone.
 * @throws if the connection fails or ends early, if all of it takes longer than `timeoutMs`, or for a longer answer
 */
export function exchange(to: URL, request: HttpRequest): Promise<HttpAnswer> {
  const { method, headers, body, timeoutMs, tls, answerMax } = request;
  const signal = AbortSignal.timeout(timeoutMs);
  const isTls = to.protocol === 'https:';
  // A connection for each: there are few, and what authenticates them may have been replaced.
  const options = { method, headers, signal, agent: false, ...(isTls ? tls : {}) } as const;
  return new Promise((resolve, reject) => {
    // The signal's own error says that it was a time-out; Node's says that it was aborted.
    const fail = (error: Error) => reject(signal.aborted ? (signal.reason as Error) : error);
    const call = (isTls ? https : http).request(to, options, (response) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes > answerMax) response.destroy(new Error(`an answer of more than ${answerMax} bytes`));
      });
      response.on('error', fail);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(pieces).toString(),
          location: response.headers.location,
        }),
      );
    });
    call.on('error', fail);
    call.end(body);
  });
}
