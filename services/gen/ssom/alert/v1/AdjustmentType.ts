// Original file: proto/ssom/alert/v1/alert_service.proto

/**
 * What was done to a field of a request.
 */
export const AdjustmentType = {
  /**
   * Not set.
   */
  ADJUSTMENT_TYPE_UNSPECIFIED: 'ADJUSTMENT_TYPE_UNSPECIFIED',
  /**
   * It was longer than what is kept. A text ends with a sign (…) now, which is followed by digits in a source_id; of labels the first
   * ones are left.
   */
  ADJUSTMENT_TYPE_SHORTENED: 'ADJUSTMENT_TYPE_SHORTENED',
  /**
   * Characters that the field cannot have became spaces, or U+FFFD.
   */
  ADJUSTMENT_TYPE_CLEANED: 'ADJUSTMENT_TYPE_CLEANED',
  /**
   * It was replaced by the time at which the alert was stored.
   */
  ADJUSTMENT_TYPE_REPLACED: 'ADJUSTMENT_TYPE_REPLACED',
} as const;

/**
 * What was done to a field of a request.
 */
export type AdjustmentType =
  /**
   * Not set.
   */
  | 'ADJUSTMENT_TYPE_UNSPECIFIED'
  | 0
  /**
   * It was longer than what is kept. A text ends with a sign (…) now, which is followed by digits in a source_id; of labels the first
   * ones are left.
   */
  | 'ADJUSTMENT_TYPE_SHORTENED'
  | 1
  /**
   * Characters that the field cannot have became spaces, or U+FFFD.
   */
  | 'ADJUSTMENT_TYPE_CLEANED'
  | 2
  /**
   * It was replaced by the time at which the alert was stored.
   */
  | 'ADJUSTMENT_TYPE_REPLACED'
  | 3

/**
 * What was done to a field of a request.
 */
export type AdjustmentType__Output = typeof AdjustmentType[keyof typeof AdjustmentType]
