// Original file: proto/ssom/alert/v1/alert_service.proto

import type { AlertKind as _ssom_alert_v1_AlertKind, AlertKind__Output as _ssom_alert_v1_AlertKind__Output } from '../../../ssom/alert/v1/AlertKind.js';
import type { AlertLevel as _ssom_alert_v1_AlertLevel, AlertLevel__Output as _ssom_alert_v1_AlertLevel__Output } from '../../../ssom/alert/v1/AlertLevel.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { Recipients as _ssom_alert_v1_Recipients, Recipients__Output as _ssom_alert_v1_Recipients__Output } from '../../../ssom/alert/v1/Recipients.js';

/**
 * See AlertService.CreateAlert.
 */
export interface CreateAlertRequest {
  /**
   * Makes a repeat of this request harmless: the same caller and request_id gets the first answer again and no second
   * alert, for as long as that alert is kept (ALERT_RETENTION_DAYS). At most 512 characters; empty means no deduplication.
   */
  'requestId'?: (string);
  /**
   * What raised the alert. Required.
   */
  'kind'?: (_ssom_alert_v1_AlertKind);
  /**
   * The application that it is about, at least one visible character. Kept to 128 characters, of at most 4,096; routing rules look at
   * what is kept.
   */
  'appName'?: (string);
  /**
   * How urgent it is. Required.
   */
  'level'?: (_ssom_alert_v1_AlertLevel);
  /**
   * One line of text, at least one visible character. Kept to 200 characters, of at most 4,096; line breaks and control characters
   * become spaces.
   */
  'title'?: (string);
  /**
   * The whole text. Kept to 16,384 characters, of at most 262,144.
   */
  'message'?: (string);
  /**
   * When it happened, as the source says: from 1970 to one day ahead. Any other time is replaced by now. Absent means now.
   */
  'occurredAt'?: (_google_protobuf_Timestamp | null);
  /**
   * The source's own id of the event. Kept to 1,024 characters, of at most 16,384: the cut is followed by 16 hexadecimal digits of the
   * SHA-256 of the whole, so that two long ones that differ stay two. It is shown, and nothing is deduplicated by it.
   */
  'sourceId'?: (string);
  /**
   * Of at most 1,024 pairs the first 32 are kept, in the order of their keys. A key has 1 to 317 characters; a value is kept to 1,024, of
   * at most 16,384.
   */
  'labels'?: ({[key: string]: string});
  /**
   * Who shall receive it. Absent means: by the routing rules.
   */
  'recipients'?: (_ssom_alert_v1_Recipients | null);
}

/**
 * See AlertService.CreateAlert.
 */
export interface CreateAlertRequest__Output {
  /**
   * Makes a repeat of this request harmless: the same caller and request_id gets the first answer again and no second
   * alert, for as long as that alert is kept (ALERT_RETENTION_DAYS). At most 512 characters; empty means no deduplication.
   */
  'requestId': (string);
  /**
   * What raised the alert. Required.
   */
  'kind': (_ssom_alert_v1_AlertKind__Output);
  /**
   * The application that it is about, at least one visible character. Kept to 128 characters, of at most 4,096; routing rules look at
   * what is kept.
   */
  'appName': (string);
  /**
   * How urgent it is. Required.
   */
  'level': (_ssom_alert_v1_AlertLevel__Output);
  /**
   * One line of text, at least one visible character. Kept to 200 characters, of at most 4,096; line breaks and control characters
   * become spaces.
   */
  'title': (string);
  /**
   * The whole text. Kept to 16,384 characters, of at most 262,144.
   */
  'message': (string);
  /**
   * When it happened, as the source says: from 1970 to one day ahead. Any other time is replaced by now. Absent means now.
   */
  'occurredAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * The source's own id of the event. Kept to 1,024 characters, of at most 16,384: the cut is followed by 16 hexadecimal digits of the
   * SHA-256 of the whole, so that two long ones that differ stay two. It is shown, and nothing is deduplicated by it.
   */
  'sourceId': (string);
  /**
   * Of at most 1,024 pairs the first 32 are kept, in the order of their keys. A key has 1 to 317 characters; a value is kept to 1,024, of
   * at most 16,384.
   */
  'labels': ({[key: string]: string});
  /**
   * Who shall receive it. Absent means: by the routing rules.
   */
  'recipients': (_ssom_alert_v1_Recipients__Output | null);
}
