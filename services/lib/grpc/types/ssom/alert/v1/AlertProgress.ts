// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { PushCount as _ssom_alert_v1_PushCount, PushCount__Output as _ssom_alert_v1_PushCount__Output } from '../../../ssom/alert/v1/PushCount.js';
import type { PushRecord as _ssom_alert_v1_PushRecord, PushRecord__Output as _ssom_alert_v1_PushRecord__Output } from '../../../ssom/alert/v1/PushRecord.js';

/**
 * How far an alert has come on its way.
 */
export interface AlertProgress {
  /**
   * When its event was published to Kafka; from then until fanned_out_at is set, when it was stored. Absent: not yet.
   */
  'publishedAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When its last recipient's event was published. Absent: not yet.
   */
  'fannedOutAt'?: (_google_protobuf_Timestamp | null);
  /**
   * How many recipients it has.
   */
  'recipients'?: (number);
  /**
   * In how many inboxes it is, deleted entries included.
   */
  'delivered'?: (number);
  /**
   * How many recipients have read it.
   */
  'read'?: (number);
  /**
   * When it was found to be in the inbox of every recipient. Set by reconciliation, so up to a few minutes late.
   */
  'completedAt'?: (_google_protobuf_Timestamp | null);
  /**
   * The trace of its CreateAlert call, 32 hexadecimal digits. Empty if it was not traced.
   */
  'traceId'?: (string);
  /**
   * How many pushes there are in each state. A push is the alert for one device.
   */
  'pushCounts'?: (_ssom_alert_v1_PushCount)[];
  /**
   * At most 100 of them: what went wrong first, then what is under way.
   */
  'pushes'?: (_ssom_alert_v1_PushRecord)[];
}

/**
 * How far an alert has come on its way.
 */
export interface AlertProgress__Output {
  /**
   * When its event was published to Kafka; from then until fanned_out_at is set, when it was stored. Absent: not yet.
   */
  'publishedAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When its last recipient's event was published. Absent: not yet.
   */
  'fannedOutAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * How many recipients it has.
   */
  'recipients': (number);
  /**
   * In how many inboxes it is, deleted entries included.
   */
  'delivered': (number);
  /**
   * How many recipients have read it.
   */
  'read': (number);
  /**
   * When it was found to be in the inbox of every recipient. Set by reconciliation, so up to a few minutes late.
   */
  'completedAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * The trace of its CreateAlert call, 32 hexadecimal digits. Empty if it was not traced.
   */
  'traceId': (string);
  /**
   * How many pushes there are in each state. A push is the alert for one device.
   */
  'pushCounts': (_ssom_alert_v1_PushCount__Output)[];
  /**
   * At most 100 of them: what went wrong first, then what is under way.
   */
  'pushes': (_ssom_alert_v1_PushRecord__Output)[];
}
