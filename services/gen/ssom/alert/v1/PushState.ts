// Original file: proto/ssom/alert/v1/alert_service.proto

/**
 * What became of a push.
 */
export const PushState = {
  /**
   * Not set.
   */
  PUSH_STATE_UNSPECIFIED: 'PUSH_STATE_UNSPECIFIED',
  /**
   * It waits: for its time, for the grace that a user with a stream has, or to be tried again.
   */
  PUSH_STATE_WAITING: 'PUSH_STATE_WAITING',
  /**
   * It was tried, or is being tried, and nobody knows yet whether FCM has accepted it.
   */
  PUSH_STATE_SENDING: 'PUSH_STATE_SENDING',
  /**
   * FCM has accepted it.
   */
  PUSH_STATE_SENT: 'PUSH_STATE_SENT',
  /**
   * It was read or deleted, and the device was told so.
   */
  PUSH_STATE_DISMISSED: 'PUSH_STATE_DISMISSED',
  /**
   * It was never sent: read or deleted before, or the device was gone.
   */
  PUSH_STATE_SKIPPED: 'PUSH_STATE_SKIPPED',
  /**
   * It was not accepted while it was young enough.
   */
  PUSH_STATE_EXPIRED: 'PUSH_STATE_EXPIRED',
  /**
   * FCM refused it for good.
   */
  PUSH_STATE_FAILED: 'PUSH_STATE_FAILED',
} as const;

/**
 * What became of a push.
 */
export type PushState =
  /**
   * Not set.
   */
  | 'PUSH_STATE_UNSPECIFIED'
  | 0
  /**
   * It waits: for its time, for the grace that a user with a stream has, or to be tried again.
   */
  | 'PUSH_STATE_WAITING'
  | 1
  /**
   * It was tried, or is being tried, and nobody knows yet whether FCM has accepted it.
   */
  | 'PUSH_STATE_SENDING'
  | 2
  /**
   * FCM has accepted it.
   */
  | 'PUSH_STATE_SENT'
  | 3
  /**
   * It was read or deleted, and the device was told so.
   */
  | 'PUSH_STATE_DISMISSED'
  | 4
  /**
   * It was never sent: read or deleted before, or the device was gone.
   */
  | 'PUSH_STATE_SKIPPED'
  | 5
  /**
   * It was not accepted while it was young enough.
   */
  | 'PUSH_STATE_EXPIRED'
  | 6
  /**
   * FCM refused it for good.
   */
  | 'PUSH_STATE_FAILED'
  | 7

/**
 * What became of a push.
 */
export type PushState__Output = typeof PushState[keyof typeof PushState]
