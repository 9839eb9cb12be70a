// Original file: proto/ssom/alert/v1/alert_service.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { PushCount as _ssom_alert_v1_PushCount, PushCount__Output as _ssom_alert_v1_PushCount__Output } from '../../../ssom/alert/v1/PushCount.js';
import type { PushRecord as _ssom_alert_v1_PushRecord, PushRecord__Output as _ssom_alert_v1_PushRecord__Output } from '../../../ssom/alert/v1/PushRecord.js';
import type { DeadLetter as _ssom_alert_v1_DeadLetter, DeadLetter__Output as _ssom_alert_v1_DeadLetter__Output } from '../../../ssom/alert/v1/DeadLetter.js';
import type { UnreachedRecipient as _ssom_alert_v1_UnreachedRecipient, UnreachedRecipient__Output as _ssom_alert_v1_UnreachedRecipient__Output } from '../../../ssom/alert/v1/UnreachedRecipient.js';

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
   * How many pushes there are in each state, at most 7. A push is the alert for one device.
   */
  'pushCounts'?: (_ssom_alert_v1_PushCount)[];
  /**
   * At most 100 of them: what went wrong first, then what is under way.
   */
  'pushes'?: (_ssom_alert_v1_PushRecord)[];
  /**
   * When it came into the first inbox that it is in now. Absent: it is in none.
   */
  'firstDeliveredAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When it came into the last one so far.
   */
  'lastDeliveredAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When a recipient read it last, of those who have not made it unread since. Absent: nobody has.
   */
  'lastReadAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When FCM accepted the first of its pushes. Absent: none.
   */
  'firstPushSentAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When FCM accepted the last one so far.
   */
  'lastPushSentAt'?: (_google_protobuf_Timestamp | null);
  /**
   * At most 20 recipients whose inboxes do not have it; there are recipients minus delivered. What retention has removed
   * from an inbox is not missing.
   */
  'missingUserIds'?: (string)[];
  /**
   * At most 20 dead letters about it whose recipients do not have it. Reconciliation leaves those recipients alone until the
   * records are redriven, or are in their dead-letter topics no more.
   */
  'deadLetters'?: (_ssom_alert_v1_DeadLetter)[];
  /**
   * How many there are.
   */
  'deadLetterCount'?: (number);
  /**
   * When reconciliation looks at it next, unless it is complete. Absent: it is complete, or retention has closed it.
   */
  'nextCheckAt'?: (_google_protobuf_Timestamp | null);
  /**
   * How often reconciliation has found it incomplete.
   */
  'checks'?: (number);
  /**
   * It is older than what the service keeps: nothing delivers it any more, and its entries may have left the inboxes.
   */
  'closed'?: (boolean);
  /**
   * How many recipients have it in the inbox, unread, and a device, while nobody has looked yet what is to be pushed.
   */
  'unplannedPushes'?: (number);
  /**
   * Whether its trace was recorded; otherwise a search for trace_id finds nothing. A collector may still have left it out.
   */
  'traceSampled'?: (boolean);
  /**
   * Names under which it reaches nobody, at most 100, as of when it was stored. There are unreached_count.
   */
  'unreached'?: (_ssom_alert_v1_UnreachedRecipient)[];
  /**
   * How many there are.
   */
  'unreachedCount'?: (number);
  /**
   * Dead letters that were not given up for good hold it up: until they are redriven or purged it is not complete.
   */
  'deadLettered'?: (boolean);
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
   * How many pushes there are in each state, at most 7. A push is the alert for one device.
   */
  'pushCounts': (_ssom_alert_v1_PushCount__Output)[];
  /**
   * At most 100 of them: what went wrong first, then what is under way.
   */
  'pushes': (_ssom_alert_v1_PushRecord__Output)[];
  /**
   * When it came into the first inbox that it is in now. Absent: it is in none.
   */
  'firstDeliveredAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When it came into the last one so far.
   */
  'lastDeliveredAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When a recipient read it last, of those who have not made it unread since. Absent: nobody has.
   */
  'lastReadAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When FCM accepted the first of its pushes. Absent: none.
   */
  'firstPushSentAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When FCM accepted the last one so far.
   */
  'lastPushSentAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * At most 20 recipients whose inboxes do not have it; there are recipients minus delivered. What retention has removed
   * from an inbox is not missing.
   */
  'missingUserIds': (string)[];
  /**
   * At most 20 dead letters about it whose recipients do not have it. Reconciliation leaves those recipients alone until the
   * records are redriven, or are in their dead-letter topics no more.
   */
  'deadLetters': (_ssom_alert_v1_DeadLetter__Output)[];
  /**
   * How many there are.
   */
  'deadLetterCount': (number);
  /**
   * When reconciliation looks at it next, unless it is complete. Absent: it is complete, or retention has closed it.
   */
  'nextCheckAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * How often reconciliation has found it incomplete.
   */
  'checks': (number);
  /**
   * It is older than what the service keeps: nothing delivers it any more, and its entries may have left the inboxes.
   */
  'closed': (boolean);
  /**
   * How many recipients have it in the inbox, unread, and a device, while nobody has looked yet what is to be pushed.
   */
  'unplannedPushes': (number);
  /**
   * Whether its trace was recorded; otherwise a search for trace_id finds nothing. A collector may still have left it out.
   */
  'traceSampled': (boolean);
  /**
   * Names under which it reaches nobody, at most 100, as of when it was stored. There are unreached_count.
   */
  'unreached': (_ssom_alert_v1_UnreachedRecipient__Output)[];
  /**
   * How many there are.
   */
  'unreachedCount': (number);
  /**
   * Dead letters that were not given up for good hold it up: until they are redriven or purged it is not complete.
   */
  'deadLettered': (boolean);
}
