import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { AlertCreatedEvent } from '../../../services/events/event-types.js';
import { AvroCodec } from '../../../services/lib/avro.js';
import type { IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { AnnouncedAlerts } from '../../../services/stream-gateway/announced-alerts.js';

const schema = (version: number) => readFileSync(`schemas/alert-created-topic-value/v${version}.avsc`, 'utf8');
const codec = (version: number, id: number) =>
  new AvroCodec<AlertCreatedEvent>(schema(version), id, () => Promise.resolve(schema(version)));
const NEWEST = codec(3, 3);

const EVENT: AlertCreatedEvent = {
  alertId: 7,
  alertKind: 'GRAFANA',
  appName: 'ssok-bank',
  level: 'ERROR',
  title: '지연 🚨',
  message: 'p99 above 800 ms',
  sourceId: 's',
  labels: { a: 'b' },
  occurredAt: 1,
  createdAt: 2,
  directoryVersion: 1,
  recipientsNamed: true,
  namedRecipients: { userIds: ['kim'], departments: [] },
  epoch: 0,
};

const record = (key: string | null, value: Buffer | null) => ({ key, value }) as unknown as IncomingRecord;

test('an announced alert is handed out once, whole', () => {
  const announced = new AnnouncedAlerts(NEWEST);
  announced.add(record('7', NEWEST.encode(EVENT)));
  const {
    alertKind: kind,
    directoryVersion: _,
    recipientsNamed: __,
    namedRecipients: ___,
    epoch: ____,
    ...rest
  } = EVENT;
  const taken = announced.take(7)!;
  // Labels have no prototype, so that one of any name is kept.
  assert.deepEqual({ ...taken, labels: { ...taken.labels } }, { ...rest, kind });
  assert.equal(announced.take(7), undefined);
  assert.equal(announced.bytes, 0);
});

test('what is not there, not whole or not readable is left to PostgreSQL', () => {
  const announced = new AnnouncedAlerts(NEWEST);
  announced.add(record(null, NEWEST.encode(EVENT)));
  announced.add(record('1', null));
  announced.add(record('2', Buffer.from('no Avro')));
  announced.add(record('3', Buffer.alloc(0)));
  announced.add(record('4', NEWEST.encode(EVENT))); // another alert's key
  announced.add(record('5', NEWEST.encode({ ...EVENT, alertId: 5, createdAt: 0 }))); // as version 1 reads
  announced.add(record('7', codec(2, 2).encode(EVENT))); // a writer whose schema was never asked for
  for (const alertId of [1, 2, 3, 4, 5, 6, 7]) assert.equal(announced.take(alertId), undefined, `alert ${alertId}`);
});

test('the oldest fall out at the bound of bytes', () => {
  const announced = new AnnouncedAlerts(NEWEST);
  const message = 'x'.repeat(16_384);
  for (let alertId = 1; alertId <= 1000; alertId += 1) {
    announced.add(record(String(alertId), NEWEST.encode({ ...EVENT, alertId, message })));
  }
  assert.ok(announced.bytes <= 8 * 1024 * 1024, `${announced.bytes} bytes`);
  assert.equal(announced.take(1), undefined);
  assert.equal(announced.take(1000)?.alertId, 1000);
});
