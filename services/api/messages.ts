import type { AlertKind, AlertLevel, StoredAlert } from '../domain/alert.js';
import type { Alert, AlertKind as ProtoKind, AlertLevel as ProtoLevel, Timestamp } from '../gen/types.js';

export function toTimestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

export function optionalTimestamp(ms: number | null | undefined): Timestamp | null {
  return ms === null || ms === undefined ? null : toTimestamp(ms);
}

export function toProtoKind(kind: AlertKind): ProtoKind {
  return `ALERT_KIND_${kind}`;
}

export function toProtoLevel(level: AlertLevel): ProtoLevel {
  return `ALERT_LEVEL_${level}`;
}

export function toAlertMessage(alert: StoredAlert): Alert {
  return {
    alertId: alert.alertId,
    kind: toProtoKind(alert.kind),
    appName: alert.appName,
    level: toProtoLevel(alert.level),
    title: alert.title,
    message: alert.message,
    occurredAt: toTimestamp(alert.occurredAt),
    createdAt: toTimestamp(alert.createdAt),
    sourceId: alert.sourceId,
    labels: { ...alert.labels },
  };
}

/** Field numbers, lengths, times and numbers of an inbox entry. */
const ENTRY_BYTES = 128;
const LABEL_BYTES = 16;

/** At most so many bytes an alert takes in a response, alone or in an inbox entry. */
export function alertBytes({ appName, title, message, sourceId, labels }: StoredAlert): number {
  let bytes = ENTRY_BYTES;
  for (const text of [appName, title, message, sourceId]) bytes += Buffer.byteLength(text);
  for (const [key, value] of Object.entries(labels))
    bytes += LABEL_BYTES + Buffer.byteLength(key) + Buffer.byteLength(value);
  return bytes;
}
