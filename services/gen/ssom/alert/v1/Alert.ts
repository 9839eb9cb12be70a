// Original file: proto/ssom/alert/v1/alert.proto

import type { AlertKind as _ssom_alert_v1_AlertKind, AlertKind__Output as _ssom_alert_v1_AlertKind__Output } from '../../../ssom/alert/v1/AlertKind.js';
import type { AlertLevel as _ssom_alert_v1_AlertLevel, AlertLevel__Output as _ssom_alert_v1_AlertLevel__Output } from '../../../ssom/alert/v1/AlertLevel.js';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../../google/protobuf/Timestamp.js';
import type { Long } from '@grpc/proto-loader';

/**
 * An alert as it was stored. It never changes after CreateAlert.
 */
export interface Alert {
  /**
   * The alert's number, unique and greater than 0. Not dense, and not a promise of order.
   */
  'alertId'?: (number | string | Long);
  /**
   * What raised it.
   */
  'kind'?: (_ssom_alert_v1_AlertKind);
  /**
   * The application that it is about, for example "ssok-bank-api". Routing rules look at it.
   */
  'appName'?: (string);
  /**
   * How urgent it is.
   */
  'level'?: (_ssom_alert_v1_AlertLevel);
  /**
   * One line of text, at most 200 characters.
   */
  'title'?: (string);
  /**
   * The whole text; may hold several lines. May be empty.
   */
  'message'?: (string);
  /**
   * When it happened at its source.
   */
  'occurredAt'?: (_google_protobuf_Timestamp | null);
  /**
   * When the alert service stored it, by the database's clock.
   */
  'createdAt'?: (_google_protobuf_Timestamp | null);
  /**
   * The source's own id of the event (a build's number, an issue's URL). May be empty.
   */
  'sourceId'?: (string);
  /**
   * Free key-value pairs, at most 32.
   */
  'labels'?: ({[key: string]: string});
}

/**
 * An alert as it was stored. It never changes after CreateAlert.
 */
export interface Alert__Output {
  /**
   * The alert's number, unique and greater than 0. Not dense, and not a promise of order.
   */
  'alertId': (number);
  /**
   * What raised it.
   */
  'kind': (_ssom_alert_v1_AlertKind__Output);
  /**
   * The application that it is about, for example "ssok-bank-api". Routing rules look at it.
   */
  'appName': (string);
  /**
   * How urgent it is.
   */
  'level': (_ssom_alert_v1_AlertLevel__Output);
  /**
   * One line of text, at most 200 characters.
   */
  'title': (string);
  /**
   * The whole text; may hold several lines. May be empty.
   */
  'message': (string);
  /**
   * When it happened at its source.
   */
  'occurredAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * When the alert service stored it, by the database's clock.
   */
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  /**
   * The source's own id of the event (a build's number, an issue's URL). May be empty.
   */
  'sourceId': (string);
  /**
   * Free key-value pairs, at most 32.
   */
  'labels': ({[key: string]: string});
}
