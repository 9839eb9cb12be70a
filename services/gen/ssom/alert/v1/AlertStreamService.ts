// Original file: proto/ssom/alert/v1/alert_stream_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { StreamAlertsRequest as _ssom_alert_v1_StreamAlertsRequest, StreamAlertsRequest__Output as _ssom_alert_v1_StreamAlertsRequest__Output } from '../../../ssom/alert/v1/StreamAlertsRequest.js';
import type { StreamAlertsResponse as _ssom_alert_v1_StreamAlertsResponse, StreamAlertsResponse__Output as _ssom_alert_v1_StreamAlertsResponse__Output } from '../../../ssom/alert/v1/StreamAlertsResponse.js';

/**
 * Shows a user's inbox as it changes.
 */
export interface AlertStreamServiceClient extends grpc.Client {
  /**
   * First what has changed since the resume token, then every change as it happens, in the order of the user's sequence,
   * without gaps or repeats, for as long as the client stays. What a client has seen, folded, equals the inbox.
   * 
   * To fold: every change but a deletion carries the alert and its present state: insert or replace the row by alert_id;
   * a deletion removes it. A change that a later one of the same alert supersedes may be left out while catching up.
   * 
   * The stream ends with UNAVAILABLE (SHUTTING_DOWN, STREAM_MAX_AGE: connect again, with the last resume_token; the status
   * details have it too), RESOURCE_EXHAUSTED (STREAM_STALLED: nothing was read for two minutes; TOO_MANY_STREAMS,
   * TOO_MANY_STREAMS_OF_USER: later, or elsewhere), UNAUTHENTICATED (TOKEN_EXPIRED: connect again, with a fresh token and the
   * last resume_token, which the status details have too), INVALID_ARGUMENT (a token that cannot be decoded), PERMISSION_DENIED
   * (somebody else's inbox or token, or the user became inactive), OUT_OF_RANGE
   * (RESUME_TOKEN_EXPIRED: older than what is kept, or of before a backup was restored; RESUME_TOKEN_AHEAD: beyond the inbox.
   * Forget what you have and start without a token, with STREAM_START_BEGINNING), or NOT_FOUND (no such user).
   */
  StreamAlerts(argument: _ssom_alert_v1_StreamAlertsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_ssom_alert_v1_StreamAlertsResponse__Output>;
  StreamAlerts(argument: _ssom_alert_v1_StreamAlertsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_ssom_alert_v1_StreamAlertsResponse__Output>;
  /**
   * First what has changed since the resume token, then every change as it happens, in the order of the user's sequence,
   * without gaps or repeats, for as long as the client stays. What a client has seen, folded, equals the inbox.
   * 
   * To fold: every change but a deletion carries the alert and its present state: insert or replace the row by alert_id;
   * a deletion removes it. A change that a later one of the same alert supersedes may be left out while catching up.
   * 
   * The stream ends with UNAVAILABLE (SHUTTING_DOWN, STREAM_MAX_AGE: connect again, with the last resume_token; the status
   * details have it too), RESOURCE_EXHAUSTED (STREAM_STALLED: nothing was read for two minutes; TOO_MANY_STREAMS,
   * TOO_MANY_STREAMS_OF_USER: later, or elsewhere), UNAUTHENTICATED (TOKEN_EXPIRED: connect again, with a fresh token and the
   * last resume_token, which the status details have too), INVALID_ARGUMENT (a token that cannot be decoded), PERMISSION_DENIED
   * (somebody else's inbox or token, or the user became inactive), OUT_OF_RANGE
   * (RESUME_TOKEN_EXPIRED: older than what is kept, or of before a backup was restored; RESUME_TOKEN_AHEAD: beyond the inbox.
   * Forget what you have and start without a token, with STREAM_START_BEGINNING), or NOT_FOUND (no such user).
   */
  streamAlerts(argument: _ssom_alert_v1_StreamAlertsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_ssom_alert_v1_StreamAlertsResponse__Output>;
  streamAlerts(argument: _ssom_alert_v1_StreamAlertsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_ssom_alert_v1_StreamAlertsResponse__Output>;
  
}

/**
 * Shows a user's inbox as it changes.
 */
export interface AlertStreamServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * First what has changed since the resume token, then every change as it happens, in the order of the user's sequence,
   * without gaps or repeats, for as long as the client stays. What a client has seen, folded, equals the inbox.
   * 
   * To fold: every change but a deletion carries the alert and its present state: insert or replace the row by alert_id;
   * a deletion removes it. A change that a later one of the same alert supersedes may be left out while catching up.
   * 
   * The stream ends with UNAVAILABLE (SHUTTING_DOWN, STREAM_MAX_AGE: connect again, with the last resume_token; the status
   * details have it too), RESOURCE_EXHAUSTED (STREAM_STALLED: nothing was read for two minutes; TOO_MANY_STREAMS,
   * TOO_MANY_STREAMS_OF_USER: later, or elsewhere), UNAUTHENTICATED (TOKEN_EXPIRED: connect again, with a fresh token and the
   * last resume_token, which the status details have too), INVALID_ARGUMENT (a token that cannot be decoded), PERMISSION_DENIED
   * (somebody else's inbox or token, or the user became inactive), OUT_OF_RANGE
   * (RESUME_TOKEN_EXPIRED: older than what is kept, or of before a backup was restored; RESUME_TOKEN_AHEAD: beyond the inbox.
   * Forget what you have and start without a token, with STREAM_START_BEGINNING), or NOT_FOUND (no such user).
   */
  StreamAlerts: grpc.handleServerStreamingCall<_ssom_alert_v1_StreamAlertsRequest__Output, _ssom_alert_v1_StreamAlertsResponse>;
  
}

export interface AlertStreamServiceDefinition extends grpc.ServiceDefinition {
  StreamAlerts: MethodDefinition<_ssom_alert_v1_StreamAlertsRequest, _ssom_alert_v1_StreamAlertsResponse, _ssom_alert_v1_StreamAlertsRequest__Output, _ssom_alert_v1_StreamAlertsResponse__Output>
}
