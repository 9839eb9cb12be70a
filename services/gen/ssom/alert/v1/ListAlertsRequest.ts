// Original file: proto/ssom/alert/v1/alert_service.proto

import type { AlertKind as _ssom_alert_v1_AlertKind, AlertKind__Output as _ssom_alert_v1_AlertKind__Output } from '../../../ssom/alert/v1/AlertKind.js';
import type { AlertLevel as _ssom_alert_v1_AlertLevel, AlertLevel__Output as _ssom_alert_v1_AlertLevel__Output } from '../../../ssom/alert/v1/AlertLevel.js';

/**
 * See AlertService.ListAlerts.
 */
export interface ListAlertsRequest {
  /**
   * 1 to 500; 0 means 50. A page ends at 3 MiB, so it may be shorter while there is a next one.
   */
  'pageSize'?: (number);
  /**
   * next_page_token of the page before; empty for the first page.
   */
  'pageToken'?: (string);
  /**
   * Only these kinds, at most 100; empty means all.
   */
  'kinds'?: (_ssom_alert_v1_AlertKind)[];
  /**
   * Only this level and above.
   */
  'minimumLevel'?: (_ssom_alert_v1_AlertLevel);
  /**
   * Only this application (the whole name). Empty means all.
   */
  'appName'?: (string);
}

/**
 * See AlertService.ListAlerts.
 */
export interface ListAlertsRequest__Output {
  /**
   * 1 to 500; 0 means 50. A page ends at 3 MiB, so it may be shorter while there is a next one.
   */
  'pageSize': (number);
  /**
   * next_page_token of the page before; empty for the first page.
   */
  'pageToken': (string);
  /**
   * Only these kinds, at most 100; empty means all.
   */
  'kinds': (_ssom_alert_v1_AlertKind__Output)[];
  /**
   * Only this level and above.
   */
  'minimumLevel': (_ssom_alert_v1_AlertLevel__Output);
  /**
   * Only this application (the whole name). Empty means all.
   */
  'appName': (string);
}
