// Original file: proto/ssom/alert/v1/alert_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { BatchCreateAlertsRequest as _ssom_alert_v1_BatchCreateAlertsRequest, BatchCreateAlertsRequest__Output as _ssom_alert_v1_BatchCreateAlertsRequest__Output } from '../../../ssom/alert/v1/BatchCreateAlertsRequest.js';
import type { BatchCreateAlertsResponse as _ssom_alert_v1_BatchCreateAlertsResponse, BatchCreateAlertsResponse__Output as _ssom_alert_v1_BatchCreateAlertsResponse__Output } from '../../../ssom/alert/v1/BatchCreateAlertsResponse.js';
import type { CreateAlertRequest as _ssom_alert_v1_CreateAlertRequest, CreateAlertRequest__Output as _ssom_alert_v1_CreateAlertRequest__Output } from '../../../ssom/alert/v1/CreateAlertRequest.js';
import type { CreateAlertResponse as _ssom_alert_v1_CreateAlertResponse, CreateAlertResponse__Output as _ssom_alert_v1_CreateAlertResponse__Output } from '../../../ssom/alert/v1/CreateAlertResponse.js';
import type { GetAlertRequest as _ssom_alert_v1_GetAlertRequest, GetAlertRequest__Output as _ssom_alert_v1_GetAlertRequest__Output } from '../../../ssom/alert/v1/GetAlertRequest.js';
import type { GetAlertResponse as _ssom_alert_v1_GetAlertResponse, GetAlertResponse__Output as _ssom_alert_v1_GetAlertResponse__Output } from '../../../ssom/alert/v1/GetAlertResponse.js';
import type { ListAlertsRequest as _ssom_alert_v1_ListAlertsRequest, ListAlertsRequest__Output as _ssom_alert_v1_ListAlertsRequest__Output } from '../../../ssom/alert/v1/ListAlertsRequest.js';
import type { ListAlertsResponse as _ssom_alert_v1_ListAlertsResponse, ListAlertsResponse__Output as _ssom_alert_v1_ListAlertsResponse__Output } from '../../../ssom/alert/v1/ListAlertsResponse.js';

/**
 * Takes alerts from internal services and tells where they are.
 */
export interface AlertServiceClient extends grpc.Client {
  /**
   * Stores up to 500 alerts, each for itself: one that is refused does not touch the others. Needs the scope
   * alerts:create. The call itself fails only if there are no items or too many.
   */
  BatchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  BatchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  BatchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  BatchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Stores up to 500 alerts, each for itself: one that is refused does not touch the others. Needs the scope
   * alerts:create. The call itself fails only if there are no items or too many.
   */
  batchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  batchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  batchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  batchCreateAlerts(argument: _ssom_alert_v1_BatchCreateAlertsRequest, callback: grpc.requestCallback<_ssom_alert_v1_BatchCreateAlertsResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Stores an alert and answers at once; everything after that is asynchronous. An answer of OK means that the alert
   * will be in the inbox of every recipient. Needs the scope alerts:create.
   * 
   * What a machine sends about trouble is not refused for its form where it can be understood: it is shortened or set right, and
   * adjustments says what was changed. Refused is what has no meaning, or is far beyond a limit.
   * 
   * Errors: INVALID_ARGUMENT (BadRequest lists the violations, as many as fit into 8 KiB), FAILED_PRECONDITION (REQUEST_ID_REUSED: the same
   * request_id with another body), RESOURCE_EXHAUSTED (too many requests wait, or the message is too large),
   * UNAVAILABLE (the database is away). The last two carry a RetryInfo where trying again helps.
   */
  CreateAlert(argument: _ssom_alert_v1_CreateAlertRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  CreateAlert(argument: _ssom_alert_v1_CreateAlertRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  CreateAlert(argument: _ssom_alert_v1_CreateAlertRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  CreateAlert(argument: _ssom_alert_v1_CreateAlertRequest, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Stores an alert and answers at once; everything after that is asynchronous. An answer of OK means that the alert
   * will be in the inbox of every recipient. Needs the scope alerts:create.
   * 
   * What a machine sends about trouble is not refused for its form where it can be understood: it is shortened or set right, and
   * adjustments says what was changed. Refused is what has no meaning, or is far beyond a limit.
   * 
   * Errors: INVALID_ARGUMENT (BadRequest lists the violations, as many as fit into 8 KiB), FAILED_PRECONDITION (REQUEST_ID_REUSED: the same
   * request_id with another body), RESOURCE_EXHAUSTED (too many requests wait, or the message is too large),
   * UNAVAILABLE (the database is away). The last two carry a RetryInfo where trying again helps.
   */
  createAlert(argument: _ssom_alert_v1_CreateAlertRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  createAlert(argument: _ssom_alert_v1_CreateAlertRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  createAlert(argument: _ssom_alert_v1_CreateAlertRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  createAlert(argument: _ssom_alert_v1_CreateAlertRequest, callback: grpc.requestCallback<_ssom_alert_v1_CreateAlertResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * One alert and how far it has come. Needs the scope alerts:read, or the alert in the caller's own inbox.
   */
  GetAlert(argument: _ssom_alert_v1_GetAlertRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  GetAlert(argument: _ssom_alert_v1_GetAlertRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  GetAlert(argument: _ssom_alert_v1_GetAlertRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  GetAlert(argument: _ssom_alert_v1_GetAlertRequest, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  /**
   * One alert and how far it has come. Needs the scope alerts:read, or the alert in the caller's own inbox.
   */
  getAlert(argument: _ssom_alert_v1_GetAlertRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  getAlert(argument: _ssom_alert_v1_GetAlertRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  getAlert(argument: _ssom_alert_v1_GetAlertRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  getAlert(argument: _ssom_alert_v1_GetAlertRequest, callback: grpc.requestCallback<_ssom_alert_v1_GetAlertResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Alerts, newest first (alert_id descending). Needs the scope alerts:read.
   */
  ListAlerts(argument: _ssom_alert_v1_ListAlertsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  ListAlerts(argument: _ssom_alert_v1_ListAlertsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  ListAlerts(argument: _ssom_alert_v1_ListAlertsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  ListAlerts(argument: _ssom_alert_v1_ListAlertsRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Alerts, newest first (alert_id descending). Needs the scope alerts:read.
   */
  listAlerts(argument: _ssom_alert_v1_ListAlertsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  listAlerts(argument: _ssom_alert_v1_ListAlertsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  listAlerts(argument: _ssom_alert_v1_ListAlertsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  listAlerts(argument: _ssom_alert_v1_ListAlertsRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListAlertsResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Takes alerts from internal services and tells where they are.
 */
export interface AlertServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Stores up to 500 alerts, each for itself: one that is refused does not touch the others. Needs the scope
   * alerts:create. The call itself fails only if there are no items or too many.
   */
  BatchCreateAlerts: grpc.handleUnaryCall<_ssom_alert_v1_BatchCreateAlertsRequest__Output, _ssom_alert_v1_BatchCreateAlertsResponse>;
  
  /**
   * Stores an alert and answers at once; everything after that is asynchronous. An answer of OK means that the alert
   * will be in the inbox of every recipient. Needs the scope alerts:create.
   * 
   * What a machine sends about trouble is not refused for its form where it can be understood: it is shortened or set right, and
   * adjustments says what was changed. Refused is what has no meaning, or is far beyond a limit.
   * 
   * Errors: INVALID_ARGUMENT (BadRequest lists the violations, as many as fit into 8 KiB), FAILED_PRECONDITION (REQUEST_ID_REUSED: the same
   * request_id with another body), RESOURCE_EXHAUSTED (too many requests wait, or the message is too large),
   * UNAVAILABLE (the database is away). The last two carry a RetryInfo where trying again helps.
   */
  CreateAlert: grpc.handleUnaryCall<_ssom_alert_v1_CreateAlertRequest__Output, _ssom_alert_v1_CreateAlertResponse>;
  
  /**
   * One alert and how far it has come. Needs the scope alerts:read, or the alert in the caller's own inbox.
   */
  GetAlert: grpc.handleUnaryCall<_ssom_alert_v1_GetAlertRequest__Output, _ssom_alert_v1_GetAlertResponse>;
  
  /**
   * Alerts, newest first (alert_id descending). Needs the scope alerts:read.
   */
  ListAlerts: grpc.handleUnaryCall<_ssom_alert_v1_ListAlertsRequest__Output, _ssom_alert_v1_ListAlertsResponse>;
  
}

export interface AlertServiceDefinition extends grpc.ServiceDefinition {
  BatchCreateAlerts: MethodDefinition<_ssom_alert_v1_BatchCreateAlertsRequest, _ssom_alert_v1_BatchCreateAlertsResponse, _ssom_alert_v1_BatchCreateAlertsRequest__Output, _ssom_alert_v1_BatchCreateAlertsResponse__Output>
  CreateAlert: MethodDefinition<_ssom_alert_v1_CreateAlertRequest, _ssom_alert_v1_CreateAlertResponse, _ssom_alert_v1_CreateAlertRequest__Output, _ssom_alert_v1_CreateAlertResponse__Output>
  GetAlert: MethodDefinition<_ssom_alert_v1_GetAlertRequest, _ssom_alert_v1_GetAlertResponse, _ssom_alert_v1_GetAlertRequest__Output, _ssom_alert_v1_GetAlertResponse__Output>
  ListAlerts: MethodDefinition<_ssom_alert_v1_ListAlertsRequest, _ssom_alert_v1_ListAlertsResponse, _ssom_alert_v1_ListAlertsRequest__Output, _ssom_alert_v1_ListAlertsResponse__Output>
}
