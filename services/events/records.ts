import { ALERT_KINDS, type AlertKind, type NewAlert, type StoredAlert } from '../domain/alert.js';
import type { ResolvedRecipients } from '../domain/routing.js';
import type { OutgoingHeader, OutgoingRecord } from '../lib/kafka/producer.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import type { InboxChangedEvent, UserAlertEvent } from './event-types.js';
import type { Events } from './events.js';

export interface CreatedAlert {
  readonly alert: StoredAlert;
  readonly directoryVersion: number;
  readonly recipientsNamed: boolean;
  /** Null: nobody was named, or so many that they are in PostgreSQL alone. */
  readonly namedRecipients: ResolvedRecipients | null;
  readonly epoch?: number;
  readonly traceparent: string | undefined;
}

/** Joins a request with what the database made of it. */
export function createdAlert(
  request: NewAlert,
  stored: Omit<CreatedAlert, 'alert' | 'recipientsNamed' | 'traceparent'> & { alertId: number; createdAt: number },
): CreatedAlert {
  const { kind, appName, level, title, message, sourceId, labels, occurredAt } = request;
  const { alertId, createdAt, directoryVersion, namedRecipients, epoch = 0 } = stored;
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
    namedRecipients,
    epoch,
    traceparent: request.traceparent,
  };
}

/** What makes those who read a record its trace's next part. */
export function traceHeaders(traceparent: string | undefined): readonly OutgoingHeader[] | undefined {
  return traceparent === undefined ? undefined : [{ [TRACEPARENT]: traceparent }];
}

/** A kind that a newer release has stored, before it was taken back, is OTHER to this one. */
function knownKind(kind: AlertKind): AlertKind {
  return ALERT_KINDS.includes(kind) ? kind : 'OTHER';
}

/** @throws if it cannot be encoded */
export function alertCreatedRecord(
  events: Events,
  created: CreatedAlert,
  traceparent: string | undefined,
): OutgoingRecord {
  const { alert, directoryVersion, recipientsNamed, namedRecipients, epoch = 0 } = created;
  const { kind, ...rest } = alert;
  const recipients = { directoryVersion, recipientsNamed, namedRecipients };
  const alertKind = knownKind(kind);
  const value = events.alertCreated.encode({ ...rest, ...recipients, alertKind, epoch });
  return { topic: events.topics.alertCreated, key: String(alert.alertId), value, headers: traceHeaders(traceparent) };
}

/** @param headers traceHeaders, once for all recipients of an alert */
export function userAlertRecord(
  events: Events,
  event: UserAlertEvent,
  headers: readonly OutgoingHeader[] | undefined,
): OutgoingRecord {
  return { topic: events.topics.userAlert, key: event.userId, value: events.userAlert.encode(event), headers };
}

export function inboxChangedRecord(events: Events, event: InboxChangedEvent): OutgoingRecord {
  return { topic: events.topics.inboxChange, key: event.userId, value: events.inboxChanged.encode(event) };
}
