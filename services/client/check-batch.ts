import * as grpc from '@grpc/grpc-js';
import type { BatchCreateAlertsResponse__Output, BatchCreateAlertsResult__Output } from '../gen/types.js';
import { invalid, shown } from './check.js';
import {
  type BatchCreateAlertsRequest,
  checkAlert,
  type CreateAlertRequest,
  type NamedAlert,
} from './check-request.js';
import { AlertClientError } from './errors.js';
import { checkPlain } from './request-form.js';

interface CheckedBatch {
  /** Those that can be sent, in order. */
  readonly requests: NamedAlert[];
  /** Of all, in order; empty for one that cannot be sent and has none. */
  readonly requestIds: readonly string[];
  /** The answers to those that were sent, and in their places the refusals of the others. */
  readonly complete: (results: readonly BatchCreateAlertsResult__Output[]) => BatchCreateAlertsResponse__Output;
}

/**
 * One alert that has no form in the protocol is refused alone, as the service refuses one.
 * @throws AlertClientError INVALID_ARGUMENT for what is no list of alerts
 */
export function checkBatch(batch: BatchCreateAlertsRequest): CheckedBatch {
  checkPlain(batch, 'request');
  const given = batch.requests ?? [];
  if (!Array.isArray(given)) throw invalid('requests', `must be an array, not ${shown(given)}`);
  const checked = (given as CreateAlertRequest[]).map(checkedOrRefused);
  return {
    requests: checked.flatMap(({ request }) => request ?? []),
    requestIds: checked.map(({ requestId }) => requestId),
    complete: (results) => {
      const answers = results.values();
      return { results: checked.flatMap(({ refused }) => refused ?? answers.next().value ?? []) };
    },
  };
}

interface Checked {
  readonly requestId: string;
  readonly request?: NamedAlert;
  readonly refused?: BatchCreateAlertsResult__Output;
}

function checkedOrRefused(given: CreateAlertRequest): Checked {
  try {
    const request = checkAlert(given);
    return { requestId: request.requestId, request };
  } catch (thrown) {
    if (!(thrown instanceof AlertClientError)) throw thrown;
    const { reason, message, violations } = thrown;
    const code = grpc.status[thrown.code];
    const error = { code, reason, message, fieldViolations: [...violations], retryAfterMs: 0 };
    const requestId: unknown = given?.requestId;
    return {
      requestId: typeof requestId === 'string' ? requestId : '',
      refused: { error, outcome: 'error' },
    };
  }
}
