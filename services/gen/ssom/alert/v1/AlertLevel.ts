// Original file: proto/ssom/alert/v1/alert.proto

/**
 * How urgent an alert is. The numbers grow with the urgency.
 */
export const AlertLevel = {
  /**
   * Not set. Refused in a request; as a filter's minimum it means every level.
   */
  ALERT_LEVEL_UNSPECIFIED: 'ALERT_LEVEL_UNSPECIFIED',
  /**
   * Good to know.
   */
  ALERT_LEVEL_INFO: 'ALERT_LEVEL_INFO',
  /**
   * Should be looked at in working hours.
   */
  ALERT_LEVEL_WARNING: 'ALERT_LEVEL_WARNING',
  /**
   * Something is broken.
   */
  ALERT_LEVEL_ERROR: 'ALERT_LEVEL_ERROR',
  /**
   * Customers are affected; wakes people.
   */
  ALERT_LEVEL_CRITICAL: 'ALERT_LEVEL_CRITICAL',
} as const;

/**
 * How urgent an alert is. The numbers grow with the urgency.
 */
export type AlertLevel =
  /**
   * Not set. Refused in a request; as a filter's minimum it means every level.
   */
  | 'ALERT_LEVEL_UNSPECIFIED'
  | 0
  /**
   * Good to know.
   */
  | 'ALERT_LEVEL_INFO'
  | 1
  /**
   * Should be looked at in working hours.
   */
  | 'ALERT_LEVEL_WARNING'
  | 2
  /**
   * Something is broken.
   */
  | 'ALERT_LEVEL_ERROR'
  | 3
  /**
   * Customers are affected; wakes people.
   */
  | 'ALERT_LEVEL_CRITICAL'
  | 4

/**
 * How urgent an alert is. The numbers grow with the urgency.
 */
export type AlertLevel__Output = typeof AlertLevel[keyof typeof AlertLevel]
