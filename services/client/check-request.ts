import { randomUUID } from 'node:crypto';
import { messageType } from '../api/protos.js';
import type { CreateAlertRequest as AlertToSend, StreamAlertsRequest } from '../gen/types.js';
import { invalid } from './check.js';
import { checkPlain, checkRequest, isPlain } from './request-form.js';
import type { Time } from './time.js';

/** See AlertService.CreateAlert. */
export interface CreateAlertRequest extends Omit<AlertToSend, 'occurredAt'> {
  /**
   * When it happened, as the source says: from 1970 to one day ahead. Any other time is replaced by now. Absent means
   * now.
   */
  occurredAt?: Time | null;
}

/** See AlertService.BatchCreateAlerts. */
export interface BatchCreateAlertsRequest {
  /** 1 to 500 alerts. */
  requests?: CreateAlertRequest[];
}

/** An alert that has all that is needed to send it. */
export type NamedAlert = AlertToSend & { requestId: string };

const ALERT = messageType('ssom.alert.v1.CreateAlertRequest');
const STREAM = messageType('ssom.alert.v1.StreamAlertsRequest');
const FILTER_FIELDS = messageType('ssom.alert.v1.StreamFilter').fieldsArray.map(({ name }) => name);

/**
 * An alert as it is sent, with a request id.
 * @throws AlertClientError INVALID_ARGUMENT naming a field whose value the protocol has no form for
 */
export function checkAlert(request: CreateAlertRequest): NamedAlert {
  checkPlain(request, 'request');
  return checkRequest(ALERT, { ...wellFormed(request), requestId: request.requestId || randomUUID() }) as NamedAlert;
}

const READ_BY_PEOPLE = ['title', 'message', 'labels', 'recipients'] as const;

/**
 * An alert whose texts can be sent: half of a character (a lone surrogate) becomes U+FFFD in texts and names of
 * recipients. On the wire it would become one or three of them.
 */
function wellFormed(alert: CreateAlertRequest): CreateAlertRequest {
  return { ...alert, ...Object.fromEntries(READ_BY_PEOPLE.map((name) => [name, mended(alert[name])])) };
}

/** Without keys: they are compared. */
function mended(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(mended);
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mended(each)]));
}

/** @throws AlertClientError INVALID_ARGUMENT, also for what is in no filter: it would let everything pass */
export function checkStream(request: StreamAlertsRequest): void {
  checkRequest(STREAM, request);
  const unknown = Object.keys(request.filter ?? {}).find((key) => !FILTER_FIELDS.includes(key));
  if (unknown !== undefined) throw invalid('filter', `has ${FILTER_FIELDS.join(', ')}, and no '${unknown}'`);
}
