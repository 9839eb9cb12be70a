/** One thing that is wrong with a request, by the path of its field. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What a caller can do about an error; lib/grpc/status.ts maps each to a gRPC status. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'FAILED_PRECONDITION'
  | 'OUT_OF_RANGE'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  /** Nothing: the fault is ours. */
  | 'INTERNAL';

export interface ErrorDetails {
  readonly violations?: readonly FieldViolation[];
  /** Milliseconds after which another try makes sense. */
  readonly retryAfterMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * An error that a caller shall see: `message` says what was wrong and what would be right, `reason` is a constant in
 * UPPER_SNAKE_CASE that programs may compare.
 */
export class AlertError extends Error {
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    readonly reason: string,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AlertError';
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.metadata = details.metadata ?? {};
  }

  /** Whether the same request may succeed later. */
  get canRetry(): boolean {
    return this.code === 'UNAVAILABLE' || this.code === 'RESOURCE_EXHAUSTED' || this.code === 'DEADLINE_EXCEEDED';
  }
}

/** INVALID_ARGUMENT with every violation, the first ones also in the message. */
export function invalidArgument(violations: readonly FieldViolation[]): AlertError {
  const first = violations.slice(0, 3).map(({ field, description }) => `${field} ${description}`);
  const more = violations.length > 3 ? `; and ${violations.length - 3} more` : '';
  return new AlertError('INVALID_ARGUMENT', 'INVALID_FIELDS', first.join('; ') + more, { violations });
}
