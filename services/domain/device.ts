export const DEVICE_PLATFORMS = ['ANDROID', 'IOS', 'WEB'] as const;
export type DevicePlatform = (typeof DEVICE_PLATFORMS)[number];

/** Ends the error of a push that failed and is not among the dead letters, as its device has made enough of them. */
export const NO_LETTER = ' (no dead letter: its device has made enough)';
