// Original file: proto/ssom/alert/v1/directory_service.proto


/**
 * See DirectoryService.GetRoutingRules.
 */
export interface GetRoutingRulesRequest {
}

/**
 * See DirectoryService.GetRoutingRules.
 */
export interface GetRoutingRulesRequest__Output {
}
