// Original file: proto/ssom/alert/v1/alert_stream_service.proto

import type { InboxChange as _ssom_alert_v1_InboxChange, InboxChange__Output as _ssom_alert_v1_InboxChange__Output } from '../../../ssom/alert/v1/InboxChange.js';
import type { Long } from '@grpc/proto-loader';

/**
 * One or more changes, or a checkpoint.
 */
export interface StreamAlertsResponse {
  /**
   * In the order of their sequence; many while catching up (at most some 64 KiB, unless it is a single one), few when live.
   * None: this is a checkpoint. The first checkpoint says that the stream has caught up and is live.
   */
  'changes'?: (_ssom_alert_v1_InboxChange)[];
  /**
   * Give it to the next StreamAlerts call to go on behind this response.
   */
  'resumeToken'?: (string);
  /**
   * How many alerts of the whole inbox are unread, filters aside: as of the last change in this response, or later while
   * catching up, and never older than that of an earlier response.
   */
  'unreadCount'?: (number);
  /**
   * How many numbers of the user's sequence come after this response, as far as the gateway knew: 0 when live.
   */
  'behind'?: (number | string | Long);
}

/**
 * One or more changes, or a checkpoint.
 */
export interface StreamAlertsResponse__Output {
  /**
   * In the order of their sequence; many while catching up (at most some 64 KiB, unless it is a single one), few when live.
   * None: this is a checkpoint. The first checkpoint says that the stream has caught up and is live.
   */
  'changes': (_ssom_alert_v1_InboxChange__Output)[];
  /**
   * Give it to the next StreamAlerts call to go on behind this response.
   */
  'resumeToken': (string);
  /**
   * How many alerts of the whole inbox are unread, filters aside: as of the last change in this response, or later while
   * catching up, and never older than that of an earlier response.
   */
  'unreadCount': (number);
  /**
   * How many numbers of the user's sequence come after this response, as far as the gateway knew: 0 when live.
   */
  'behind': (number);
}
