import assert from 'node:assert/strict';
import test from 'node:test';
import { traceHeaders, userAlertRecord } from '../../../services/events/records.js';
import type { Database, StatementObserver } from '../../../services/lib/postgres.js';
import { EXCEPTIONAL_SPANS, ORDINARY_SPANS } from '../../../services/lib/telemetry/span-budget.js';
import { spanTime } from '../../../services/lib/telemetry/tracing.js';
import { type DispatchedChange, StreamTracing } from '../../../services/stream-gateway/stream-trace.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory, users } from '../../support/directory.js';
import type { PublishFault } from '../../support/in-process.js';
import { redrive } from '../../support/redrive.js';
import { collectStream } from '../../support/stream.js';
import { callersTrace, startTraced, startTracing, untilSpan } from '../../support/traced.js';
import { untilTrue } from '../../support/until-true.js';

const PROCESS = 'process user-alert-topic';

test('one record that cannot be delivered fails in its own trace; the others of its batch know nothing of it', async (t) => {
  const traced = await startTraced(t);
  const { cluster, receiver } = traced;
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await loadDirectory(api);
  const alertIds = await Promise.all(
    Array.from({ length: 20 }, async () => (await api.call('CreateAlert', alertRequest())).alert!.alertId),
  );
  const { producer, events } = await role.runtime.publishing(AbortSignal.timeout(5000));
  const fine = alertIds.map((alertId) => ({ alertId, userId: 'op1', ...callersTrace() }));
  const impossible = alertIds.map((alertId) => ({ alertId: alertId + 1_000_000, userId: 'op1', ...callersTrace() }));
  const mixed = fine.flatMap((each, index) => [each, impossible[index]!]);
  await producer.publish(
    mixed.map((each) => userAlertRecord(events, { ...each, epoch: 0 }, traceHeaders(each.traceparent))),
  );
  // All lie in one partition in front of it, so that some share a batch.
  await cluster.start('delivery');
  for (const { traceId } of impossible) {
    await untilSpan(traced, 'send user-alert-topic-dlq', (span) => span.traceId === traceId);
    await untilSpan(traced, PROCESS, (span) => span.traceId === traceId && span.failed);
  }
  for (const { traceId } of fine) await untilSpan(traced, PROCESS, (span) => span.traceId === traceId);
  const ofFine = receiver.spans.filter(({ traceId }) => fine.some((each) => each.traceId === traceId));
  assert.deepEqual(
    ofFine.filter(({ failed, attributes }) => failed || attributes['ssom.attempt'] !== undefined),
    [],
  );
});

test('the statements of a slow batch are in the trace of its first alert once', async (t) => {
  const traced = await startTraced(t);
  const { cluster, receiver } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery', { config: { slowProcessingMs: -1 } });
  await loadDirectory(api);
  await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  const batch = await untilSpan(traced, 'process batch user-alert-topic');
  // It ends after the batch, so whatever there is of statements has come before it.
  await untilSpan(traced, PROCESS, ({ attributes }) => attributes['ssom.slow'] === true);
  assert.deepEqual(
    receiver.named('deliver-new').map(({ parentId }) => parentId),
    [batch.spanId],
  );
});

test('hand-outs to streams that were slow or failed are kept beyond the ordinary ones, up to their own bound', async (t) => {
  const { tracing, receiver } = await startTracing(t);
  const handed = (alertId: number, traceparent: string, writtenAt: number): DispatchedChange<string> => ({
    event: {
      userId: 'op1',
      lastSequence: 1,
      unreadCount: 1,
      changes: [{ alertId, sequence: 1, type: 'CREATED', isRead: false, traceparent }],
      epoch: 0,
    },
    streams: new Set(['a stream']),
    topic: 'inbox-change-topic',
    writtenAt,
  });
  const [quick, slow, failed] = [callersTrace(), callersTrace(), callersTrace()];
  const far = 3_600_000;
  const patient = new StreamTracing(tracing, far);
  const impatient = new StreamTracing(tracing, 0);
  const error = new Error('PostgreSQL is away');
  for (let turn = 0; turn < 200; turn += 1) {
    patient.begin([handed(1, quick.traceparent, Date.now())])!.end();
    // Not slow yet when it begins.
    impatient.begin([handed(2, slow.traceparent, spanTime())])!.end();
    const both = [handed(3, failed.traceparent, Date.now()), handed(1, quick.traceparent, Date.now())];
    patient.begin(both)!.end({ error, concerns: (alertId) => alertId === 3 });
  }
  await tracing.close();
  const deliveries = ({ traceId }: { traceId: string }) => receiver.named('deliver StreamAlerts', traceId);
  assert.equal(deliveries(quick).length, ORDINARY_SPANS);
  assert.ok(deliveries(quick).every((span) => !span.failed));
  assert.equal(deliveries(slow).length, ORDINARY_SPANS + EXCEPTIONAL_SPANS);
  assert.ok(deliveries(slow).every(({ attributes }) => attributes['ssom.slow'] === true));
  assert.equal(deliveries(failed).length, ORDINARY_SPANS + EXCEPTIONAL_SPANS);
  assert.ok(deliveries(failed).every((span) => span.failed));
});

test('that the content of an alert could not be loaded is seen where it was to be handed out', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  // The gateway hears of the alert too late to know it from Kafka.
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  const { traceId } = await untilSpan(traced, 'process alert-created-topic');
  const gateway = await cluster.start('stream-gateway');
  let failures = 1;
  const { database } = gateway.runtime;
  const observedBy = database.observedBy.bind(database);
  database.observedBy = (observer: StatementObserver | undefined): Database => {
    const observed = observedBy(observer);
    const query = observed.query.bind(observed);
    observed.query = (statement) =>
      statement.name === 'find-alerts' && failures-- > 0 ? Promise.reject(new Error('not now')) : query(statement);
    return observed;
  };
  const stream = await collectStream(t, cluster.api(gateway), { user: 'op1' }).untilLive();
  await cluster.start('delivery');
  await stream.untilAlerts([alert!.alertId]);
  await untilSpan(traced, 'deliver StreamAlerts', (span) => span.traceId === traceId && span.failed);
});

test('a redrive is in the trace of its alert, behind the dead letter', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await loadDirectory(api);
  await cluster.start('delivery');
  const { alert } = await api.call('CreateAlert', alertRequest());
  const { traceId, traceparent } = callersTrace();
  const { producer, events } = await role.runtime.publishing(AbortSignal.timeout(5000));
  const delivery = { alertId: alert!.alertId, userId: 'new-here', epoch: 0 };
  await producer.publish([userAlertRecord(events, delivery, traceHeaders(traceparent))]);
  await untilSpan(traced, 'send user-alert-topic-dlq', (span) => span.traceId === traceId);
  await loadDirectory(api, [{ ...users('new', 1, 'OPERATION')[0]!, userId: 'new-here' }]);
  await redrive(cluster, 'user-alert-topic');
  const again = await untilSpan(traced, PROCESS, (span) => span.traceId === traceId && !span.failed);
  assert.equal(again.attributes['ssom.redrives'], 1);
});

test('reconciliation reads of what it sends again nothing but the trace', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  let lost = 0;
  const losesOnce: PublishFault = async (records, publish) => {
    if (records[0]?.topic !== 'user-alert-topic' || lost > 0) return publish(records);
    lost += records.length;
  };
  const api = cluster.api(await cluster.start('alert-api'));
  const { runtime } = await cluster.start('fanout', { fault: losesOnce });
  const asked: string[] = [];
  const { bulkDatabase } = runtime;
  const query = bulkDatabase.query.bind(bulkDatabase);
  bulkDatabase.query = (statement) => {
    asked.push(statement.name ?? '');
    return query(statement);
  };
  await cluster.start('delivery');
  await loadDirectory(api);
  await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  await untilSpan(traced, 'send user-alert-topic', ({ attributes }) => attributes['ssom.reconcile'] === true);
  assert.ok(asked.includes('alert-traceparents'));
});

test('an alert that the sweeper could not publish for long has few spans of it, and one wait', async (t) => {
  const traced = await startTraced(t);
  const { cluster, receiver } = traced;
  let attempts = 0;
  const refuses: PublishFault = (records, publish) => {
    if (records[0]?.topic !== 'alert-created-topic') return publish(records);
    attempts += 1;
    return attempts <= 20 ? Promise.reject(new Error('Kafka is away')) : publish(records);
  };
  const config = { slowProcessingMs: 1, outboxSweepIntervalMs: 20, outboxSweepAfterMs: 0 };
  const api = cluster.api(await cluster.start('alert-api', { fault: refuses, config }));
  await loadDirectory(api);
  await api.call('CreateAlert', alertRequest());
  const sends = () => receiver.named('send alert-created-topic');
  await untilTrue(() => sends().some(({ failed }) => !failed), { what: () => `it is sent; ${attempts} attempts` });
  assert.deepEqual(
    sends().map(({ attributes }) => attributes['ssom.attempt'] ?? 1),
    [1, 2, 3, 4, 8, 16, 21],
  );
  assert.equal(sends().at(-1)!.attributes['ssom.attempts.unrecorded'], 14);
  assert.equal(receiver.named('wait in outbox').length, 1);
});
