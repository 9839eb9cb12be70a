// Original file: proto/ssom/alert/v1/inbox_service.proto


/**
 * See InboxService.MarkAllRead.
 */
export interface MarkAllReadRequest {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId'?: (string);
}

/**
 * See InboxService.MarkAllRead.
 */
export interface MarkAllReadRequest__Output {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId': (string);
}
