// Original file: proto/ssom/alert/v1/inbox_service.proto

import type { InboxEntry as _ssom_alert_v1_InboxEntry, InboxEntry__Output as _ssom_alert_v1_InboxEntry__Output } from '../../../ssom/alert/v1/InboxEntry.js';

/**
 * See InboxService.ListInbox.
 */
export interface ListInboxResponse {
  /**
   * The page, newest alert first: at most page_size, and at most 3 MiB unless it is a single entry.
   */
  'entries'?: (_ssom_alert_v1_InboxEntry)[];
  /**
   * The token of the next page; empty if this is the last one.
   */
  'nextPageToken'?: (string);
  /**
   * How many alerts of the whole inbox are unread, filters aside.
   */
  'unreadCount'?: (number);
}

/**
 * See InboxService.ListInbox.
 */
export interface ListInboxResponse__Output {
  /**
   * The page, newest alert first: at most page_size, and at most 3 MiB unless it is a single entry.
   */
  'entries': (_ssom_alert_v1_InboxEntry__Output)[];
  /**
   * The token of the next page; empty if this is the last one.
   */
  'nextPageToken': (string);
  /**
   * How many alerts of the whole inbox are unread, filters aside.
   */
  'unreadCount': (number);
}
