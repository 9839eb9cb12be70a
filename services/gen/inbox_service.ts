import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from './ssom/alert/v1/Alert.js';
import type { DeleteFromInboxRequest as _ssom_alert_v1_DeleteFromInboxRequest, DeleteFromInboxRequest__Output as _ssom_alert_v1_DeleteFromInboxRequest__Output } from './ssom/alert/v1/DeleteFromInboxRequest.js';
import type { DeleteFromInboxResponse as _ssom_alert_v1_DeleteFromInboxResponse, DeleteFromInboxResponse__Output as _ssom_alert_v1_DeleteFromInboxResponse__Output } from './ssom/alert/v1/DeleteFromInboxResponse.js';
import type { GetUnreadCountRequest as _ssom_alert_v1_GetUnreadCountRequest, GetUnreadCountRequest__Output as _ssom_alert_v1_GetUnreadCountRequest__Output } from './ssom/alert/v1/GetUnreadCountRequest.js';
import type { GetUnreadCountResponse as _ssom_alert_v1_GetUnreadCountResponse, GetUnreadCountResponse__Output as _ssom_alert_v1_GetUnreadCountResponse__Output } from './ssom/alert/v1/GetUnreadCountResponse.js';
import type { InboxEntry as _ssom_alert_v1_InboxEntry, InboxEntry__Output as _ssom_alert_v1_InboxEntry__Output } from './ssom/alert/v1/InboxEntry.js';
import type { InboxServiceClient as _ssom_alert_v1_InboxServiceClient, InboxServiceDefinition as _ssom_alert_v1_InboxServiceDefinition } from './ssom/alert/v1/InboxService.js';
import type { ListInboxRequest as _ssom_alert_v1_ListInboxRequest, ListInboxRequest__Output as _ssom_alert_v1_ListInboxRequest__Output } from './ssom/alert/v1/ListInboxRequest.js';
import type { ListInboxResponse as _ssom_alert_v1_ListInboxResponse, ListInboxResponse__Output as _ssom_alert_v1_ListInboxResponse__Output } from './ssom/alert/v1/ListInboxResponse.js';
import type { MarkAllReadRequest as _ssom_alert_v1_MarkAllReadRequest, MarkAllReadRequest__Output as _ssom_alert_v1_MarkAllReadRequest__Output } from './ssom/alert/v1/MarkAllReadRequest.js';
import type { MarkAllReadResponse as _ssom_alert_v1_MarkAllReadResponse, MarkAllReadResponse__Output as _ssom_alert_v1_MarkAllReadResponse__Output } from './ssom/alert/v1/MarkAllReadResponse.js';
import type { MarkReadRequest as _ssom_alert_v1_MarkReadRequest, MarkReadRequest__Output as _ssom_alert_v1_MarkReadRequest__Output } from './ssom/alert/v1/MarkReadRequest.js';
import type { MarkReadResponse as _ssom_alert_v1_MarkReadResponse, MarkReadResponse__Output as _ssom_alert_v1_MarkReadResponse__Output } from './ssom/alert/v1/MarkReadResponse.js';
import type { MarkUnreadRequest as _ssom_alert_v1_MarkUnreadRequest, MarkUnreadRequest__Output as _ssom_alert_v1_MarkUnreadRequest__Output } from './ssom/alert/v1/MarkUnreadRequest.js';
import type { MarkUnreadResponse as _ssom_alert_v1_MarkUnreadResponse, MarkUnreadResponse__Output as _ssom_alert_v1_MarkUnreadResponse__Output } from './ssom/alert/v1/MarkUnreadResponse.js';
import type { Recipients as _ssom_alert_v1_Recipients, Recipients__Output as _ssom_alert_v1_Recipients__Output } from './ssom/alert/v1/Recipients.js';
import type { UnreachedRecipient as _ssom_alert_v1_UnreachedRecipient, UnreachedRecipient__Output as _ssom_alert_v1_UnreachedRecipient__Output } from './ssom/alert/v1/UnreachedRecipient.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  ssom: {
    alert: {
      v1: {
        Alert: MessageTypeDefinition<_ssom_alert_v1_Alert, _ssom_alert_v1_Alert__Output>
        AlertKind: EnumTypeDefinition
        AlertLevel: EnumTypeDefinition
        DeleteFromInboxRequest: MessageTypeDefinition<_ssom_alert_v1_DeleteFromInboxRequest, _ssom_alert_v1_DeleteFromInboxRequest__Output>
        DeleteFromInboxResponse: MessageTypeDefinition<_ssom_alert_v1_DeleteFromInboxResponse, _ssom_alert_v1_DeleteFromInboxResponse__Output>
        GetUnreadCountRequest: MessageTypeDefinition<_ssom_alert_v1_GetUnreadCountRequest, _ssom_alert_v1_GetUnreadCountRequest__Output>
        GetUnreadCountResponse: MessageTypeDefinition<_ssom_alert_v1_GetUnreadCountResponse, _ssom_alert_v1_GetUnreadCountResponse__Output>
        InboxEntry: MessageTypeDefinition<_ssom_alert_v1_InboxEntry, _ssom_alert_v1_InboxEntry__Output>
        /**
         * A user's inbox. Every method is about the calling user's own inbox, unless user_id names another one, which needs the
         * scope admin.
         */
        InboxService: SubtypeConstructor<typeof grpc.Client, _ssom_alert_v1_InboxServiceClient> & { service: _ssom_alert_v1_InboxServiceDefinition }
        ListInboxRequest: MessageTypeDefinition<_ssom_alert_v1_ListInboxRequest, _ssom_alert_v1_ListInboxRequest__Output>
        ListInboxResponse: MessageTypeDefinition<_ssom_alert_v1_ListInboxResponse, _ssom_alert_v1_ListInboxResponse__Output>
        MarkAllReadRequest: MessageTypeDefinition<_ssom_alert_v1_MarkAllReadRequest, _ssom_alert_v1_MarkAllReadRequest__Output>
        MarkAllReadResponse: MessageTypeDefinition<_ssom_alert_v1_MarkAllReadResponse, _ssom_alert_v1_MarkAllReadResponse__Output>
        MarkReadRequest: MessageTypeDefinition<_ssom_alert_v1_MarkReadRequest, _ssom_alert_v1_MarkReadRequest__Output>
        MarkReadResponse: MessageTypeDefinition<_ssom_alert_v1_MarkReadResponse, _ssom_alert_v1_MarkReadResponse__Output>
        MarkUnreadRequest: MessageTypeDefinition<_ssom_alert_v1_MarkUnreadRequest, _ssom_alert_v1_MarkUnreadRequest__Output>
        MarkUnreadResponse: MessageTypeDefinition<_ssom_alert_v1_MarkUnreadResponse, _ssom_alert_v1_MarkUnreadResponse__Output>
        RecipientList: EnumTypeDefinition
        Recipients: MessageTypeDefinition<_ssom_alert_v1_Recipients, _ssom_alert_v1_Recipients__Output>
        UnreachedReason: EnumTypeDefinition
        UnreachedRecipient: MessageTypeDefinition<_ssom_alert_v1_UnreachedRecipient, _ssom_alert_v1_UnreachedRecipient__Output>
      }
    }
  }
}

