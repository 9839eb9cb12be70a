import type { StoredAlert, Unreached } from '../domain/alert.js';
import { AlertError, type FieldViolation, invalidArgument } from '../domain/errors.js';

const FULL_RETRY_MS = 500;
const OUTBOX_RETRY_MS = 5000;
const NAMES_SHOWN = 10;

/** @param own those of this caller */
export function tooManyRequests(waiting: number, own: number): AlertError {
  const message = `${waiting} requests wait for the database already, ${own} of this caller; try again later`;
  return new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_REQUESTS', message, { retryAfterMs: FULL_RETRY_MS });
}

export function outboxFull(): AlertError {
  const message = 'too many alerts wait for Kafka, which is away; try again later';
  return new AlertError('UNAVAILABLE', 'OUTBOX_FULL', message, { retryAfterMs: OUTBOX_RETRY_MS });
}

export function requestIdReused(requestId: string, { alertId }: StoredAlert): AlertError {
  return new AlertError(
    'FAILED_PRECONDITION',
    'REQUEST_ID_REUSED',
    `request_id '${requestId}' was used for alert ${alertId} with other contents; use a new one for a new alert`,
    { metadata: { alert_id: String(alertId) } },
  );
}

/** None of the names is known and active. */
export function recipientsError({ names, count }: Unreached): AlertError {
  const violations: FieldViolation[] = names.slice(0, NAMES_SHOWN).map(({ list, name, reason }) => ({
    field: `recipients.${list.toLowerCase()}`,
    description: reason === 'INACTIVE' ? `'${name}' is inactive` : `'${name}' does not exist`,
  }));
  if (count > NAMES_SHOWN) {
    violations.push({
      field: 'recipients',
      description: `and ${count - NAMES_SHOWN} more do not exist or are inactive`,
    });
  }
  return invalidArgument(violations);
}
