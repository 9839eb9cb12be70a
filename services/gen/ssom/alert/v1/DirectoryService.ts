// Original file: proto/ssom/alert/v1/directory_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetRoutingRulesRequest as _ssom_alert_v1_GetRoutingRulesRequest, GetRoutingRulesRequest__Output as _ssom_alert_v1_GetRoutingRulesRequest__Output } from '../../../ssom/alert/v1/GetRoutingRulesRequest.js';
import type { GetRoutingRulesResponse as _ssom_alert_v1_GetRoutingRulesResponse, GetRoutingRulesResponse__Output as _ssom_alert_v1_GetRoutingRulesResponse__Output } from '../../../ssom/alert/v1/GetRoutingRulesResponse.js';
import type { ListUsersRequest as _ssom_alert_v1_ListUsersRequest, ListUsersRequest__Output as _ssom_alert_v1_ListUsersRequest__Output } from '../../../ssom/alert/v1/ListUsersRequest.js';
import type { ListUsersResponse as _ssom_alert_v1_ListUsersResponse, ListUsersResponse__Output as _ssom_alert_v1_ListUsersResponse__Output } from '../../../ssom/alert/v1/ListUsersResponse.js';
import type { SetRoutingRulesRequest as _ssom_alert_v1_SetRoutingRulesRequest, SetRoutingRulesRequest__Output as _ssom_alert_v1_SetRoutingRulesRequest__Output } from '../../../ssom/alert/v1/SetRoutingRulesRequest.js';
import type { SetRoutingRulesResponse as _ssom_alert_v1_SetRoutingRulesResponse, SetRoutingRulesResponse__Output as _ssom_alert_v1_SetRoutingRulesResponse__Output } from '../../../ssom/alert/v1/SetRoutingRulesResponse.js';
import type { UpsertUsersRequest as _ssom_alert_v1_UpsertUsersRequest, UpsertUsersRequest__Output as _ssom_alert_v1_UpsertUsersRequest__Output } from '../../../ssom/alert/v1/UpsertUsersRequest.js';
import type { UpsertUsersResponse as _ssom_alert_v1_UpsertUsersResponse, UpsertUsersResponse__Output as _ssom_alert_v1_UpsertUsersResponse__Output } from '../../../ssom/alert/v1/UpsertUsersResponse.js';

/**
 * Who there is, and who receives what. Needs the scope directory:admin. Every change makes a new version of the
 * directory; an alert goes to the recipients of the version at which it was stored.
 */
export interface DirectoryServiceClient extends grpc.Client {
  /**
   * The routing rules.
   */
  GetRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  GetRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  GetRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  GetRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The routing rules.
   */
  getRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  getRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  getRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  getRoutingRules(argument: _ssom_alert_v1_GetRoutingRulesRequest, callback: grpc.requestCallback<_ssom_alert_v1_GetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Users by user_id, ascending, inactive ones included.
   */
  ListUsers(argument: _ssom_alert_v1_ListUsersRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  ListUsers(argument: _ssom_alert_v1_ListUsersRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  ListUsers(argument: _ssom_alert_v1_ListUsersRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  ListUsers(argument: _ssom_alert_v1_ListUsersRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Users by user_id, ascending, inactive ones included.
   */
  listUsers(argument: _ssom_alert_v1_ListUsersRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  listUsers(argument: _ssom_alert_v1_ListUsersRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  listUsers(argument: _ssom_alert_v1_ListUsersRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  listUsers(argument: _ssom_alert_v1_ListUsersRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListUsersResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Replaces all routing rules.
   */
  SetRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  SetRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  SetRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  SetRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Replaces all routing rules.
   */
  setRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  setRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  setRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  setRoutingRules(argument: _ssom_alert_v1_SetRoutingRulesRequest, callback: grpc.requestCallback<_ssom_alert_v1_SetRoutingRulesResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Adds users or replaces the ones that exist, all of them or none.
   */
  UpsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  UpsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  UpsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  UpsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Adds users or replaces the ones that exist, all of them or none.
   */
  upsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  upsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  upsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  upsertUsers(argument: _ssom_alert_v1_UpsertUsersRequest, callback: grpc.requestCallback<_ssom_alert_v1_UpsertUsersResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Who there is, and who receives what. Needs the scope directory:admin. Every change makes a new version of the
 * directory; an alert goes to the recipients of the version at which it was stored.
 */
export interface DirectoryServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * The routing rules.
   */
  GetRoutingRules: grpc.handleUnaryCall<_ssom_alert_v1_GetRoutingRulesRequest__Output, _ssom_alert_v1_GetRoutingRulesResponse>;
  
  /**
   * Users by user_id, ascending, inactive ones included.
   */
  ListUsers: grpc.handleUnaryCall<_ssom_alert_v1_ListUsersRequest__Output, _ssom_alert_v1_ListUsersResponse>;
  
  /**
   * Replaces all routing rules.
   */
  SetRoutingRules: grpc.handleUnaryCall<_ssom_alert_v1_SetRoutingRulesRequest__Output, _ssom_alert_v1_SetRoutingRulesResponse>;
  
  /**
   * Adds users or replaces the ones that exist, all of them or none.
   */
  UpsertUsers: grpc.handleUnaryCall<_ssom_alert_v1_UpsertUsersRequest__Output, _ssom_alert_v1_UpsertUsersResponse>;
  
}

export interface DirectoryServiceDefinition extends grpc.ServiceDefinition {
  GetRoutingRules: MethodDefinition<_ssom_alert_v1_GetRoutingRulesRequest, _ssom_alert_v1_GetRoutingRulesResponse, _ssom_alert_v1_GetRoutingRulesRequest__Output, _ssom_alert_v1_GetRoutingRulesResponse__Output>
  ListUsers: MethodDefinition<_ssom_alert_v1_ListUsersRequest, _ssom_alert_v1_ListUsersResponse, _ssom_alert_v1_ListUsersRequest__Output, _ssom_alert_v1_ListUsersResponse__Output>
  SetRoutingRules: MethodDefinition<_ssom_alert_v1_SetRoutingRulesRequest, _ssom_alert_v1_SetRoutingRulesResponse, _ssom_alert_v1_SetRoutingRulesRequest__Output, _ssom_alert_v1_SetRoutingRulesResponse__Output>
  UpsertUsers: MethodDefinition<_ssom_alert_v1_UpsertUsersRequest, _ssom_alert_v1_UpsertUsersResponse, _ssom_alert_v1_UpsertUsersRequest__Output, _ssom_alert_v1_UpsertUsersResponse__Output>
}
