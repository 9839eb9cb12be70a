import { AlertError } from '../domain/errors.js';

/** A client that is refused comes back after this, perhaps to another gateway. */
const REFUSED_RETRY_MS = 2000;

export function tooManyStreams(max: number): AlertError {
  return new AlertError(
    'RESOURCE_EXHAUSTED',
    'TOO_MANY_STREAMS',
    `this gateway holds ${max} streams already (STREAMS_MAX); try again, at another one if there are several`,
    { retryAfterMs: REFUSED_RETRY_MS },
  );
}

export function tooManyStreamsOfUser(userId: string, max: number): AlertError {
  return new AlertError(
    'RESOURCE_EXHAUSTED',
    'TOO_MANY_STREAMS_OF_USER',
    `user '${userId}' holds ${max} streams here already (STREAMS_PER_USER_MAX); end one of them first`,
    { retryAfterMs: REFUSED_RETRY_MS },
  );
}

/** @param caller its key */
export function tooManyStreamsOfCaller(caller: string, max: number): AlertError {
  return new AlertError(
    'RESOURCE_EXHAUSTED',
    'TOO_MANY_STREAMS_OF_CALLER',
    `${caller} holds ${max} streams here already (STREAMS_PER_CALLER_MAX); end some of them, or try another gateway`,
    { retryAfterMs: REFUSED_RETRY_MS },
  );
}

/** The stream ends through no fault of its client, which goes on with the token, here or elsewhere. */
export function resumeElsewhere(
  reason: string,
  message: string,
  resumeToken: string,
  retryAfterMs: number,
): AlertError {
  return new AlertError('UNAVAILABLE', reason, `${message} with the last resume_token`, {
    retryAfterMs,
    metadata: { resume_token: resumeToken },
  });
}

/** Who holds the stream is believed no longer, and goes on with the token once it has fresh credentials. */
export function credentialsExpired(resumeToken: string): AlertError {
  return new AlertError(
    'UNAUTHENTICATED',
    'TOKEN_EXPIRED',
    'the token or certificate that opened this stream has expired; connect again with a fresh one and the last resume_token',
    { metadata: { resume_token: resumeToken } },
  );
}

/** @param resumeToken of what the client has read */
export function streamStalled(stallMs: number, resumeToken: string): AlertError {
  const seconds = Math.round(stallMs / 1000);
  return new AlertError(
    'RESOURCE_EXHAUSTED',
    'STREAM_STALLED',
    `nothing of what waits for this stream was read for ${seconds} s; connect again with the last resume_token that was read`,
    { retryAfterMs: 1000, metadata: { resume_token: resumeToken } },
  );
}
