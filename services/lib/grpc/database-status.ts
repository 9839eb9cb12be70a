import { AlertError } from '../../domain/errors.js';
import { CallEnded, DatabaseEnding } from '../postgres.js';
import { judgeDatabaseError } from '../postgres-errors.js';

const RETRY_MS = 1000;

/** What a caller is told of an error of the database; undefined if it is not the database's, or a bug of ours. */
export function databaseStatus(error: unknown): AlertError | undefined {
  if (error instanceof CallEnded)
    return new AlertError('CANCELLED', 'CALL_ENDED', 'nobody waits for the answer any more');
  if (error instanceof DatabaseEnding) return unavailable('SHUTTING_DOWN', 'this server shuts down; try again');
  const judgement = judgeDatabaseError(error);
  switch (judgement?.failure) {
    case 'outage':
      return unavailable('DATABASE_UNAVAILABLE', 'the database does not answer at the moment; try again');
    case 'contention':
      return unavailable('DATABASE_BUSY', 'the database took too long, or others hold what is needed; try again');
    case 'data':
      return new AlertError(
        'INVALID_ARGUMENT',
        'INVALID_FIELDS',
        'an argument is beyond what can be stored: a number outside int64, or the character U+0000 in a text',
      );
    default:
      return undefined;
  }
}

function unavailable(reason: string, message: string): AlertError {
  return new AlertError('UNAVAILABLE', reason, message, { retryAfterMs: RETRY_MS });
}
