// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from '../../../ssom/alert/v1/Alert.js';
import type { AlertProgress as _ssom_alert_v1_AlertProgress, AlertProgress__Output as _ssom_alert_v1_AlertProgress__Output } from '../../../ssom/alert/v1/AlertProgress.js';

/**
 * See AlertService.GetAlert.
 */
export interface GetAlertResponse {
  /**
   * The alert.
   */
  'alert'?: (_ssom_alert_v1_Alert | null);
  /**
   * How far it has come. Only for callers with the scope alerts:read.
   */
  'progress'?: (_ssom_alert_v1_AlertProgress | null);
}

/**
 * See AlertService.GetAlert.
 */
export interface GetAlertResponse__Output {
  /**
   * The alert.
   */
  'alert': (_ssom_alert_v1_Alert__Output | null);
  /**
   * How far it has come. Only for callers with the scope alerts:read.
   */
  'progress': (_ssom_alert_v1_AlertProgress__Output | null);
}
