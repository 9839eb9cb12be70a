// Original file: proto/ssom/alert/v1/device_service.proto

/**
 * What a device runs on.
 */
export const DevicePlatform = {
  /**
   * Not set.
   */
  DEVICE_PLATFORM_UNSPECIFIED: 'DEVICE_PLATFORM_UNSPECIFIED',
  /**
   * Android.
   */
  DEVICE_PLATFORM_ANDROID: 'DEVICE_PLATFORM_ANDROID',
  /**
   * iOS and its like, by APNs.
   */
  DEVICE_PLATFORM_IOS: 'DEVICE_PLATFORM_IOS',
  /**
   * A browser, by web push.
   */
  DEVICE_PLATFORM_WEB: 'DEVICE_PLATFORM_WEB',
} as const;

/**
 * What a device runs on.
 */
export type DevicePlatform =
  /**
   * Not set.
   */
  | 'DEVICE_PLATFORM_UNSPECIFIED'
  | 0
  /**
   * Android.
   */
  | 'DEVICE_PLATFORM_ANDROID'
  | 1
  /**
   * iOS and its like, by APNs.
   */
  | 'DEVICE_PLATFORM_IOS'
  | 2
  /**
   * A browser, by web push.
   */
  | 'DEVICE_PLATFORM_WEB'
  | 3

/**
 * What a device runs on.
 */
export type DevicePlatform__Output = typeof DevicePlatform[keyof typeof DevicePlatform]
