import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Adjustment as _ssom_alert_v1_Adjustment, Adjustment__Output as _ssom_alert_v1_Adjustment__Output } from './ssom/alert/v1/Adjustment.js';
import type { Alert as _ssom_alert_v1_Alert, Alert__Output as _ssom_alert_v1_Alert__Output } from './ssom/alert/v1/Alert.js';
import type { AlertProgress as _ssom_alert_v1_AlertProgress, AlertProgress__Output as _ssom_alert_v1_AlertProgress__Output } from './ssom/alert/v1/AlertProgress.js';
import type { AlertServiceClient as _ssom_alert_v1_AlertServiceClient, AlertServiceDefinition as _ssom_alert_v1_AlertServiceDefinition } from './ssom/alert/v1/AlertService.js';
import type { BatchCreateAlertsRequest as _ssom_alert_v1_BatchCreateAlertsRequest, BatchCreateAlertsRequest__Output as _ssom_alert_v1_BatchCreateAlertsRequest__Output } from './ssom/alert/v1/BatchCreateAlertsRequest.js';
import type { BatchCreateAlertsResponse as _ssom_alert_v1_BatchCreateAlertsResponse, BatchCreateAlertsResponse__Output as _ssom_alert_v1_BatchCreateAlertsResponse__Output } from './ssom/alert/v1/BatchCreateAlertsResponse.js';
import type { BatchCreateAlertsResult as _ssom_alert_v1_BatchCreateAlertsResult, BatchCreateAlertsResult__Output as _ssom_alert_v1_BatchCreateAlertsResult__Output } from './ssom/alert/v1/BatchCreateAlertsResult.js';
import type { BatchItemError as _ssom_alert_v1_BatchItemError, BatchItemError__Output as _ssom_alert_v1_BatchItemError__Output } from './ssom/alert/v1/BatchItemError.js';
import type { CreateAlertRequest as _ssom_alert_v1_CreateAlertRequest, CreateAlertRequest__Output as _ssom_alert_v1_CreateAlertRequest__Output } from './ssom/alert/v1/CreateAlertRequest.js';
import type { CreateAlertResponse as _ssom_alert_v1_CreateAlertResponse, CreateAlertResponse__Output as _ssom_alert_v1_CreateAlertResponse__Output } from './ssom/alert/v1/CreateAlertResponse.js';
import type { DeadLetter as _ssom_alert_v1_DeadLetter, DeadLetter__Output as _ssom_alert_v1_DeadLetter__Output } from './ssom/alert/v1/DeadLetter.js';
import type { FieldViolation as _ssom_alert_v1_FieldViolation, FieldViolation__Output as _ssom_alert_v1_FieldViolation__Output } from './ssom/alert/v1/FieldViolation.js';
import type { GetAlertRequest as _ssom_alert_v1_GetAlertRequest, GetAlertRequest__Output as _ssom_alert_v1_GetAlertRequest__Output } from './ssom/alert/v1/GetAlertRequest.js';
import type { GetAlertResponse as _ssom_alert_v1_GetAlertResponse, GetAlertResponse__Output as _ssom_alert_v1_GetAlertResponse__Output } from './ssom/alert/v1/GetAlertResponse.js';
import type { ListAlertsRequest as _ssom_alert_v1_ListAlertsRequest, ListAlertsRequest__Output as _ssom_alert_v1_ListAlertsRequest__Output } from './ssom/alert/v1/ListAlertsRequest.js';
import type { ListAlertsResponse as _ssom_alert_v1_ListAlertsResponse, ListAlertsResponse__Output as _ssom_alert_v1_ListAlertsResponse__Output } from './ssom/alert/v1/ListAlertsResponse.js';
import type { PushCount as _ssom_alert_v1_PushCount, PushCount__Output as _ssom_alert_v1_PushCount__Output } from './ssom/alert/v1/PushCount.js';
import type { PushRecord as _ssom_alert_v1_PushRecord, PushRecord__Output as _ssom_alert_v1_PushRecord__Output } from './ssom/alert/v1/PushRecord.js';
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
        Adjustment: MessageTypeDefinition<_ssom_alert_v1_Adjustment, _ssom_alert_v1_Adjustment__Output>
        AdjustmentType: EnumTypeDefinition
        Alert: MessageTypeDefinition<_ssom_alert_v1_Alert, _ssom_alert_v1_Alert__Output>
        AlertKind: EnumTypeDefinition
        AlertLevel: EnumTypeDefinition
        AlertProgress: MessageTypeDefinition<_ssom_alert_v1_AlertProgress, _ssom_alert_v1_AlertProgress__Output>
        /**
         * Takes alerts from internal services and tells where they are.
         */
        AlertService: SubtypeConstructor<typeof grpc.Client, _ssom_alert_v1_AlertServiceClient> & { service: _ssom_alert_v1_AlertServiceDefinition }
        BatchCreateAlertsRequest: MessageTypeDefinition<_ssom_alert_v1_BatchCreateAlertsRequest, _ssom_alert_v1_BatchCreateAlertsRequest__Output>
        BatchCreateAlertsResponse: MessageTypeDefinition<_ssom_alert_v1_BatchCreateAlertsResponse, _ssom_alert_v1_BatchCreateAlertsResponse__Output>
        BatchCreateAlertsResult: MessageTypeDefinition<_ssom_alert_v1_BatchCreateAlertsResult, _ssom_alert_v1_BatchCreateAlertsResult__Output>
        BatchItemError: MessageTypeDefinition<_ssom_alert_v1_BatchItemError, _ssom_alert_v1_BatchItemError__Output>
        CreateAlertRequest: MessageTypeDefinition<_ssom_alert_v1_CreateAlertRequest, _ssom_alert_v1_CreateAlertRequest__Output>
        CreateAlertResponse: MessageTypeDefinition<_ssom_alert_v1_CreateAlertResponse, _ssom_alert_v1_CreateAlertResponse__Output>
        DeadLetter: MessageTypeDefinition<_ssom_alert_v1_DeadLetter, _ssom_alert_v1_DeadLetter__Output>
        FieldViolation: MessageTypeDefinition<_ssom_alert_v1_FieldViolation, _ssom_alert_v1_FieldViolation__Output>
        GetAlertRequest: MessageTypeDefinition<_ssom_alert_v1_GetAlertRequest, _ssom_alert_v1_GetAlertRequest__Output>
        GetAlertResponse: MessageTypeDefinition<_ssom_alert_v1_GetAlertResponse, _ssom_alert_v1_GetAlertResponse__Output>
        ListAlertsRequest: MessageTypeDefinition<_ssom_alert_v1_ListAlertsRequest, _ssom_alert_v1_ListAlertsRequest__Output>
        ListAlertsResponse: MessageTypeDefinition<_ssom_alert_v1_ListAlertsResponse, _ssom_alert_v1_ListAlertsResponse__Output>
        PushCount: MessageTypeDefinition<_ssom_alert_v1_PushCount, _ssom_alert_v1_PushCount__Output>
        PushRecord: MessageTypeDefinition<_ssom_alert_v1_PushRecord, _ssom_alert_v1_PushRecord__Output>
        PushState: EnumTypeDefinition
        RecipientList: EnumTypeDefinition
        Recipients: MessageTypeDefinition<_ssom_alert_v1_Recipients, _ssom_alert_v1_Recipients__Output>
        UnreachedReason: EnumTypeDefinition
        UnreachedRecipient: MessageTypeDefinition<_ssom_alert_v1_UnreachedRecipient, _ssom_alert_v1_UnreachedRecipient__Output>
      }
    }
  }
}

