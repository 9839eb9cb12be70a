import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { AlertError, ErrorCode, FieldViolation } from '../../domain/errors.js';

/** The domain of every ErrorInfo. */
export const ERROR_DOMAIN = 'alert.ssom';
const DETAILS_KEY = 'grpc-status-details-bin';
/**
 * A status travels in headers, of which many clients take 8 KiB; above 64 KiB nghttp2 sends nothing and cuts off the
 * connection with all its calls. In the message a byte may become three characters (%EC), in the details 4/3.
 */
const MESSAGE_BYTES = 900;
const VIOLATION_BYTES = 300;
const VIOLATIONS_BYTES = 2500;

/** The one table from domain errors to gRPC. */
const STATUS: Record<ErrorCode, grpc.status> = {
  INVALID_ARGUMENT: grpc.status.INVALID_ARGUMENT,
  NOT_FOUND: grpc.status.NOT_FOUND,
  PERMISSION_DENIED: grpc.status.PERMISSION_DENIED,
  UNAUTHENTICATED: grpc.status.UNAUTHENTICATED,
  FAILED_PRECONDITION: grpc.status.FAILED_PRECONDITION,
  OUT_OF_RANGE: grpc.status.OUT_OF_RANGE,
  RESOURCE_EXHAUSTED: grpc.status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: grpc.status.UNAVAILABLE,
  DEADLINE_EXCEEDED: grpc.status.DEADLINE_EXCEEDED,
  CANCELLED: grpc.status.CANCELLED,
  INTERNAL: grpc.status.INTERNAL,
};

/** The messages of google.rpc that travel in the trailer, by their field numbers. */
const google = protobuf.Root.fromJSON({
  nested: {
    Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: {
      fields: {
        code: { type: 'int32', id: 1 },
        message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Any', id: 3 },
      },
    },
    ErrorInfo: {
      fields: {
        reason: { type: 'string', id: 1 },
        domain: { type: 'string', id: 2 },
        metadata: { keyType: 'string', type: 'string', id: 3 },
      },
    },
    FieldViolation: { fields: { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } } },
    BadRequest: { fields: { fieldViolations: { rule: 'repeated', type: 'FieldViolation', id: 1 } } },
    Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
    RetryInfo: { fields: { retryDelay: { type: 'Duration', id: 1 } } },
  },
} as protobuf.INamespace);

function any(name: string, value: object): { typeUrl: string; value: Uint8Array } {
  const type = google.lookupType(name);
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: type.encode(type.fromObject(value)).finish() };
}

/** A text of at most so many bytes, and a sign that there was more. */
function cut(text: string, bytes: number): string {
  // A character of UTF-16 has at most three bytes.
  if (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) return text;
  const kept = Buffer.from(text)
    .subarray(0, bytes - 3)
    .toString();
  // What was cut within a character shows as replacements.
  return `${kept.replace(/\uFFFD+$/, '')}…`;
}

/** The first violations, as many as a trailer holds, and how many there are besides. */
function fitting(violations: readonly FieldViolation[]): FieldViolation[] {
  const kept: FieldViolation[] = [];
  let bytes = 0;
  for (const violation of violations) {
    const field = cut(violation.field, VIOLATION_BYTES);
    const description = cut(violation.description, VIOLATION_BYTES);
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description) + 8;
    if (bytes > VIOLATIONS_BYTES) break;
    kept.push({ field, description });
  }
  const more = violations.length - kept.length;
  if (more > 0) kept.push({ field: '', description: `and ${more} more` });
  return kept;
}

/** What is sent of an error, of a call or of an item of a batch: what is long is shortened, so that it arrives. */
export function sent(error: AlertError) {
  return {
    code: STATUS[error.code],
    message: cut(error.message, MESSAGE_BYTES),
    reason: error.reason,
    metadata: error.metadata,
    violations: fitting(error.violations),
    retryAfterMs: error.retryAfterMs,
  };
}

/** A domain error as a gRPC status with ErrorInfo, BadRequest and RetryInfo in its trailer. */
export function toStatus(error: AlertError): { code: grpc.status; details: string; metadata: grpc.Metadata } {
  const { code, message, reason, metadata: facts, violations, retryAfterMs } = sent(error);
  const details = [any('ErrorInfo', { reason, domain: ERROR_DOMAIN, metadata: facts })];
  if (violations.length > 0) details.push(any('BadRequest', { fieldViolations: violations }));
  if (retryAfterMs !== undefined) {
    const seconds = Math.floor(retryAfterMs / 1000);
    details.push(any('RetryInfo', { retryDelay: { seconds, nanos: Math.round((retryAfterMs % 1000) * 1e6) } }));
  }
  const type = google.lookupType('Status');
  const metadata = new grpc.Metadata();
  const bytes = type.encode(type.fromObject({ code, message, details })).finish();
  metadata.set(DETAILS_KEY, Buffer.from(bytes));
  return { code, details: message, metadata };
}

/** What a caller finds in an error: the reason, violations and waiting time, as far as they were sent. */
export interface StatusDetails {
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
}

/** Reads the details of a ServiceError; empty ones if there are none or they cannot be read. */
export function statusDetails(error: { metadata?: grpc.Metadata }): StatusDetails {
  let reason = '';
  let metadata: Record<string, string> = {};
  let violations: FieldViolation[] = [];
  let retryAfterMs: number | undefined;
  const bytes = error.metadata?.get(DETAILS_KEY)[0];
  if (!Buffer.isBuffer(bytes)) return { reason, metadata, violations, retryAfterMs };
  try {
    const status = decode('Status', bytes) as { details?: { typeUrl: string; value: Uint8Array }[] };
    for (const { typeUrl, value } of status.details ?? []) {
      const name = typeUrl.slice(typeUrl.lastIndexOf('.') + 1);
      if (name === 'ErrorInfo') {
        const info = decode(name, value) as { reason?: string; metadata?: Record<string, string> };
        reason = info.reason ?? '';
        metadata = info.metadata ?? {};
      } else if (name === 'BadRequest') {
        violations = (decode(name, value) as { fieldViolations?: FieldViolation[] }).fieldViolations ?? [];
      } else if (name === 'RetryInfo') {
        const delay = (decode(name, value) as { retryDelay?: { seconds?: number; nanos?: number } }).retryDelay;
        retryAfterMs = (delay?.seconds ?? 0) * 1000 + (delay?.nanos ?? 0) / 1e6;
      }
    }
  } catch {
    // Details that others mangled are as good as none; the code and the message are there all the same.
  }
  return { reason, metadata, violations, retryAfterMs };
}

function decode(name: string, bytes: Uint8Array): object {
  const type = google.lookupType(name);
  return type.toObject(type.decode(bytes), { longs: Number });
}
