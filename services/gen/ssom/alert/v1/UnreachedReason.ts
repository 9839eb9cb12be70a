// Original file: proto/ssom/alert/v1/alert.proto

/**
 * Why a name reaches nobody.
 */
export const UnreachedReason = {
  /**
   * Not set.
   */
  UNREACHED_REASON_UNSPECIFIED: 'UNREACHED_REASON_UNSPECIFIED',
  /**
   * There is none of that name.
   */
  UNREACHED_REASON_UNKNOWN: 'UNREACHED_REASON_UNKNOWN',
  /**
   * The user is inactive.
   */
  UNREACHED_REASON_INACTIVE: 'UNREACHED_REASON_INACTIVE',
  /**
   * The department has no active user.
   */
  UNREACHED_REASON_NO_ACTIVE_USER: 'UNREACHED_REASON_NO_ACTIVE_USER',
} as const;

/**
 * Why a name reaches nobody.
 */
export type UnreachedReason =
  /**
   * Not set.
   */
  | 'UNREACHED_REASON_UNSPECIFIED'
  | 0
  /**
   * There is none of that name.
   */
  | 'UNREACHED_REASON_UNKNOWN'
  | 1
  /**
   * The user is inactive.
   */
  | 'UNREACHED_REASON_INACTIVE'
  | 2
  /**
   * The department has no active user.
   */
  | 'UNREACHED_REASON_NO_ACTIVE_USER'
  | 3

/**
 * Why a name reaches nobody.
 */
export type UnreachedReason__Output = typeof UnreachedReason[keyof typeof UnreachedReason]
