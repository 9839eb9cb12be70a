// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.MarkRead.
 */
export interface MarkReadResponse {
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
 * See InboxService.MarkRead.
 */
export interface MarkReadResponse__Output {
  /**
   * How many entries changed.
   */
  'changed': (number);
  /**
   * How many are unread now.
   */
  'unreadCount': (number);
}
