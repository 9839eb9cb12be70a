// Original file: proto/ssom/alert/v1/alert_service.proto

import type { AdjustmentType as _ssom_alert_v1_AdjustmentType, AdjustmentType__Output as _ssom_alert_v1_AdjustmentType__Output } from '../../../ssom/alert/v1/AdjustmentType.js';

/**
 * A field that is stored otherwise than it was given.
 */
export interface Adjustment {
  /**
   * The path of the field, for example title, labels or labels["k"].
   */
  'field'?: (string);
  /**
   * What was done.
   */
  'type'?: (_ssom_alert_v1_AdjustmentType);
  /**
   * How many characters the field had, or pairs if it is labels; 0 for a time.
   */
  'originalLength'?: (number);
  /**
   * The time that was given, as text; empty for other fields.
   */
  'original'?: (string);
}

/**
 * A field that is stored otherwise than it was given.
 */
export interface Adjustment__Output {
  /**
   * The path of the field, for example title, labels or labels["k"].
   */
  'field': (string);
  /**
   * What was done.
   */
  'type': (_ssom_alert_v1_AdjustmentType__Output);
  /**
   * How many characters the field had, or pairs if it is labels; 0 for a time.
   */
  'originalLength': (number);
  /**
   * The time that was given, as text; empty for other fields.
   */
  'original': (string);
}
