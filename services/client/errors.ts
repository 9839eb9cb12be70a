import * as grpc from '@grpc/grpc-js';
import type { FieldViolation } from '../domain/errors.js';
import { statusDetails } from '../lib/grpc/status.js';

/** The name of a gRPC status, for example OUT_OF_RANGE. */
export type StatusName = keyof typeof grpc.status;

interface Details {
  readonly violations?: readonly FieldViolation[];
  readonly retryAfterMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
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
  }

  /** Whether the same request may succeed later. RESOURCE_EXHAUSTED alone may also mean: too large, for ever. */
  get canRetry(): boolean {
    if (this.code === 'RESOURCE_EXHAUSTED') return this.retryAfterMs !== undefined;
    return this.code === 'UNAVAILABLE' || this.code === 'DEADLINE_EXCEEDED';
  }
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
