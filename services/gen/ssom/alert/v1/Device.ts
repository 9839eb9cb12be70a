// Original file: proto/ssom/alert/v1/device_service.proto

import type { DevicePlatform as _ssom_alert_v1_DevicePlatform, DevicePlatform__Output as _ssom_alert_v1_DevicePlatform__Output } from '../../../ssom/alert/v1/DevicePlatform.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { Long } from '@grpc/proto-loader';

/**
 * One app on one device.
 */
export interface Device {
  /**
   * Given by the service. A token that moves to another user is a new device.
   */
  'deviceId'?: (number | string | Long);
  /**
   * What it runs on.
   */
  'platform'?: (_ssom_alert_v1_DevicePlatform);
  /**
   * The last six characters of its token, to tell it from others. The whole token is never shown.
   */
  'tokenEnding'?: (string);
  /**
   * The app's version, as it was registered.
   */
  'appVersion'?: (string);
  /**
   * The app's language, as it was registered.
   */
  'locale'?: (string);
  /**
   * When this user first registered it.
   */
  'registeredAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When it was last registered. One that was not renewed for PUSH_DEVICE_MAX_AGE_DAYS is removed.
   */
  'refreshedAt'?: (_google_protobuf_Timestamp | null);
}

/**
 * One app on one device.
 */
export interface Device__Output {
  /**
   * Given by the service. A token that moves to another user is a new device.
   */
  'deviceId': (number);
  /**
   * What it runs on.
   */
  'platform': (_ssom_alert_v1_DevicePlatform__Output);
  /**
   * The last six characters of its token, to tell it from others. The whole token is never shown.
   */
  'tokenEnding': (string);
  /**
   * The app's version, as it was registered.
   */
  'appVersion': (string);
  /**
   * The app's language, as it was registered.
   */
  'locale': (string);
  /**
   * When this user first registered it.
   */
  'registeredAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When it was last registered. One that was not renewed for PUSH_DEVICE_MAX_AGE_DAYS is removed.
   */
  'refreshedAt': (_google_protobuf_Timestamp__Output | null);
}
