// Original file: proto/ssom/alert/v1/device_service.proto


/**
 * See DeviceService.UnregisterDevice.
 */
export interface UnregisterDeviceResponse {
}

/**
 * See DeviceService.UnregisterDevice.
 */
export interface UnregisterDeviceResponse__Output {
}
