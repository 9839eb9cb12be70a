// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from '../../../ssom/alert/v1/Alert.js';
import type { Adjustment as _ssom_alert_v1_Adjustment, Adjustment__Output as _ssom_alert_v1_Adjustment__Output } from '../../../ssom/alert/v1/Adjustment.js';
import type { UnreachedRecipient as _ssom_alert_v1_UnreachedRecipient, UnreachedRecipient__Output as _ssom_alert_v1_UnreachedRecipient__Output } from '../../../ssom/alert/v1/UnreachedRecipient.js';

/**
 * See AlertService.CreateAlert.
 */
export interface CreateAlertResponse {
  /**
   * The alert as it was stored.
   */
  'alert'?: (_ssom_alert_v1_Alert | null);
  /**
   * True if this request_id had been used before and this is the first answer again.
   */
  'replayed'?: (boolean);
  /**
   * What of the request is stored otherwise than it was given, at most 74. Empty: nothing.
   */
  'adjustments'?: (_ssom_alert_v1_Adjustment)[];
  /**
   * Names that reach nobody, at most 100: named recipients, or departments of routing rules that match (5 of those). There are
   * unreached_count.
   */
  'unreached'?: (_ssom_alert_v1_UnreachedRecipient)[];
  /**
   * How many names reach nobody.
   */
  'unreachedCount'?: (number);
  /**
   * The alert is stored, and reaches nobody: no routing rule matches, or all of its departments are without an active user.
   */
  'reachesNobody'?: (boolean);
}

/**
 * See AlertService.CreateAlert.
 */
export interface CreateAlertResponse__Output {
  /**
   * The alert as it was stored.
   */
  'alert': (_ssom_alert_v1_Alert__Output | null);
  /**
   * True if this request_id had been used before and this is the first answer again.
   */
  'replayed': (boolean);
  /**
   * What of the request is stored otherwise than it was given, at most 74. Empty: nothing.
   */
  'adjustments': (_ssom_alert_v1_Adjustment__Output)[];
  /**
   * Names that reach nobody, at most 100: named recipients, or departments of routing rules that match (5 of those). There are
   * unreached_count.
   */
  'unreached': (_ssom_alert_v1_UnreachedRecipient__Output)[];
  /**
   * How many names reach nobody.
   */
  'unreachedCount': (number);
  /**
   * The alert is stored, and reaches nobody: no routing rule matches, or all of its departments are without an active user.
   */
  'reachesNobody': (boolean);
}
