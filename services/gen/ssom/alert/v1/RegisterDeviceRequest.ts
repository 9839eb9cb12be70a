// Original file: proto/ssom/alert/v1/device_service.proto

import type { DevicePlatform as _ssom_alert_v1_DevicePlatform, DevicePlatform__Output as _ssom_alert_v1_DevicePlatform__Output } from '../../../ssom/alert/v1/DevicePlatform.js';

/**
 * See DeviceService.RegisterDevice.
 */
export interface RegisterDeviceRequest {
  /**
   * Whose device; empty means the caller's.
   */
  'userId'?: (string);
  /**
   * What it runs on. Required.
   */
  'platform'?: (_ssom_alert_v1_DevicePlatform);
  /**
   * FCM's registration token, 1 to 4,096 characters of printable ASCII without spaces.
   */
  'token'?: (string);
  /**
   * At most 64 characters.
   */
  'appVersion'?: (string);
  /**
   * A language tag such as ko-KR, at most 35 characters.
   */
  'locale'?: (string);
}

/**
 * See DeviceService.RegisterDevice.
 */
export interface RegisterDeviceRequest__Output {
  /**
   * Whose device; empty means the caller's.
   */
  'userId': (string);
  /**
   * What it runs on. Required.
   */
  'platform': (_ssom_alert_v1_DevicePlatform__Output);
  /**
   * FCM's registration token, 1 to 4,096 characters of printable ASCII without spaces.
   */
  'token': (string);
  /**
   * At most 64 characters.
   */
  'appVersion': (string);
  /**
   * A language tag such as ko-KR, at most 35 characters.
   */
  'locale': (string);
}
