// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.GetUnreadCount.
 */
export interface GetUnreadCountResponse {
  /**
   * How many alerts of the inbox are unread.
   */
  'unreadCount'?: (number);
}

/**
 * See InboxService.GetUnreadCount.
 */
export interface GetUnreadCountResponse__Output {
  /**
   * How many alerts of the inbox are unread.
   */
  'unreadCount': (number);
}
