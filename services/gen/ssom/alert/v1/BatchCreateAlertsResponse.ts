// Original file: proto/ssom/alert/v1/alert_service.proto

import type { BatchCreateAlertsResult as _ssom_alert_v1_BatchCreateAlertsResult, BatchCreateAlertsResult__Output as _ssom_alert_v1_BatchCreateAlertsResult__Output } from '../../../ssom/alert/v1/BatchCreateAlertsResult.js';

/**
 * See AlertService.BatchCreateAlerts.
 */
export interface BatchCreateAlertsResponse {
  /**
   * As many as there were requests, at most 500, in their order.
   */
  'results'?: (_ssom_alert_v1_BatchCreateAlertsResult)[];
}

/**
 * See AlertService.BatchCreateAlerts.
 */
export interface BatchCreateAlertsResponse__Output {
  /**
   * As many as there were requests, at most 500, in their order.
   */
  'results': (_ssom_alert_v1_BatchCreateAlertsResult__Output)[];
}
