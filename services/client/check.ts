import { inspect } from 'node:util';
import { AlertClientError } from './errors.js';

/** Options of a time end here: a timer beyond 2^31 ms fires at once, and grpc-js takes no deadline there. */
export const DAY_MS = 86_400_000;

/** What a caller must change, in the form in which the service says it. */
export function invalid(field: string, description: string): AlertClientError {
  const violations = [{ field, description }];
  return new AlertClientError('INVALID_ARGUMENT', 'INVALID_FIELDS', `${field} ${description}`, { violations });
}

/** A value as a message shows it. */
export function shown(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** @throws AlertClientError INVALID_ARGUMENT unless it is a whole number from `min` to `max` */
export function checkWhole(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw invalid(field, `must be a whole number from ${min} to ${max}, not ${shown(value)}`);
}

/** @throws AlertClientError INVALID_ARGUMENT unless it is a number of milliseconds that calls and timers take */
export function checkTimeout(field: string, ms: number): void {
  checkWhole(field, ms, 1, DAY_MS);
}
