// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.MarkUnread.
 */
export interface MarkUnreadResponse {
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
 * See InboxService.MarkUnread.
 */
export interface MarkUnreadResponse__Output {
  /**
   * How many entries changed.
   */
  'changed': (number);
  /**
   * How many are unread now.
   */
  'unreadCount': (number);
}
