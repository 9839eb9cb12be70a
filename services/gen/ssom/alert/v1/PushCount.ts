// Original file: proto/ssom/alert/v1/alert_service.proto

import type { PushState as _ssom_alert_v1_PushState, PushState__Output as _ssom_alert_v1_PushState__Output } from '../../../ssom/alert/v1/PushState.js';

/**
 * How many pushes of an alert are in one state.
 */
export interface PushCount {
  /**
   * The state.
   */
  'state'?: (_ssom_alert_v1_PushState);
  /**
   * How many.
   */
  'count'?: (number);
}

/**
 * How many pushes of an alert are in one state.
 */
export interface PushCount__Output {
  /**
   * The state.
   */
  'state': (_ssom_alert_v1_PushState__Output);
  /**
   * How many.
   */
  'count': (number);
}
