// Original file: proto/ssom/alert/v1/directory_service.proto

import type { Long } from '@grpc/proto-loader';

/**
 * See DirectoryService.SetRoutingRules.
 */
export interface SetRoutingRulesResponse {
  /**
   * The directory's version after the change. Unchanged if the request changed nothing.
   */
  'directoryVersion'?: (number | string | Long);
}

/**
 * See DirectoryService.SetRoutingRules.
 */
export interface SetRoutingRulesResponse__Output {
  /**
   * The directory's version after the change. Unchanged if the request changed nothing.
   */
  'directoryVersion': (number);
}
