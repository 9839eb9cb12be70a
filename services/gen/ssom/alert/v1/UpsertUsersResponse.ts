// Original file: proto/ssom/alert/v1/directory_service.proto

import type { DirectoryWarning as _ssom_alert_v1_DirectoryWarning, DirectoryWarning__Output as _ssom_alert_v1_DirectoryWarning__Output } from '../../../ssom/alert/v1/DirectoryWarning.js';
import type { Long } from '@grpc/proto-loader';

/**
 * See DirectoryService.UpsertUsers.
 */
export interface UpsertUsersResponse {
  /**
   * The directory's version after the change. Unchanged if the request changed nothing.
   */
  'directoryVersion'?: (number | string | Long);
  /**
   * What in the whole directory, as it is now, reaches nobody. At most 100; none if it was not known within a second.
   */
  'warnings'?: (_ssom_alert_v1_DirectoryWarning)[];
}

/**
 * See DirectoryService.UpsertUsers.
 */
export interface UpsertUsersResponse__Output {
  /**
   * The directory's version after the change. Unchanged if the request changed nothing.
   */
  'directoryVersion': (number);
  /**
   * What in the whole directory, as it is now, reaches nobody. At most 100; none if it was not known within a second.
   */
  'warnings': (_ssom_alert_v1_DirectoryWarning__Output)[];
}
