// Original file: proto/ssom/alert/v1/directory_service.proto

import type { RoutingRule as _ssom_alert_v1_RoutingRule, RoutingRule__Output as _ssom_alert_v1_RoutingRule__Output } from '../../../ssom/alert/v1/RoutingRule.js';

/**
 * See DirectoryService.SetRoutingRules.
 */
export interface SetRoutingRulesRequest {
  /**
   * At most 200 rules. None at all means that only alerts with named recipients reach anybody.
   */
  'rules'?: (_ssom_alert_v1_RoutingRule)[];
}

/**
 * See DirectoryService.SetRoutingRules.
 */
export interface SetRoutingRulesRequest__Output {
  /**
   * At most 200 rules. None at all means that only alerts with named recipients reach anybody.
   */
  'rules': (_ssom_alert_v1_RoutingRule__Output)[];
}
