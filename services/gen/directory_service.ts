import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { DirectoryServiceClient as _ssom_alert_v1_DirectoryServiceClient, DirectoryServiceDefinition as _ssom_alert_v1_DirectoryServiceDefinition } from './ssom/alert/v1/DirectoryService.js';
import type { DirectoryWarning as _ssom_alert_v1_DirectoryWarning, DirectoryWarning__Output as _ssom_alert_v1_DirectoryWarning__Output } from './ssom/alert/v1/DirectoryWarning.js';
import type { GetRoutingRulesRequest as _ssom_alert_v1_GetRoutingRulesRequest, GetRoutingRulesRequest__Output as _ssom_alert_v1_GetRoutingRulesRequest__Output } from './ssom/alert/v1/GetRoutingRulesRequest.js';
import type { GetRoutingRulesResponse as _ssom_alert_v1_GetRoutingRulesResponse, GetRoutingRulesResponse__Output as _ssom_alert_v1_GetRoutingRulesResponse__Output } from './ssom/alert/v1/GetRoutingRulesResponse.js';
import type { ListUsersRequest as _ssom_alert_v1_ListUsersRequest, ListUsersRequest__Output as _ssom_alert_v1_ListUsersRequest__Output } from './ssom/alert/v1/ListUsersRequest.js';
import type { ListUsersResponse as _ssom_alert_v1_ListUsersResponse, ListUsersResponse__Output as _ssom_alert_v1_ListUsersResponse__Output } from './ssom/alert/v1/ListUsersResponse.js';
import type { RoutingRule as _ssom_alert_v1_RoutingRule, RoutingRule__Output as _ssom_alert_v1_RoutingRule__Output } from './ssom/alert/v1/RoutingRule.js';
import type { SetRoutingRulesRequest as _ssom_alert_v1_SetRoutingRulesRequest, SetRoutingRulesRequest__Output as _ssom_alert_v1_SetRoutingRulesRequest__Output } from './ssom/alert/v1/SetRoutingRulesRequest.js';
import type { SetRoutingRulesResponse as _ssom_alert_v1_SetRoutingRulesResponse, SetRoutingRulesResponse__Output as _ssom_alert_v1_SetRoutingRulesResponse__Output } from './ssom/alert/v1/SetRoutingRulesResponse.js';
import type { UpsertUsersRequest as _ssom_alert_v1_UpsertUsersRequest, UpsertUsersRequest__Output as _ssom_alert_v1_UpsertUsersRequest__Output } from './ssom/alert/v1/UpsertUsersRequest.js';
import type { UpsertUsersResponse as _ssom_alert_v1_UpsertUsersResponse, UpsertUsersResponse__Output as _ssom_alert_v1_UpsertUsersResponse__Output } from './ssom/alert/v1/UpsertUsersResponse.js';
import type { User as _ssom_alert_v1_User, User__Output as _ssom_alert_v1_User__Output } from './ssom/alert/v1/User.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  ssom: {
    alert: {
      v1: {
        /**
         * Who there is, and who receives what. Needs the scope directory:admin. Every change makes a new version of the
         * directory; an alert goes to the recipients of the version at which it was stored.
         */
        DirectoryService: SubtypeConstructor<typeof grpc.Client, _ssom_alert_v1_DirectoryServiceClient> & { service: _ssom_alert_v1_DirectoryServiceDefinition }
        DirectoryWarning: MessageTypeDefinition<_ssom_alert_v1_DirectoryWarning, _ssom_alert_v1_DirectoryWarning__Output>
        DirectoryWarningType: EnumTypeDefinition
        GetRoutingRulesRequest: MessageTypeDefinition<_ssom_alert_v1_GetRoutingRulesRequest, _ssom_alert_v1_GetRoutingRulesRequest__Output>
        GetRoutingRulesResponse: MessageTypeDefinition<_ssom_alert_v1_GetRoutingRulesResponse, _ssom_alert_v1_GetRoutingRulesResponse__Output>
        ListUsersRequest: MessageTypeDefinition<_ssom_alert_v1_ListUsersRequest, _ssom_alert_v1_ListUsersRequest__Output>
        ListUsersResponse: MessageTypeDefinition<_ssom_alert_v1_ListUsersResponse, _ssom_alert_v1_ListUsersResponse__Output>
        RoutingMatch: EnumTypeDefinition
        RoutingRule: MessageTypeDefinition<_ssom_alert_v1_RoutingRule, _ssom_alert_v1_RoutingRule__Output>
        SetRoutingRulesRequest: MessageTypeDefinition<_ssom_alert_v1_SetRoutingRulesRequest, _ssom_alert_v1_SetRoutingRulesRequest__Output>
        SetRoutingRulesResponse: MessageTypeDefinition<_ssom_alert_v1_SetRoutingRulesResponse, _ssom_alert_v1_SetRoutingRulesResponse__Output>
        UpsertUsersRequest: MessageTypeDefinition<_ssom_alert_v1_UpsertUsersRequest, _ssom_alert_v1_UpsertUsersRequest__Output>
        UpsertUsersResponse: MessageTypeDefinition<_ssom_alert_v1_UpsertUsersResponse, _ssom_alert_v1_UpsertUsersResponse__Output>
        User: MessageTypeDefinition<_ssom_alert_v1_User, _ssom_alert_v1_User__Output>
      }
    }
  }
}

