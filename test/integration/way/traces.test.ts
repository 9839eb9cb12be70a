import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import test, { type TestContext } from 'node:test';
import { context, trace } from '@opentelemetry/api';
import { tracing as sdk } from '@opentelemetry/sdk-node';
import { api as protos } from '../../../services/api/protos.js';
import { createClient } from '../../../services/client/client.js';
import { traceHeaders, userAlertRecord } from '../../../services/events/records.js';
import type { CreateAlertResponse__Output } from '../../../services/gen/types.js';
import { EXCEPTIONAL_SPANS, ORDINARY_SPANS } from '../../../services/lib/telemetry/span-budget.js';
import { alertRequest } from '../../support/alerts.js';
import { ADMIN, failureOf, metadataOf, type TestApi } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, users } from '../../support/directory.js';
import { type PublishFault, type RunningRole, startTestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import type { ReceivedSpan } from '../../support/otlp-receiver.js';
import { newToken, startPushTarget } from '../../support/push.js';
import { collectStream } from '../../support/stream.js';
import { callersTrace, startTraced, type Traced, untilSpan } from '../../support/traced.js';
import { patience, untilTrue } from '../../support/until-true.js';

const CREATE = 'ssom.alert.v1.AlertService/CreateAlert';

/** CreateAlert with metadata of the test's. @returns the alert's id */
function createWith(
  api: TestApi,
  headers: readonly (readonly [string, string])[],
  request: object = alertRequest(),
): Promise<number> {
  const { path, requestSerialize, responseDeserialize } = protos.AlertService.service.CreateAlert;
  const metadata = metadataOf(ADMIN);
  for (const [name, value] of headers) metadata.add(name, value);
  return new Promise((resolve, reject) => {
    api.client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline: Date.now() + 15_000 },
      (error, response) => {
        if (error === null) resolve((response as CreateAlertResponse__Output).alert!.alertId);
        else reject(error);
      },
    );
  });
}

/** Name and service of a span and of those above it, the root last. */
function wayUp({ receiver }: Traced, span: ReceivedSpan): string[] {
  const way: string[] = [];
  for (let at: ReceivedSpan | undefined = span; at !== undefined; at = receiver.parentOf(at))
    way.push(`${at.service} ${at.name}`);
  return way;
}

test('one alert is one trace, from its caller to the stream and to FCM, each span below what caused it', async (t) => {
  const target = await startPushTarget(t);
  const traced = await startTraced(t, { ...target.environment, PUSH_GRACE_MS: '0', PUSH_SWEEP_INTERVAL_MS: '300' });
  const { cluster, receiver } = traced;
  const alertApi = await cluster.start('alert-api');
  for (const role of ['fanout', 'delivery', 'push'] as const) await cluster.start(role);
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  const api = cluster.api(alertApi);
  await loadDirectory(api);
  await api.call('RegisterDevice', { platform: 'DEVICE_PLATFORM_ANDROID', token: newToken() }, { user: 'op1' });
  const stream = await collectStream(t, gateway, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' }).untilLive();

  const caller = new sdk.InMemorySpanExporter();
  const provider = new sdk.BasicTracerProvider({ spanProcessors: [new sdk.SimpleSpanProcessor(caller)] });
  trace.setGlobalTracerProvider(provider);
  defer(t, () => trace.disable());
  const client = createClient({ address: alertApi.address, identity: { caller: 'traced' } });
  defer(t, () => client.close());
  const { alert } = await client.createAlert(alertRequest({ recipients: { userIds: ['op1', 'op2'] } }));
  await stream.untilAlerts([alert!.alertId]);

  const [called] = caller.getFinishedSpans();
  assert.equal(called!.name, CREATE);
  const { traceId, spanId } = called!.spanContext();
  const mine = (span: ReceivedSpan) => span.traceId === traceId;
  const created = await untilSpan(traced, CREATE, mine);
  assert.equal(created.parentId, spanId, "the service's span is below the client's");

  const upToFanout = [
    'ssom-fanout send user-alert-topic',
    'ssom-fanout process alert-created-topic',
    'ssom-alert-api send alert-created-topic',
    `ssom-alert-api ${CREATE}`,
  ];
  const upToDelivery = ['ssom-delivery process user-alert-topic', ...upToFanout];
  const trees: [string, string[]][] = [
    ['insert-alerts', ['ssom-alert-api insert-alerts', 'ssom-alert-api commit alert', `ssom-alert-api ${CREATE}`]],
    ['deliver-new', ['ssom-delivery deliver-new', 'ssom-delivery process batch user-alert-topic', ...upToDelivery]],
    [
      'deliver StreamAlerts',
      ['ssom-stream-gateway deliver StreamAlerts', 'ssom-delivery send inbox-change-topic', ...upToDelivery],
    ],
    ['send fcm', ['ssom-push send fcm', `ssom-alert-api ${CREATE}`]],
  ];
  for (const [name, way] of trees) {
    const span = await untilSpan(traced, name, mine);
    await untilTrue(() => wayUp(traced, span).length >= way.length, { what: `what is above ${name}` });
    assert.deepEqual(wayUp(traced, span), way);
  }
  const alertId = alert!.alertId;
  for (const name of [CREATE, 'commit alert', 'process alert-created-topic', 'process user-alert-topic', 'send fcm'])
    for (const span of receiver.named(name, traceId)) assert.equal(span.attributes['ssom.alert.id'], alertId, name);
  const [process] = receiver.named('process user-alert-topic', traceId);
  assert.ok(Number(process!.attributes['ssom.kafka.wait_ms']) >= 0);
  assert.equal(receiver.named(CREATE, traceId)[0]!.attributes['rpc.response.status_code'], 'OK');
  const [statement] = receiver.named('deliver-new', traceId);
  assert.equal(statement!.attributes['db.system.name'], 'postgresql');
  assert.equal(statement!.attributes['db.query.summary'], 'deliver-new');
  // What the SDK, and not a role, decides is looked at once: nothing of ours is the process's global context.
  assert.equal(trace.getSpan(context.active()), undefined);
});

test('several alerts of one batch have a trace each, with links to the span of the batch', async (t) => {
  const traced = await startTraced(t);
  const { cluster, receiver } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await loadDirectory(api);
  const callers = Array.from({ length: 10 }, () => callersTrace());
  for (const { traceparent } of callers)
    await createWith(api, [['traceparent', traceparent]], alertRequest({ recipients: { userIds: ['op1'] } }));
  await untilTrue(() => receiver.named('send user-alert-topic').length === 10, { what: 'ten fan-outs' });
  // Starts with all ten in front of it.
  await cluster.start('delivery');
  await untilTrue(() => receiver.named('process user-alert-topic').length === 10, { what: 'ten deliveries' });
  const processed = receiver.named('process user-alert-topic');
  assert.deepEqual(new Set(processed.map(({ traceId }) => traceId)), new Set(callers.map(({ traceId }) => traceId)));
  await untilTrue(() => receiver.named('process batch user-alert-topic').length > 0, { what: 'the batch' });
  const batches = new Set(receiver.named('process batch user-alert-topic').map(({ spanId }) => spanId));
  const first = receiver.named('process batch user-alert-topic').map(({ parentId }) => parentId);
  for (const span of processed)
    assert.ok(first.includes(span.spanId) || span.links.some((link) => batches.has(link)), 'a link to its batch');
  assert.ok(receiver.named('process batch user-alert-topic').some(({ links }) => links.length > 0));
});

test('an alert to 5,000 has a bounded number of spans', async (t) => {
  const traced = await startTraced(t, { ALERT_PROCESSING_BATCH_SIZE: '50' });
  const { cluster, receiver } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  for (const role of ['fanout', 'delivery'] as const) await cluster.start(role);
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  const crowd = users('crowd', 5000, 'OPERATION');
  await loadDirectory(api, crowd);
  const stream = await collectStream(t, gateway, { user: 'crowd4999' }).untilLive();
  const { traceId, traceparent } = callersTrace();
  const alertId = await createWith(api, [['traceparent', traceparent]]);
  const delivered = () => cluster.store.sql('SELECT 1 FROM alert_statuses WHERE alert_id = $1', [alertId]);
  await untilTrue(async () => (await delivered()).length === 5000, { timeoutMs: 60_000, what: '5,000 inboxes' });
  await stream.untilAlerts([alertId]);
  await untilSpan(traced, 'deliver StreamAlerts', (span) => span.traceId === traceId);
  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const processed = spans.filter(({ name }) => name === 'process user-alert-topic');
  const exceptional = processed.filter(({ attributes }) => attributes['ssom.slow'] === true);
  assert.ok(processed.length - exceptional.length <= ORDINARY_SPANS, `${processed.length} of delivery`);
  assert.ok(exceptional.length <= EXCEPTIONAL_SPANS + ORDINARY_SPANS, `${exceptional.length} slow ones`);
  assert.ok(processed.length >= ORDINARY_SPANS, 'all that the bound allows');
  assert.ok(spans.length < 800, `${spans.length} spans`);
});

test('what was slow is kept beyond the bound, and says so', async (t) => {
  const traced = await startTraced(t, { ALERT_PROCESSING_BATCH_SIZE: '10' });
  const { cluster, receiver } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  // Everything takes longer than nothing.
  await cluster.start('delivery', { config: { slowProcessingMs: 0 } });
  await loadDirectory(api, users('slow', 600, 'OPERATION'));
  const { traceId, traceparent } = callersTrace();
  const alertId = await createWith(api, [['traceparent', traceparent]]);
  const delivered = () => cluster.store.sql('SELECT 1 FROM alert_statuses WHERE alert_id = $1', [alertId]);
  await untilTrue(async () => (await delivered()).length === 600, { timeoutMs: 30_000, what: '600 inboxes' });
  const processed = () => receiver.named('process user-alert-topic', traceId);
  await untilTrue(() => processed().length > ORDINARY_SPANS, { what: () => `${processed().length} spans` });
  for (const { attributes } of processed()) assert.equal(attributes['ssom.slow'], true);
});

test('a batch that fails is seen, and so is the attempt that follows', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  let failures = 1;
  const fault: PublishFault = async (records, publish) => {
    if (records[0]?.topic === 'inbox-change-topic' && failures > 0) {
      failures -= 1;
      throw new Error('the test makes it fail');
    }
    return publish(records);
  };
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery', { fault });
  await loadDirectory(api);
  const { traceId, traceparent } = callersTrace();
  await createWith(api, [['traceparent', traceparent]]);
  const mine = (span: ReceivedSpan) => span.traceId === traceId;
  await untilSpan(traced, 'process user-alert-topic', (span) => mine(span) && span.failed);
  const again = await untilSpan(traced, 'process user-alert-topic', (span) => mine(span) && !span.failed);
  assert.equal(again.attributes['ssom.attempt'], 2);
});

test('a dead letter is in the trace of its alert', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  const delivery = await cluster.start('delivery');
  const { traceId, traceparent } = callersTrace();
  const { producer, events } = await delivery.runtime.publishing(AbortSignal.timeout(5000));
  await producer.publish([
    userAlertRecord(events, { alertId: 4711, userId: 'nobody', epoch: 0 }, traceHeaders(traceparent)),
  ]);
  const letter = await untilSpan(traced, 'send user-alert-topic-dlq', (span) => span.traceId === traceId);
  assert.equal(letter.failed, true);
  assert.equal(letter.attributes['ssom.alert.id'], 4711);
  assert.equal(letter.attributes['ssom.dead_letter.class'], 'poison');
});

test('what reconciliation sends again is in the trace of its alert', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  let lost = 0;
  const isLost: PublishFault = async (records, publish) => {
    if (records[0]?.topic !== 'user-alert-topic' || lost > 0) return publish(records);
    lost += records.length;
  };
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout', { fault: isLost });
  await cluster.start('delivery');
  await loadDirectory(api);
  const { traceId, traceparent } = callersTrace();
  await createWith(api, [['traceparent', traceparent]], alertRequest({ recipients: { userIds: ['op1'] } }));
  const delivered = await untilSpan(traced, 'process user-alert-topic', (span) => span.traceId === traceId);
  await untilTrue(() => traced.receiver.parentOf(delivered) !== undefined, { what: 'its parent' });
  assert.equal(traced.receiver.parentOf(delivered)!.attributes['ssom.reconcile'], true);
});

test('a stream that is resumed says so', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  await loadDirectory(api);
  const stream = await collectStream(t, gateway, { user: 'op1' }).untilLive();
  const { resumeToken } = stream.folded;
  await collectStream(t, gateway, { user: 'op1' }, { resumeToken }).untilLive();
  const name = 'ssom.alert.v1.AlertStreamService/StreamAlerts';
  await untilSpan(traced, name, ({ attributes }) => attributes['ssom.stream.resumed'] === true);
  await untilSpan(traced, name, ({ attributes }) => attributes['ssom.stream.resumed'] === false);
});

test('malformed headers break nothing: the alert is stored and gets a trace of its own', async (t) => {
  const traced = await startTraced(t);
  const { cluster } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const zeros = (length: number) => '0'.repeat(length);
  const id = 'a'.repeat(32);
  const headers: [string, string][][] = [
    [['traceparent', '']],
    [['traceparent', 'x'.repeat(5000)]],
    [['traceparent', `00-${zeros(32)}-${'b'.repeat(16)}-01`]],
    [['traceparent', `00-${id}-${zeros(16)}-01`]],
    [['traceparent', `ff-${id}-${'b'.repeat(16)}-01`]],
    [['traceparent', `00-${id.toUpperCase()}-${'b'.repeat(16)}-01`]],
    [['traceparent', `00-${id}-${'b'.repeat(16)}-01-more`]],
    [
      ['traceparent', callersTrace().traceparent],
      ['traceparent', callersTrace().traceparent],
    ],
    [['tracestate', '=,=,,;;'.repeat(500)]],
    [['baggage', `key=${'x'.repeat(8000)}`]],
  ];
  for (const each of headers) {
    const alertId = await createWith(api, each);
    const span = await untilSpan(traced, CREATE, ({ attributes }) => attributes['ssom.alert.id'] === alertId);
    assert.equal(span.parentId, '', JSON.stringify(each).slice(0, 100));
  }
  // A tracestate that nobody can read costs the trace nothing.
  const { traceId, traceparent } = callersTrace();
  await createWith(api, [
    ['traceparent', traceparent],
    ['tracestate', '=,=,,;;'],
  ]);
  await untilSpan(traced, CREATE, (span) => span.traceId === traceId);
});

test('64 KB of baggage are not carried along, and what HTTP/2 does not take harms no other call', async (t) => {
  const traced = await startTraced(t);
  const api = traced.cluster.api(await traced.cluster.start('alert-api'));
  await loadDirectory(api);
  const alertId = await createWith(api, [['baggage', `key=${'x'.repeat(65_536)}`]]);
  const span = await untilSpan(traced, CREATE, ({ attributes }) => attributes['ssom.alert.id'] === alertId);
  assert.ok(JSON.stringify(span).length < 1000, 'nothing of it is in the span');
  await assert.rejects(createWith(api, [['baggage', randomBytes(500_000).toString('hex')]]));
  assert.ok((await createWith(api, [])) > 0, 'the same caller, without it');
});

test('a caller that asks to record everything is believed so many times a second', async (t) => {
  const traced = await startTraced(t, { OTEL_TRACES_SAMPLER: 'parentbased_always_off', TRACE_CALLERS_MAX: '5' });
  const { cluster, receiver } = traced;
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await loadDirectory(api);
  const started = performance.now();
  await Promise.all(Array.from({ length: 200 }, () => createWith(api, [['traceparent', callersTrace().traceparent]])));
  const allowed = 5 + Math.ceil(((performance.now() - started) / 1000) * 5);
  const down = await metricOf(role.http, 'ssom_traces_sampled_down_total');
  assert.ok(down >= 200 - allowed, `${down} were not recorded`);
  await untilTrue(() => receiver.named(CREATE).length === 200 - down, { what: 'the others' });
});

test('a ratio is the standard one: who does not ask is recorded by chance, and nothing of the others is', async (t) => {
  const traced = await startTraced(t, {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  });
  const { cluster, receiver } = traced;
  const api = cluster.api(await cluster.start('alert-api'));
  for (const role of ['fanout', 'delivery'] as const) await cluster.start(role);
  await loadDirectory(api);
  const unseen = await createWith(api, [], alertRequest({ recipients: { userIds: ['op1'] } }));
  const { traceId, traceparent } = callersTrace();
  await createWith(api, [['traceparent', traceparent]], alertRequest({ recipients: { userIds: ['op1'] } }));
  await untilSpan(traced, 'process user-alert-topic', (span) => span.traceId === traceId);
  assert.deepEqual([...new Set(receiver.spans.map((span) => span.traceId))], [traceId]);
  assert.ok(unseen > 0);
});

/** Takes connections and never answers. */
async function startSilence(t: TestContext): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<{ destroy: () => void }>();
  server.on('connection', (socket) => sockets.add(socket));
  defer(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

async function startNowhere(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

for (const [name, start] of [
  ['hangs', startSilence],
  ['is away', startNowhere],
] as const) {
  test(`a collector that ${name} costs dropped spans, which are counted, and nothing else`, async (t) => {
    const cluster = await startTestCluster(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: await start(t),
      OTEL_BSP_SCHEDULE_DELAY: '20',
      OTEL_BSP_EXPORT_TIMEOUT: '500',
      OTEL_BSP_MAX_QUEUE_SIZE: '10',
    });
    const roles: RunningRole[] = [];
    const role = await cluster.start('alert-api');
    const api = cluster.api(role);
    for (const each of ['fanout', 'delivery'] as const) roles.push(await cluster.start(each));
    await loadDirectory(api);
    const alertIds = await Promise.all(Array.from({ length: 50 }, () => createWith(api, [])));
    const delivered = () => cluster.store.sql('SELECT DISTINCT alert_id FROM alert_statuses');
    await untilTrue(async () => (await delivered()).length === alertIds.length, { what: 'all are delivered' });
    await untilTrue(async () => (await metricOf(role.http, 'ssom_traces_spans_dropped_total')) > 0, {
      what: 'dropped spans are counted',
    });
    assert.ok((await metricOf(role.http, 'ssom_traces_spans_ended_total')) > 100);
    const started = performance.now();
    for (const each of [...roles, role]) await each.stop();
    assert.ok(performance.now() - started < patience(15_000), 'it holds up no shutdown');
  });
}

test('a request that the caller got wrong is no failure of ours', async (t) => {
  const traced = await startTraced(t);
  const api = traced.cluster.api(await traced.cluster.start('alert-api'));
  await failureOf(api.call('CreateAlert', {}));
  const span = await untilSpan(traced, CREATE);
  assert.equal(span.failed, false);
  assert.equal(span.attributes['rpc.response.status_code'], 'INVALID_ARGUMENT');
});

test('where an alert waited for long there is a span, beside what it held up', async (t) => {
  const traced = await startTraced(t);
  const { cluster, receiver } = traced;
  // Longer than before it began, so that every wait is long.
  const config = { slowProcessingMs: -60_000, outboxSweepIntervalMs: 100, outboxSweepAfterMs: 100 };
  let refused = 0;
  const refusesOnce: PublishFault = (records, publish) => {
    if (records[0]?.topic !== 'alert-created-topic' || refused > 0) return publish(records);
    refused += records.length;
    return Promise.reject(new Error('Kafka is away'));
  };
  const api = cluster.api(await cluster.start('alert-api', { config, fault: refusesOnce }));
  for (const role of ['fanout', 'delivery'] as const) await cluster.start(role, { config });
  const gateway = cluster.api(await cluster.start('stream-gateway', { config }));
  await loadDirectory(api);
  const stream = await collectStream(t, gateway, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' }).untilLive();
  const { traceId, traceparent } = callersTrace();
  const request = alertRequest({ recipients: { userIds: ['op1'] } });
  const alertId = await createWith(api, [['traceparent', traceparent]], request);
  await stream.untilAlerts([alertId]);
  for (const [place, heldUp] of [
    ['outbox', 'send alert-created-topic'],
    ['alert-created-topic', 'process alert-created-topic'],
    ['user-alert-topic', 'process user-alert-topic'],
    ['inbox-change-topic', 'deliver StreamAlerts'],
  ] as const) {
    const mine = (span: ReceivedSpan) => span.traceId === traceId;
    const waited = await untilSpan(traced, `wait in ${place}`, mine);
    assert.equal(waited.attributes['ssom.alert.id'], alertId);
    await untilSpan(traced, heldUp, (span) => mine(span) && span.parentId === waited.parentId);
  }
  assert.equal(receiver.named('wait in outbox', traceId).length, 1, 'the publication at once waited for nothing');
});
