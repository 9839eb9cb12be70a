// Original file: proto/ssom/alert/v1/inbox_service.proto

import type { AlertKind as _ssom_alert_v1_AlertKind, AlertKind__Output as _ssom_alert_v1_AlertKind__Output } from '../../../ssom/alert/v1/AlertKind.js';
import type { AlertLevel as _ssom_alert_v1_AlertLevel, AlertLevel__Output as _ssom_alert_v1_AlertLevel__Output } from '../../../ssom/alert/v1/AlertLevel.js';

/**
 * See InboxService.ListInbox.
 */
export interface ListInboxRequest {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId'?: (string);
  /**
   * 1 to 500; 0 means 50. A page ends at 3 MiB, and after a second if the filter leaves little of a large inbox, so it may be
   * shorter, or empty, while there is a next one.
   */
  'pageSize'?: (number);
  /**
   * next_page_token of the page before; empty for the first page.
   */
  'pageToken'?: (string);
  /**
   * Only unread ones.
   */
  'unreadOnly'?: (boolean);
  /**
   * Only these kinds, at most 100; empty means all.
   */
  'kinds'?: (_ssom_alert_v1_AlertKind)[];
  /**
   * Only this level and above.
   */
  'minimumLevel'?: (_ssom_alert_v1_AlertLevel);
}

/**
 * See InboxService.ListInbox.
 */
export interface ListInboxRequest__Output {
  /**
   * Whose inbox; empty means the caller's.
   */
  'userId': (string);
  /**
   * 1 to 500; 0 means 50. A page ends at 3 MiB, and after a second if the filter leaves little of a large inbox, so it may be
   * shorter, or empty, while there is a next one.
   */
  'pageSize': (number);
  /**
   * next_page_token of the page before; empty for the first page.
   */
  'pageToken': (string);
  /**
   * Only unread ones.
   */
  'unreadOnly': (boolean);
  /**
   * Only these kinds, at most 100; empty means all.
   */
  'kinds': (_ssom_alert_v1_AlertKind__Output)[];
  /**
   * Only this level and above.
   */
  'minimumLevel': (_ssom_alert_v1_AlertLevel__Output);
}
