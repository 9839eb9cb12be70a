// Original file: proto/ssom/alert/v1/device_service.proto


/**
 * See DeviceService.ListDevices.
 */
export interface ListDevicesRequest {
  /**
   * Whose devices; empty means the caller's.
   */
  'userId'?: (string);
}

/**
 * See DeviceService.ListDevices.
 */
export interface ListDevicesRequest__Output {
  /**
   * Whose devices; empty means the caller's.
   */
  'userId': (string);
}
