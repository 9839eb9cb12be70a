import assert from 'node:assert/strict';
import test from 'node:test';
import { inboxChangedRecord, userAlertRecord } from '../../../services/events/records.js';
import { startEmbeddedBackends } from '../../../services/launch/standalone.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import type { IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import type { Alarm } from '../../../services/runtime/alarms.js';
import { Runtime } from '../../../services/runtime/runtime.js';
import { defer } from '../../support/defer.js';

const TRACE = 'e'.repeat(32);
const TRACEPARENT = `00-${TRACE}-${'1'.repeat(16)}-01`;

/** As a consumer hands it out. */
function received(
  { topic, key, value }: { topic: string; key: unknown; value: Buffer | null },
  headers: IncomingRecord['headers'] = [],
): IncomingRecord {
  const text = String(key);
  return { topic, partition: 0, offset: 0, timestamp: 0, key: text, rawKey: Buffer.from(text), value, headers };
}

test('an alarm names the alerts and the trace of the records of every topic, so that it is known whose they are', async (t) => {
  const config = loadConfig({ DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' });
  const { backends, close } = await startEmbeddedBackends(config, silentLogger());
  defer(t, close);
  const runtime = await Runtime.create(config, 'push', backends, { logger: silentLogger() });
  defer(t, () => runtime.close());
  const ended = new AbortController();
  defer(t, () => ended.abort());
  const { events } = await runtime.publishing(ended.signal);
  const alarms: Alarm[] = [];
  runtime.alarms.onAlarm((alarm) => void alarms.push(alarm));
  const about = (...records: IncomingRecord[]) => {
    runtime.processed('push', 60_000, records);
    const { alertIds, traceId } = alarms.at(-1)!;
    return { alertIds, traceId };
  };
  const change = { sequence: 1, type: 'CREATED', isRead: false } as const;
  const changes = [
    { ...change, alertId: 7, traceparent: '' },
    { ...change, alertId: 8, traceparent: TRACEPARENT },
  ];
  const inboxChange = received(
    inboxChangedRecord(events, { userId: 'op1', lastSequence: 2, unreadCount: 2, changes, epoch: 0 }),
  );
  assert.deepEqual(about(inboxChange, inboxChange), { alertIds: [7, 8], traceId: TRACE });
  const userAlert = received(userAlertRecord(events, { alertId: 9, userId: 'op1', epoch: 0 }, undefined), [
    { traceparent: TRACEPARENT },
  ]);
  assert.deepEqual(about(userAlert), { alertIds: [9], traceId: TRACE });
  const alertCreated = received({ topic: events.topics.alertCreated, key: '10', value: Buffer.from('not looked at') });
  assert.deepEqual(about(alertCreated), { alertIds: [10], traceId: undefined });
  const undecodable = received({ ...inboxChange, value: Buffer.from('undecodable') });
  assert.deepEqual(about(undecodable, userAlert), { alertIds: [9], traceId: TRACE });
});
