// Original file: proto/ssom/alert/v1/alert_stream_service.proto

import type { AlertKind as _ssom_alert_v1_AlertKind, AlertKind__Output as _ssom_alert_v1_AlertKind__Output } from '../../../ssom/alert/v1/AlertKind.js';
import type { AlertLevel as _ssom_alert_v1_AlertLevel, AlertLevel__Output as _ssom_alert_v1_AlertLevel__Output } from '../../../ssom/alert/v1/AlertLevel.js';

/**
 * Which changes a stream sends. An entry that was shown and then leaves the filter is sent once more, in its new state.
 */
export interface StreamFilter {
  /**
   * Only these kinds, at most 100; empty means all.
   */
  'kinds'?: (_ssom_alert_v1_AlertKind)[];
  /**
   * Only this level and above.
   */
  'minimumLevel'?: (_ssom_alert_v1_AlertLevel);
  /**
   * Only unread entries.
   */
  'unreadOnly'?: (boolean);
}

/**
 * Which changes a stream sends. An entry that was shown and then leaves the filter is sent once more, in its new state.
 */
export interface StreamFilter__Output {
  /**
   * Only these kinds, at most 100; empty means all.
   */
  'kinds': (_ssom_alert_v1_AlertKind__Output)[];
  /**
   * Only this level and above.
   */
  'minimumLevel': (_ssom_alert_v1_AlertLevel__Output);
  /**
   * Only unread entries.
   */
  'unreadOnly': (boolean);
}
