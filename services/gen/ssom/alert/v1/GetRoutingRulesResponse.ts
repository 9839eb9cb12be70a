// Original file: proto/ssom/alert/v1/directory_service.proto

import type { RoutingRule as _ssom_alert_v1_RoutingRule, RoutingRule__Output as _ssom_alert_v1_RoutingRule__Output } from '../../../ssom/alert/v1/RoutingRule.js';
import type { Long } from '@grpc/proto-loader';

/**
 * See DirectoryService.GetRoutingRules.
 */
export interface GetRoutingRulesResponse {
  /**
   * The rules, at most 200, in the order in which they were set.
   */
  'rules'?: (_ssom_alert_v1_RoutingRule)[];
  /**
   * The directory's version.
   */
  'directoryVersion'?: (number | string | Long);
}

/**
 * See DirectoryService.GetRoutingRules.
 */
export interface GetRoutingRulesResponse__Output {
  /**
   * The rules, at most 200, in the order in which they were set.
   */
  'rules': (_ssom_alert_v1_RoutingRule__Output)[];
  /**
   * The directory's version.
   */
  'directoryVersion': (number);
}
