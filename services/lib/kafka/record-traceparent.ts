import { TRACEPARENT } from '../telemetry/names.js';
import { validTraceparent } from '../telemetry/tracing.js';
import type { IncomingRecord } from './consumer.js';

/**
 * The last header that was parsed: in a broadcast the same one comes thousands of times, and parsing took 3 % of
 * delivery's CPU.
 */
let parsed: { readonly text: string; readonly traceparent: string | undefined } = { text: '', traceparent: undefined };

/** The traceparent that a record carries, if it is well-formed. */
export function recordTraceparent({ headers }: Pick<IncomingRecord, 'headers'>): string | undefined {
  for (const header of headers) {
    const value = header[TRACEPARENT];
    if (value === undefined) continue;
    const text = typeof value === 'string' ? value : value.toString('latin1');
    if (text !== parsed.text) parsed = { text, traceparent: validTraceparent(text) };
    return parsed.traceparent;
  }
  return undefined;
}
