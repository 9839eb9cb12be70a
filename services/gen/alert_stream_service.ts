import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from './ssom/alert/v1/Alert.js';
import type { AlertStreamServiceClient as _ssom_alert_v1_AlertStreamServiceClient, AlertStreamServiceDefinition as _ssom_alert_v1_AlertStreamServiceDefinition } from './ssom/alert/v1/AlertStreamService.js';
import type { InboxChange as _ssom_alert_v1_InboxChange, InboxChange__Output as _ssom_alert_v1_InboxChange__Output } from './ssom/alert/v1/InboxChange.js';
import type { Recipients as _ssom_alert_v1_Recipients, Recipients__Output as _ssom_alert_v1_Recipients__Output } from './ssom/alert/v1/Recipients.js';
import type { StreamAlertsRequest as _ssom_alert_v1_StreamAlertsRequest, StreamAlertsRequest__Output as _ssom_alert_v1_StreamAlertsRequest__Output } from './ssom/alert/v1/StreamAlertsRequest.js';
import type { StreamAlertsResponse as _ssom_alert_v1_StreamAlertsResponse, StreamAlertsResponse__Output as _ssom_alert_v1_StreamAlertsResponse__Output } from './ssom/alert/v1/StreamAlertsResponse.js';
import type { StreamFilter as _ssom_alert_v1_StreamFilter, StreamFilter__Output as _ssom_alert_v1_StreamFilter__Output } from './ssom/alert/v1/StreamFilter.js';
import type { UnreachedRecipient as _ssom_alert_v1_UnreachedRecipient, UnreachedRecipient__Output as _ssom_alert_v1_UnreachedRecipient__Output } from './ssom/alert/v1/UnreachedRecipient.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Duration: MessageTypeDefinition<_google_protobuf_Duration, _google_protobuf_Duration__Output>
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  ssom: {
    alert: {
      v1: {
        Alert: MessageTypeDefinition<_ssom_alert_v1_Alert, _ssom_alert_v1_Alert__Output>
        AlertKind: EnumTypeDefinition
        AlertLevel: EnumTypeDefinition
        /**
         * Shows a user's inbox as it changes.
         */
        AlertStreamService: SubtypeConstructor<typeof grpc.Client, _ssom_alert_v1_AlertStreamServiceClient> & { service: _ssom_alert_v1_AlertStreamServiceDefinition }
        InboxChange: MessageTypeDefinition<_ssom_alert_v1_InboxChange, _ssom_alert_v1_InboxChange__Output>
        InboxChangeType: EnumTypeDefinition
        RecipientList: EnumTypeDefinition
        Recipients: MessageTypeDefinition<_ssom_alert_v1_Recipients, _ssom_alert_v1_Recipients__Output>
        StreamAlertsRequest: MessageTypeDefinition<_ssom_alert_v1_StreamAlertsRequest, _ssom_alert_v1_StreamAlertsRequest__Output>
        StreamAlertsResponse: MessageTypeDefinition<_ssom_alert_v1_StreamAlertsResponse, _ssom_alert_v1_StreamAlertsResponse__Output>
        StreamFilter: MessageTypeDefinition<_ssom_alert_v1_StreamFilter, _ssom_alert_v1_StreamFilter__Output>
        StreamStart: EnumTypeDefinition
        UnreachedReason: EnumTypeDefinition
        UnreachedRecipient: MessageTypeDefinition<_ssom_alert_v1_UnreachedRecipient, _ssom_alert_v1_UnreachedRecipient__Output>
      }
    }
  }
}

