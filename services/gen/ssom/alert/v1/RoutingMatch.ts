// Original file: proto/ssom/alert/v1/directory_service.proto

/**
 * How a rule looks at an alert's app_name.
 */
export const RoutingMatch = {
  /**
   * Not set. Refused in a request.
   */
  ROUTING_MATCH_UNSPECIFIED: 'ROUTING_MATCH_UNSPECIFIED',
  /**
   * Every alert.
   */
  ROUTING_MATCH_ALL: 'ROUTING_MATCH_ALL',
  /**
   * Alerts whose app_name contains app_pattern; upper and lower case are equal.
   */
  ROUTING_MATCH_APP_CONTAINS: 'ROUTING_MATCH_APP_CONTAINS',
  /**
   * Alerts whose app_name does not contain app_pattern; upper and lower case are equal.
   */
  ROUTING_MATCH_APP_NOT_CONTAINS: 'ROUTING_MATCH_APP_NOT_CONTAINS',
} as const;

/**
 * How a rule looks at an alert's app_name.
 */
export type RoutingMatch =
  /**
   * Not set. Refused in a request.
   */
  | 'ROUTING_MATCH_UNSPECIFIED'
  | 0
  /**
   * Every alert.
   */
  | 'ROUTING_MATCH_ALL'
  | 1
  /**
   * Alerts whose app_name contains app_pattern; upper and lower case are equal.
   */
  | 'ROUTING_MATCH_APP_CONTAINS'
  | 2
  /**
   * Alerts whose app_name does not contain app_pattern; upper and lower case are equal.
   */
  | 'ROUTING_MATCH_APP_NOT_CONTAINS'
  | 3

/**
 * How a rule looks at an alert's app_name.
 */
export type RoutingMatch__Output = typeof RoutingMatch[keyof typeof RoutingMatch]
