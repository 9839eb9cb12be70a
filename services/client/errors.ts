import * as grpc from '@grpc/grpc-js';
import type { FieldViolation } from '../domain/errors.js';
import { statusDetails } from '../lib/grpc/status.js';

/** The name of a gRPC status, for example OUT_OF_RANGE. */
export type StatusName = keyof typeof grpc.status;

interface Details {
  readonly violations?: readonly FieldViolation[];
  readonly retryAfterMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly requestIds?: readonly string[];
  readonly cause?: unknown;
}

/**
 * A call that failed. `code` says what can be done about it, `reason` is the service's constant (empty if the service
 * was not reached), and `message` says what was wrong and what would be right.
 */
export class AlertClientError extends Error {
  readonly violations: readonly FieldViolation[];
  /** Milliseconds after which another try makes sense; undefined if the service did not say. */
  readonly retryAfterMs: number | undefined;
  /** Further facts for programs, from the service's ErrorInfo. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Of createAlert and batchCreateAlerts: the request ids of the alerts, in order, made up ones too. Whether they were
   * stored may be unknown; with these ids they can be sent again, and are stored once.
   */
  readonly requestIds: readonly string[];

  constructor(
    readonly code: StatusName,
    readonly reason: string,
    message: string,
    details: Details = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AlertClientError';
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.metadata = details.metadata ?? {};
    this.requestIds = details.requestIds ?? [];
  }

  /** Whether the same request may succeed later. RESOURCE_EXHAUSTED alone may also mean: too large, for ever. */
  get canRetry(): boolean {
    if (this.code === 'RESOURCE_EXHAUSTED') return this.retryAfterMs !== undefined;
    // No answer of the service: nghttp2 ends a connection on which more than 1,000 calls were given up within seconds.
    if (this.code === 'INTERNAL') return this.reason === '' && this.message.startsWith('Received RST_STREAM');
    return this.code === 'UNAVAILABLE' || this.code === 'DEADLINE_EXCEEDED';
  }
}

/** A copy in which something else is said: alerts of one batch may share an error. */
export function amended(
  error: AlertClientError,
  changes: { message?: string; requestIds?: readonly string[] },
): AlertClientError {
  const { code, reason, message, violations, retryAfterMs, metadata, requestIds, cause } = error;
  const details = { violations, retryAfterMs, metadata, requestIds, cause, ...changes };
  return new AlertClientError(code, reason, changes.message ?? message, details);
}

/** Of anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What grpc-js, or we ourselves, threw, as an AlertClientError. */
export function toClientError(error: unknown): AlertClientError {
  if (error instanceof AlertClientError) return error;
  const failed = error as Partial<grpc.ServiceError>;
  const code = grpc.status[failed.code ?? -1] as StatusName | undefined;
  if (code === undefined)
    return new AlertClientError('INTERNAL', '', String(failed.message ?? error), { cause: error });
  const details = statusDetails(error as grpc.ServiceError);
  // What grpc-js appends to a failed connection, with nothing behind it.
  const message = (failed.details ?? '').replace(/\.? Resolution note: $/, '');
  return new AlertClientError(code, details.reason, message, { ...details, cause: error });
}
