// Original file: proto/ssom/alert/v1/alert_stream_service.proto

/**
 * What happened to an inbox entry.
 */
export const InboxChangeType = {
  /**
   * Never sent.
   */
  INBOX_CHANGE_TYPE_UNSPECIFIED: 'INBOX_CHANGE_TYPE_UNSPECIFIED',
  /**
   * The alert arrived.
   */
  INBOX_CHANGE_TYPE_CREATED: 'INBOX_CHANGE_TYPE_CREATED',
  /**
   * It was marked as read.
   */
  INBOX_CHANGE_TYPE_READ: 'INBOX_CHANGE_TYPE_READ',
  /**
   * It was marked as unread.
   */
  INBOX_CHANGE_TYPE_UNREAD: 'INBOX_CHANGE_TYPE_UNREAD',
  /**
   * It was removed from the inbox.
   */
  INBOX_CHANGE_TYPE_DELETED: 'INBOX_CHANGE_TYPE_DELETED',
} as const;

/**
 * What happened to an inbox entry.
 */
export type InboxChangeType =
  /**
   * Never sent.
   */
  | 'INBOX_CHANGE_TYPE_UNSPECIFIED'
  | 0
  /**
   * The alert arrived.
   */
  | 'INBOX_CHANGE_TYPE_CREATED'
  | 1
  /**
   * It was marked as read.
   */
  | 'INBOX_CHANGE_TYPE_READ'
  | 2
  /**
   * It was marked as unread.
   */
  | 'INBOX_CHANGE_TYPE_UNREAD'
  | 3
  /**
   * It was removed from the inbox.
   */
  | 'INBOX_CHANGE_TYPE_DELETED'
  | 4

/**
 * What happened to an inbox entry.
 */
export type InboxChangeType__Output = typeof InboxChangeType[keyof typeof InboxChangeType]
