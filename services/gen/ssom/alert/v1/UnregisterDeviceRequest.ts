// Original file: proto/ssom/alert/v1/device_service.proto

import type { Long } from '@grpc/proto-loader';

/**
 * See DeviceService.UnregisterDevice.
 */
export interface UnregisterDeviceRequest {
  /**
   * Whose device; empty means the caller's.
   */
  'userId'?: (string);
  /**
   * By its id.
   */
  'deviceId'?: (number | string | Long);
  /**
   * By its token, which is what the app itself knows.
   */
  'token'?: (string);
  /**
   * Which one. Required.
   */
  'device'?: "deviceId"|"token";
}

/**
 * See DeviceService.UnregisterDevice.
 */
export interface UnregisterDeviceRequest__Output {
  /**
   * Whose device; empty means the caller's.
   */
  'userId': (string);
  /**
   * By its id.
   */
  'deviceId'?: (number);
  /**
   * By its token, which is what the app itself knows.
   */
  'token'?: (string);
  /**
   * Which one. Required.
   */
  'device'?: "deviceId"|"token";
}
