import { CircuitOpen } from '../breaker.js';
import { tlsFault } from '../tls-errors.js';

/** An answer of the registry that says no. `errorCode` is Confluent's, for example 40403 or 42201. */
export class RegistryError extends Error {
  constructor(
    readonly status: number,
    readonly errorCode: number,
    message: string,
  ) {
    super(message);
    this.name = 'RegistryError';
  }

  /** Whether it does not take us for somebody who may. */
  get refusesUs(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** Whether asking again later makes sense. */
  get canRetry(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** It did not answer, or not in its language. */
export class RegistryUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RegistryUnavailable';
  }

  /** Whether one of us does not take the other's certificate. */
  get refusesUs(): boolean {
    return tlsFault(this.cause) !== undefined;
  }
}

/** Whether an error says that the registry is away: it may answer later, and another server of it may answer now. */
export function isRegistryAway(error: unknown): boolean {
  return (
    error instanceof RegistryUnavailable ||
    error instanceof CircuitOpen ||
    (error instanceof RegistryError && error.canRetry)
  );
}
