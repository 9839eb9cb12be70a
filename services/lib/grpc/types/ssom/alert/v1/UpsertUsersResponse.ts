// Original file: proto/ssom/alert/v1/directory_service.proto

import type { Long } from '@grpc/proto-loader';

/**
 * See DirectoryService.UpsertUsers.
 */
export interface UpsertUsersResponse {
  /**
   * The directory's version after the change. Unchanged if the request changed nothing.
   */
  'directoryVersion'?: (number | string | Long);
}

/**
 * See DirectoryService.UpsertUsers.
 */
export interface UpsertUsersResponse__Output {
  /**
   * The directory's version after the change. Unchanged if the request changed nothing.
   */
  'directoryVersion': (number);
}
