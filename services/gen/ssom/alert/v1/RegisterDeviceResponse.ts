// Original file: proto/ssom/alert/v1/device_service.proto

import type { Device as _ssom_alert_v1_Device, Device__Output as _ssom_alert_v1_Device__Output } from '../../../ssom/alert/v1/Device.js';

/**
 * See DeviceService.RegisterDevice.
 */
export interface RegisterDeviceResponse {
  /**
   * The device as it is stored.
   */
  'device'?: (_ssom_alert_v1_Device | null);
}

/**
 * See DeviceService.RegisterDevice.
 */
export interface RegisterDeviceResponse__Output {
  /**
   * The device as it is stored.
   */
  'device': (_ssom_alert_v1_Device__Output | null);
}
