// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.DeleteFromInbox.
 */
export interface DeleteFromInboxResponse {
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
 * See InboxService.DeleteFromInbox.
 */
export interface DeleteFromInboxResponse__Output {
  /**
   * How many entries changed.
   */
  'changed': (number);
  /**
   * How many are unread now.
   */
  'unreadCount': (number);
}
