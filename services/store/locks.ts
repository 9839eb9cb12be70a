/**
 * Advisory locks: what one instance among all does at a time. PostgreSQL knows them by number alone, so that they stand
 * here together; a number is never used for something else, since old and new instances run side by side.
 */
export const LOCKS = {
  migrate: 7_200_001,
  sweepOutbox: 7_200_002,
  reconcile: 7_200_003,
  retention: 7_200_004,
  planPushes: 7_200_005,
  forwardDeadLetters: 7_200_006,
  searchDeadLetters: 7_200_007,
  sealAudit: 7_200_008,
} as const;
