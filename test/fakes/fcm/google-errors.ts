import type { ErrorName } from './control-types.js';

/** An HTTP answer before it is sent. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface FieldViolation {
  readonly field?: string;
  readonly description: string;
}

interface Condition {
  readonly status: number;
  /** google.rpc.Code, by name. */
  readonly canonical: string;
  readonly message: string;
  /** FCM's own code, which details carry; Google's front end has none. */
  readonly fcm?: string;
}

/** From the documentation of ErrorCode; the messages are those seen in answers that people published. */
export const CONDITIONS: Readonly<Record<ErrorName, Condition>> = {
  UNSPECIFIED_ERROR: { status: 500, canonical: 'UNKNOWN', message: 'Unknown error.', fcm: 'UNSPECIFIED_ERROR' },
  INVALID_ARGUMENT: {
    status: 400,
    canonical: 'INVALID_ARGUMENT',
    message: 'Request contains an invalid argument.',
    fcm: 'INVALID_ARGUMENT',
  },
  UNAUTHENTICATED: {
    status: 401,
    canonical: 'UNAUTHENTICATED',
    message:
      'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
  },
  THIRD_PARTY_AUTH_ERROR: {
    status: 401,
    canonical: 'UNAUTHENTICATED',
    message: 'Auth error from APNS or Web Push Service',
    fcm: 'THIRD_PARTY_AUTH_ERROR',
  },
  PERMISSION_DENIED: { status: 403, canonical: 'PERMISSION_DENIED', message: 'The caller does not have permission' },
  SENDER_ID_MISMATCH: {
    status: 403,
    canonical: 'PERMISSION_DENIED',
    message: 'SenderId mismatch',
    fcm: 'SENDER_ID_MISMATCH',
  },
  UNREGISTERED: {
    status: 404,
    canonical: 'NOT_FOUND',
    message: 'Requested entity was not found.',
    fcm: 'UNREGISTERED',
  },
  QUOTA_EXCEEDED: {
    status: 429,
    canonical: 'RESOURCE_EXHAUSTED',
    message: 'Resource has been exhausted (e.g. check quota).',
    fcm: 'QUOTA_EXCEEDED',
  },
  INTERNAL: { status: 500, canonical: 'INTERNAL', message: 'Internal error encountered.', fcm: 'INTERNAL' },
  UNAVAILABLE: {
    status: 503,
    canonical: 'UNAVAILABLE',
    message: 'The service is currently unavailable.',
    fcm: 'UNAVAILABLE',
  },
};

const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest';
const FCM_ERROR = 'type.googleapis.com/google.firebase.fcm.v1.FcmError';
const QUOTA_FAILURE = 'type.googleapis.com/google.rpc.QuotaFailure';
const JSON_TYPE = { 'content-type': 'application/json; charset=UTF-8' };

export function jsonAnswer(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return { status, headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body) };
}

/** The answer of FCM itself: with its own error code in the details. */
export function fcmError(name: ErrorName, message?: string, retryAfter?: number | string): Answer {
  const { status, canonical, message: usual, fcm } = CONDITIONS[name];
  const details: unknown[] = fcm === undefined ? [] : [{ '@type': FCM_ERROR, errorCode: fcm }];
  if (name === 'QUOTA_EXCEEDED') {
    details.push({ '@type': QUOTA_FAILURE, violations: [{ subject: 'send', description: 'Message rate exceeded' }] });
  }
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  if (status === 401)
    headers['www-authenticate'] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"';
  const error = { code: status, message: message ?? usual, status: canonical, ...(details.length > 0 && { details }) };
  return jsonAnswer(status, { error }, headers);
}

/** The answer of Google's front end to JSON that is not of the API's form: it names the fields, and has no FCM code. */
export function badRequest(violations: readonly FieldViolation[]): Answer {
  const message = violations.map(({ description }) => description).join('\n');
  const details = [{ '@type': BAD_REQUEST, fieldViolations: violations }];
  return jsonAnswer(400, { error: { code: 400, message, status: 'INVALID_ARGUMENT', details } });
}

/** FCM's answer to a message that has the right form and breaks a rule. */
export function invalidArgument({ field, description }: FieldViolation): Answer {
  const details = [
    { '@type': FCM_ERROR, errorCode: 'INVALID_ARGUMENT' },
    ...(field === undefined ? [] : [{ '@type': BAD_REQUEST, fieldViolations: [{ field, description }] }]),
  ];
  return jsonAnswer(400, { error: { code: 400, message: description, status: 'INVALID_ARGUMENT', details } });
}
