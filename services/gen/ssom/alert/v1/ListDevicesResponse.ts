// Original file: proto/ssom/alert/v1/device_service.proto

import type { Device as _ssom_alert_v1_Device, Device__Output as _ssom_alert_v1_Device__Output } from '../../../ssom/alert/v1/Device.js';

/**
 * See DeviceService.ListDevices.
 */
export interface ListDevicesResponse {
  /**
   * At most 2,000.
   */
  'devices'?: (_ssom_alert_v1_Device)[];
}

/**
 * See DeviceService.ListDevices.
 */
export interface ListDevicesResponse__Output {
  /**
   * At most 2,000.
   */
  'devices': (_ssom_alert_v1_Device__Output)[];
}
