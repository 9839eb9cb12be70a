// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.MarkAllRead.
 */
export interface MarkAllReadResponse {
  /**
   * How many entries changed.
   */
  'changed'?: (number);
  /**
   * How many are unread now.
   */
  'unreadCount'?: (number);
}

/**
 * See InboxService.MarkAllRead.
 */
export interface MarkAllReadResponse__Output {
  /**
   * How many entries changed.
   */
  'changed': (number);
  /**
   * How many are unread now.
   */
  'unreadCount': (number);
}
