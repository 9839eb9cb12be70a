// Original file: proto/ssom/alert/v1/alert_service.proto

import type { CreateAlertResponse as _ssom_alert_v1_CreateAlertResponse, CreateAlertResponse__Output as _ssom_alert_v1_CreateAlertResponse__Output } from '../../../ssom/alert/v1/CreateAlertResponse.js';
import type { BatchItemError as _ssom_alert_v1_BatchItemError, BatchItemError__Output as _ssom_alert_v1_BatchItemError__Output } from '../../../ssom/alert/v1/BatchItemError.js';

/**
 * What became of one item of a batch: one of the two is set.
 */
export interface BatchCreateAlertsResult {
  /**
   * Stored.
   */
  'response'?: (_ssom_alert_v1_CreateAlertResponse | null);
  /**
   * Refused or failed.
   */
  'error'?: (_ssom_alert_v1_BatchItemError | null);
  /**
   * The outcome.
   */
  'outcome'?: "response"|"error";
}

/**
 * What became of one item of a batch: one of the two is set.
 */
export interface BatchCreateAlertsResult__Output {
  /**
   * Stored.
   */
  'response'?: (_ssom_alert_v1_CreateAlertResponse__Output | null);
  /**
   * Refused or failed.
   */
  'error'?: (_ssom_alert_v1_BatchItemError__Output | null);
  /**
   * The outcome.
   */
  'outcome'?: "response"|"error";
}
