// Original file: proto/ssom/alert/v1/alert_service.proto

import type { FieldViolation as _ssom_alert_v1_FieldViolation, FieldViolation__Output as _ssom_alert_v1_FieldViolation__Output } from '../../../ssom/alert/v1/FieldViolation.js';
import type { Long } from '@grpc/proto-loader';

/**
 * Why one item of a batch was not stored. The fields mean what they mean in a google.rpc.Status.
 */
export interface BatchItemError {
  /**
   * A google.rpc.Code, for example 3 for INVALID_ARGUMENT.
   */
  'code'?: (number);
  /**
   * What was wrong and what would be right.
   */
  'message'?: (string);
  /**
   * The ErrorInfo reason, for example REQUEST_ID_REUSED.
   */
  'reason'?: (string);
  /**
   * The violations of the item's fields, at most 101: the first ones, and how many there are besides.
   */
  'fieldViolations'?: (_ssom_alert_v1_FieldViolation)[];
  /**
   * Milliseconds to wait before another try; 0 if trying again does not help.
   */
  'retryAfterMs'?: (number | string | Long);
}

/**
 * Why one item of a batch was not stored. The fields mean what they mean in a google.rpc.Status.
 */
export interface BatchItemError__Output {
  /**
   * A google.rpc.Code, for example 3 for INVALID_ARGUMENT.
   */
  'code': (number);
  /**
   * What was wrong and what would be right.
   */
  'message': (string);
  /**
   * The ErrorInfo reason, for example REQUEST_ID_REUSED.
   */
  'reason': (string);
  /**
   * The violations of the item's fields, at most 101: the first ones, and how many there are besides.
   */
  'fieldViolations': (_ssom_alert_v1_FieldViolation__Output)[];
  /**
   * Milliseconds to wait before another try; 0 if trying again does not help.
   */
  'retryAfterMs': (number);
}
