import type { AlertKind, AlertLevel, ChangeType, NewAlert, StoredAlert } from '../domain/alert.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import type { OutgoingRecord } from '../lib/kafka/producer.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import { validTraceparent } from '../lib/telemetry/tracing.js';
import type { Events } from './events.js';

/** An alert was stored. Times are milliseconds since 1970; what an older writer did not know is 0 or empty. */
export interface AlertCreatedEvent {
  readonly alertId: number;
  readonly alertKind: AlertKind;
  readonly appName: string;
  readonly level: AlertLevel;
  readonly title: string;
  readonly message: string;
  readonly sourceId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly occurredAt: number;
  readonly createdAt: number;
  /** 0: not known. */
  readonly directoryVersion: number;
  readonly recipientsNamed: boolean;
}

/** An alert is for this user. */
export interface UserAlertEvent {
  readonly alertId: number;
  readonly userId: string;
}

/** Rows of a user's inbox as they are after a change. */
export interface InboxChangedEvent {
  readonly userId: string;
  readonly lastSequence: number;
  readonly unreadCount: number;
  /** By sequence; fewer than up to lastSequence, or none after a bulk change. */
  readonly changes: readonly {
    readonly sequence: number;
    readonly alertId: number;
    readonly type: ChangeType;
    readonly isRead: boolean;
    readonly traceparent: string;
  }[];
}

export interface CreatedAlert {
  readonly alert: StoredAlert;
  readonly directoryVersion: number;
  readonly recipientsNamed: boolean;
  readonly traceparent: string | undefined;
}

/** Joins a request with what the database made of it. */
export function createdAlert(
  request: NewAlert,
  stored: { alertId: number; createdAt: number; directoryVersion: number },
): CreatedAlert {
  const { kind, appName, level, title, message, sourceId, labels, occurredAt } = request;
  const { alertId, createdAt, directoryVersion } = stored;
  return {
    alert: {
      alertId,
      createdAt,
      kind,
      appName,
      level,
      title,
      message,
      sourceId,
      labels,
      occurredAt: occurredAt ?? createdAt,
    },
    directoryVersion,
    recipientsNamed: request.recipients !== undefined,
    traceparent: request.traceparent,
  };
}

function headers(traceparent: string | undefined): { headers?: Record<string, string> } {
  return traceparent === undefined ? {} : { headers: { [TRACEPARENT]: traceparent } };
}

export function alertCreatedRecord(
  events: Events,
  created: CreatedAlert,
  traceparent: string | undefined,
): OutgoingRecord {
  const { alert, directoryVersion, recipientsNamed } = created;
  const { kind: alertKind, ...rest } = alert;
  const value = events.alertCreated.encode({ ...rest, alertKind, directoryVersion, recipientsNamed });
  return { topic: events.topics.alertCreated, key: String(alert.alertId), value, ...headers(traceparent) };
}

export function userAlertRecord(
  events: Events,
  event: UserAlertEvent,
  traceparent: string | undefined,
): OutgoingRecord {
  return {
    topic: events.topics.userAlert,
    key: event.userId,
    value: events.userAlert.encode(event),
    ...headers(traceparent),
  };
}

export function inboxChangedRecord(events: Events, event: InboxChangedEvent): OutgoingRecord {
  return { topic: events.topics.inboxChange, key: event.userId, value: events.inboxChanged.encode(event) };
}

/** The traceparent that a record carries, if it is well-formed. */
export function recordTraceparent(record: IncomingRecord): string | undefined {
  for (const header of record.headers) {
    const value = header[TRACEPARENT];
    if (value !== undefined) return validTraceparent(value.toString());
  }
  return undefined;
}
