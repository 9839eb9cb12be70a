import type { IncomingRecord } from './consumer.js';

/** A record that cannot be handled however often it is tried. It names where it lies. */
export class PoisonRecord extends Error {
  constructor(
    readonly record: IncomingRecord,
    cause: Error,
  ) {
    super(`the record ${record.topic}-${record.partition}@${record.offset} cannot be handled: ${cause.message}`, {
      cause,
    });
    this.name = 'PoisonRecord';
  }
}
