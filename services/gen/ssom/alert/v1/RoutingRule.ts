// Original file: proto/ssom/alert/v1/directory_service.proto

import type { RoutingMatch as _ssom_alert_v1_RoutingMatch, RoutingMatch__Output as _ssom_alert_v1_RoutingMatch__Output } from '../../../ssom/alert/v1/RoutingMatch.js';

/**
 * Sends the alerts that match to the active users of a department. Whom no rule matches gets nothing; whom several match
 * gets the alert once.
 */
export interface RoutingRule {
  /**
   * The department, 1 to 128 characters.
   */
  'department'?: (string);
  /**
   * How the rule looks at app_name.
   */
  'match'?: (_ssom_alert_v1_RoutingMatch);
  /**
   * What app_name must (or must not) contain, 1 to 128 characters; empty with ROUTING_MATCH_ALL.
   */
  'appPattern'?: (string);
}

/**
 * Sends the alerts that match to the active users of a department. Whom no rule matches gets nothing; whom several match
 * gets the alert once.
 */
export interface RoutingRule__Output {
  /**
   * The department, 1 to 128 characters.
   */
  'department': (string);
  /**
   * How the rule looks at app_name.
   */
  'match': (_ssom_alert_v1_RoutingMatch__Output);
  /**
   * What app_name must (or must not) contain, 1 to 128 characters; empty with ROUTING_MATCH_ALL.
   */
  'appPattern': (string);
}
