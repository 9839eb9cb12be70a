// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from '../../../ssom/alert/v1/Alert.js';

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
}
