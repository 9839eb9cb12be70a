// Original file: proto/ssom/alert/v1/alert_service.proto

import type { CreateAlertRequest as _ssom_alert_v1_CreateAlertRequest, CreateAlertRequest__Output as _ssom_alert_v1_CreateAlertRequest__Output } from '../../../ssom/alert/v1/CreateAlertRequest.js';

/**
 * See AlertService.BatchCreateAlerts.
 */
export interface BatchCreateAlertsRequest {
  /**
   * 1 to 500 alerts.
   */
  'requests'?: (_ssom_alert_v1_CreateAlertRequest)[];
}

/**
 * See AlertService.BatchCreateAlerts.
 */
export interface BatchCreateAlertsRequest__Output {
  /**
   * 1 to 500 alerts.
   */
  'requests': (_ssom_alert_v1_CreateAlertRequest__Output)[];
}
