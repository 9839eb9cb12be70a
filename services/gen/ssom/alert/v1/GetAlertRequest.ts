// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Long } from '@grpc/proto-loader';

/**
 * See AlertService.GetAlert.
 */
export interface GetAlertRequest {
  /**
   * The alert's number.
   */
  'alertId'?: (number | string | Long);
}

/**
 * See AlertService.GetAlert.
 */
export interface GetAlertRequest__Output {
  /**
   * The alert's number.
   */
  'alertId': (number);
}
