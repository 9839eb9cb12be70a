/** A record that cannot be decoded, now or ever. */
export class UndecodableRecord extends Error {
  readonly canRetry = false;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UndecodableRecord';
  }
}

/**
 * A record names a schema that the registry does not know, or that is none of ours: its writer's fault, as after the
 * registry was lost or restored. What it says of an alert or a user is not known.
 */
export class UnusableSchema extends UndecodableRecord {
  constructor(
    readonly schemaId: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'UnusableSchema';
  }
}

/**
 * The registry cannot be asked for a record's schema, or takes its time: no fault of the record, which has to wait
 * while those of other schemas go on.
 */
export class UnavailableSchema extends Error {
  readonly canRetry = true;

  constructor(
    readonly schemaId: number,
    cause: Error | undefined,
  ) {
    super(`schema ${schemaId} cannot be had now: ${cause?.message ?? 'the registry has not answered yet'}`, { cause });
    this.name = 'UnavailableSchema';
  }
}
