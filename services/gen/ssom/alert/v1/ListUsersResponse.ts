// Original file: proto/ssom/alert/v1/directory_service.proto

import type { User as _ssom_alert_v1_User, User__Output as _ssom_alert_v1_User__Output } from '../../../ssom/alert/v1/User.js';

/**
 * See DirectoryService.ListUsers.
 */
export interface ListUsersResponse {
  /**
   * The page: at most page_size, and at most 3 MiB.
   */
  'users'?: (_ssom_alert_v1_User)[];
  /**
   * The token of the next page; empty if this is the last one.
   */
  'nextPageToken'?: (string);
}

/**
 * See DirectoryService.ListUsers.
 */
export interface ListUsersResponse__Output {
  /**
   * The page: at most page_size, and at most 3 MiB.
   */
  'users': (_ssom_alert_v1_User__Output)[];
  /**
   * The token of the next page; empty if this is the last one.
   */
  'nextPageToken': (string);
}
