import { TRACEPARENT } from '../telemetry/names.js';
import { validTraceparent } from '../telemetry/tracing.js';
import type { IncomingRecord } from './consumer.js';

/** The traceparent that a record carries, if it is well-formed. */
export function recordTraceparent({ headers }: Pick<IncomingRecord, 'headers'>): string | undefined {
  for (const header of headers) {
    const value = header[TRACEPARENT];
    if (value !== undefined) return validTraceparent(value.toString());
  }
  return undefined;
}
