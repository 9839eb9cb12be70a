// Original file: proto/ssom/alert/v1/directory_service.proto

import type { User as _ssom_alert_v1_User, User__Output as _ssom_alert_v1_User__Output } from '../../../ssom/alert/v1/User.js';

/**
 * See DirectoryService.UpsertUsers.
 */
export interface UpsertUsersRequest {
  /**
   * 1 to 500 users, each user_id once.
   */
  'users'?: (_ssom_alert_v1_User)[];
}

/**
 * See DirectoryService.UpsertUsers.
 */
export interface UpsertUsersRequest__Output {
  /**
   * 1 to 500 users, each user_id once.
   */
  'users': (_ssom_alert_v1_User__Output)[];
}
