// Original file: proto/ssom/alert/v1/inbox_service.proto

import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from '../../../ssom/alert/v1/Alert.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { Long } from '@grpc/proto-loader';

/**
 * One alert in a user's inbox.
 */
export interface InboxEntry {
  /**
   * The alert.
   */
  'alert'?: (_ssom_alert_v1_Alert | null);
  /**
   * Whether the user has read it.
   */
  'isRead'?: (boolean);
  /**
   * When it was read. Absent while it is unread.
   */
  'readAt'?: (_google_protobuf_Timestamp | null);
  /**
   * The number of the entry's last change in the user's sequence.
   */
  'sequence'?: (number | string | Long);
  /**
   * When it was put into the inbox.
   */
  'deliveredAt'?: (_google_protobuf_Timestamp | null);
}

/**
 * One alert in a user's inbox.
 */
export interface InboxEntry__Output {
  /**
   * The alert.
   */
  'alert': (_ssom_alert_v1_Alert__Output | null);
  /**
   * Whether the user has read it.
   */
  'isRead': (boolean);
  /**
   * When it was read. Absent while it is unread.
   */
  'readAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * The number of the entry's last change in the user's sequence.
   */
  'sequence': (number);
  /**
   * When it was put into the inbox.
   */
  'deliveredAt': (_google_protobuf_Timestamp__Output | null);
}
