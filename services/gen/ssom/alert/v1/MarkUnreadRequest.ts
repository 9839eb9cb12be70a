// Original file: proto/ssom/alert/v1/inbox_service.proto

import type { Long } from '@grpc/proto-loader';

/**
 * See InboxService.MarkUnread.
 */
export interface MarkUnreadRequest {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId'?: (string);
  /**
   * 1 to 1,000 alerts.
   */
  'alertIds'?: (number | string | Long)[];
}

/**
 * See InboxService.MarkUnread.
 */
export interface MarkUnreadRequest__Output {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId': (string);
  /**
   * 1 to 1,000 alerts.
   */
  'alertIds': (number)[];
}
