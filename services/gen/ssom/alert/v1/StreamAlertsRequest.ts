// Original file: proto/ssom/alert/v1/alert_stream_service.proto

import type { StreamStart as _ssom_alert_v1_StreamStart, StreamStart__Output as _ssom_alert_v1_StreamStart__Output } from '../../../ssom/alert/v1/StreamStart.js';
import type { StreamFilter as _ssom_alert_v1_StreamFilter, StreamFilter__Output as _ssom_alert_v1_StreamFilter__Output } from '../../../ssom/alert/v1/StreamFilter.js';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../../google/protobuf/Duration.js';

/**
 * See AlertStreamService.StreamAlerts.
 */
export interface StreamAlertsRequest {
  /**
   * Whose inbox; empty means the caller's. Another user's needs the scope admin.
   */
  'userId'?: (string);
  /**
   * The last resume_token that was received; empty to begin as start says.
   */
  'resumeToken'?: (string);
  /**
   * Where to begin if there is no resume_token.
   */
  'start'?: (_ssom_alert_v1_StreamStart);
  /**
   * What is sent. The resume token covers what was examined, sent or not.
   */
  'filter'?: (_ssom_alert_v1_StreamFilter | null);
  /**
   * How often a checkpoint is sent at least: 1 to 300 seconds; absent means 15. Two missed ones mean that the connection is dead.
   */
  'checkpointInterval'?: (_google_protobuf_Duration | null);
}

/**
 * See AlertStreamService.StreamAlerts.
 */
export interface StreamAlertsRequest__Output {
  /**
   * Whose inbox; empty means the caller's. Another user's needs the scope admin.
   */
  'userId': (string);
  /**
   * The last resume_token that was received; empty to begin as start says.
   */
  'resumeToken': (string);
  /**
   * Where to begin if there is no resume_token.
   */
  'start': (_ssom_alert_v1_StreamStart__Output);
  /**
   * What is sent. The resume token covers what was examined, sent or not.
   */
  'filter': (_ssom_alert_v1_StreamFilter__Output | null);
  /**
   * How often a checkpoint is sent at least: 1 to 300 seconds; absent means 15. Two missed ones mean that the connection is dead.
   */
  'checkpointInterval': (_google_protobuf_Duration__Output | null);
}
