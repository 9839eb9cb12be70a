// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from '../../../ssom/alert/v1/Alert.js';

/**
 * See AlertService.ListAlerts.
 */
export interface ListAlertsResponse {
  /**
   * The page, newest first: at most page_size, and at most 3 MiB unless it is a single alert.
   */
  'alerts'?: (_ssom_alert_v1_Alert)[];
  /**
   * The token of the next page; empty if this is the last one.
   */
  'nextPageToken'?: (string);
}

/**
 * See AlertService.ListAlerts.
 */
export interface ListAlertsResponse__Output {
  /**
   * The page, newest first: at most page_size, and at most 3 MiB unless it is a single alert.
   */
  'alerts': (_ssom_alert_v1_Alert__Output)[];
  /**
   * The token of the next page; empty if this is the last one.
   */
  'nextPageToken': (string);
}
