// Original file: proto/ssom/alert/v1/alert_stream_service.proto

import type { InboxChangeType as _ssom_alert_v1_InboxChangeType, InboxChangeType__Output as _ssom_alert_v1_InboxChangeType__Output } from '../../../ssom/alert/v1/InboxChangeType.js';
import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from '../../../ssom/alert/v1/Alert.js';
import type { Long } from '@grpc/proto-loader';

/**
 * An inbox entry's latest change.
 */
export interface InboxChange {
  /**
   * What happened last.
   */
  'type'?: (_ssom_alert_v1_InboxChangeType);
  /**
   * The change's number in the user's sequence.
   */
  'sequence'?: (number | string | Long);
  /**
   * The alert; of a deleted one only alert_id is set.
   */
  'alert'?: (_ssom_alert_v1_Alert | null);
  /**
   * Whether it is read now.
   */
  'isRead'?: (boolean);
}

/**
 * An inbox entry's latest change.
 */
export interface InboxChange__Output {
  /**
   * What happened last.
   */
  'type': (_ssom_alert_v1_InboxChangeType__Output);
  /**
   * The change's number in the user's sequence.
   */
  'sequence': (number);
  /**
   * The alert; of a deleted one only alert_id is set.
   */
  'alert': (_ssom_alert_v1_Alert__Output | null);
  /**
   * Whether it is read now.
   */
  'isRead': (boolean);
}
