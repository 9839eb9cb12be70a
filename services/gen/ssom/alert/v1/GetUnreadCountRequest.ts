// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.GetUnreadCount.
 */
export interface GetUnreadCountRequest {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId'?: (string);
}

/**
 * See InboxService.GetUnreadCount.
 */
export interface GetUnreadCountRequest__Output {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId': (string);
}
