/** The `max.message.bytes` that topics have to have, in bytes. deploy/tools/local/topics.mjs creates them so. */
export const RECORD_BYTES = {
  /** A broker's default: the largest alert fits. */
  work: 1_048_588,
  /** Twice as much: a record of the largest size, and the reason in headers. */
  deadLetter: 2_097_152,
} as const;
