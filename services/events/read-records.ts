import { type AvroCodec, UnavailableSchema, UndecodableRecord } from '../lib/avro.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { PoisonRecord } from '../lib/kafka/poison-record.js';
import { keyOf as lineOf } from '../lib/kafka/set-aside.js';
import type { Logger } from '../lib/logging.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import type { AlertCreatedEvent, InboxChangedEvent, UserAlertEvent } from './event-types.js';
import type { Events } from './events.js';

/*
 * Records as their consumers read them. The key decides the partition, and who reads a topic may look at nothing else:
 * so a record whose key names another alert or user than its value is nobody's, and refused.
 *
 * All throw a PoisonRecord for bytes that no schema fits or a key that is another; UnavailableSchema for a schema that
 * is not known yet when the registry is away.
 */

/** Of alert-created-topic; the key is the alert. */
export function readAlertCreated({ alertCreated }: Events, record: IncomingRecord): Promise<AlertCreatedEvent> {
  return read(alertCreated, record, ({ alertId }) => String(alertId));
}

/** Of user-alert-topic; the key is the user. */
export function readUserAlert({ userAlert }: Events, record: IncomingRecord): Promise<UserAlertEvent> {
  return read(userAlert, record, ({ userId }) => userId);
}

/** Of inbox-change-topic; the key is the user. */
export function readInboxChanged({ inboxChanged }: Events, record: IncomingRecord): Promise<InboxChangedEvent> {
  return read(inboxChanged, record, ({ userId }) => userId);
}

/** Records with what they say, those that say nothing that can be understood, and those that cannot be read now. */
export interface ReadRecords<T> {
  readonly read: { readonly record: IncomingRecord; readonly event: T }[];
  readonly refused: PoisonRecord[];
  /** Of a schema for which the registry cannot be asked now, and what follows of their keys. */
  readonly held: IncomingRecord[];
}

/** Reads each record by one of the above. */
export async function readEach<T>(
  records: readonly IncomingRecord[],
  reader: (record: IncomingRecord) => Promise<T>,
): Promise<ReadRecords<T>> {
  const result: ReadRecords<T> = { read: [], refused: [], held: [] };
  const waiting = new Set<string>();
  for (const record of records) {
    if (waiting.size > 0 && waiting.has(lineOf(record))) {
      result.held.push(record);
      continue;
    }
    try {
      result.read.push({ record, event: await reader(record) });
    } catch (error) {
      if (error instanceof PoisonRecord) result.refused.push(error);
      else if (error instanceof UnavailableSchema) {
        waiting.add(lineOf(record));
        result.held.push(record);
      } else throw error;
    }
  }
  return result;
}

async function read<T>(codec: AvroCodec<T>, record: IncomingRecord, keyOf: (event: T) => string): Promise<T> {
  let event: T;
  try {
    event = codec.decodeKnown(record.value) ?? (await codec.decode(record.value));
  } catch (error) {
    throw error instanceof UndecodableRecord ? new PoisonRecord(record, error) : error;
  }
  const key = keyOf(event);
  if (record.key === key) return event;
  const found = record.key === null ? 'has no key' : `has the key ${shown(record.key)}`;
  throw new PoisonRecord(record, new Error(`the record ${found}, and its value is for ${shown(key)}`));
}

/** As a reason quotes it: a foreign key may be a megabyte. */
function shown(key: string): string {
  return JSON.stringify(key.slice(0, 100));
}

/**
 * @returns what notes that records of a topic were set aside, since their numbers are of another epoch than the
 * database's
 */
export function countOtherEpoch(metrics: Metrics, logger: Logger, topic: string): (records: number) => void {
  const counter = metrics.counter(
    'ssom.records.other_epoch',
    "Records that were set aside: their numbers are of another epoch than the database's.",
    [{ topic }],
  );
  return (records) => {
    if (records === 0) return;
    counter.add(records, { topic });
    logger.warn(
      { topic, records },
      'records of another epoch of the database were set aside; nothing of them is delivered',
    );
  };
}
