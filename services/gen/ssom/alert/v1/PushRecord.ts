// Original file: proto/ssom/alert/v1/alert_service.proto

import type { PushState as _ssom_alert_v1_PushState, PushState__Output as _ssom_alert_v1_PushState__Output } from '../../../ssom/alert/v1/PushState.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { Long } from '@grpc/proto-loader';

/**
 * The push of an alert to one device.
 */
export interface PushRecord {
  /**
   * Whose device.
   */
  'userId'?: (string);
  /**
   * The device, as DeviceService names it; it may be gone.
   */
  'deviceId'?: (number | string | Long);
  /**
   * What became of it.
   */
  'state'?: (_ssom_alert_v1_PushState);
  /**
   * How often it was tried.
   */
  'attempts'?: (number);
  /**
   * When FCM accepted it. Absent: it did not.
   */
  'sentAt'?: (_google_protobuf_Timestamp | null);
  /**
   * FCM's name for it, projects/P/messages/ID. Empty if FCM did not accept it.
   */
  'fcmMessageName'?: (string);
  /**
   * What FCM said when it last failed, or why it was not sent. Empty: nothing.
   */
  'error'?: (string);
  /**
   * When it is tried next; while it is being tried, when it counts as lost. Absent: nothing more happens.
   */
  'dueAt'?: (_google_protobuf_Timestamp | null);
}

/**
 * The push of an alert to one device.
 */
export interface PushRecord__Output {
  /**
   * Whose device.
   */
  'userId': (string);
  /**
   * The device, as DeviceService names it; it may be gone.
   */
  'deviceId': (number);
  /**
   * What became of it.
   */
  'state': (_ssom_alert_v1_PushState__Output);
  /**
   * How often it was tried.
   */
  'attempts': (number);
  /**
   * When FCM accepted it. Absent: it did not.
   */
  'sentAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * FCM's name for it, projects/P/messages/ID. Empty if FCM did not accept it.
   */
  'fcmMessageName': (string);
  /**
   * What FCM said when it last failed, or why it was not sent. Empty: nothing.
   */
  'error': (string);
  /**
   * When it is tried next; while it is being tried, when it counts as lost. Absent: nothing more happens.
   */
  'dueAt': (_google_protobuf_Timestamp__Output | null);
}
