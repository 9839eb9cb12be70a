import { ALERT_ATTR } from '../domain/alert-attributes.js';
import type { Events } from '../events/events.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import type { RecordSubject } from '../lib/kafka/dead-letters.js';
import { recordTraceparent } from '../lib/kafka/record-traceparent.js';
import type { Processed } from './alarms.js';

/** What a record is about: its alerts, and the trace of one of them. Nothing of one that cannot be read at once. */
export function describeRecord(events: Events, record: IncomingRecord): Processed {
  const traceparent = recordTraceparent(record);
  try {
    return { traceparent, ...read(events, record) };
  } catch {
    return { traceparent, alertIds: [] }; // whoever handles it reports what cannot be decoded
  }
}

function read({ topics, userAlert, inboxChanged }: Events, { topic, key, value }: IncomingRecord): Processed {
  if (topic === topics.alertCreated) return { alertIds: Number(key) > 0 ? [Number(key)] : [] };
  if (topic === topics.userAlert) {
    const event = userAlert.decodeKnown(value);
    return { alertIds: event === undefined ? [] : [event.alertId] };
  }
  const changes = (topic === topics.inboxChange && inboxChanged.decodeKnown(value)?.changes) || [];
  const traced = changes.find(({ traceparent }) => traceparent !== '');
  return { alertIds: changes.map(({ alertId }) => alertId), ...(traced && { traceparent: traced.traceparent }) };
}

/** What a dead letter says in logs and traces of the alert that it is about, if that is known. */
export function aboutAlert(alertId: number | undefined): RecordSubject {
  return alertId === undefined
    ? {}
    : { key: alertId, attributes: { [ALERT_ATTR.id]: alertId }, fields: { alert_id: alertId } };
}
