import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { trace as otel } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { type Jaeger, startJaeger } from '#stack';
import type { AlertClient } from '../../services/client/client.js';
import { type Fcm, fcmVariables, launchFcm } from '../fakes/fcm/client.js';
import { Follower } from '../support/follower.js';
import { alertFor, loadDirectory, people, serviceClient } from '../support/people.js';
import type { Roles } from '../support/role-process.js';
import { privateStart, Stack, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';
import { ancestorsOf, findTraces, rootsOf, servicesOf, type Trace, treeOf } from './jaeger.js';

/** What `alert-slow-processing-ms` is by default. */
const SLOW_MS = 5000;
const SERVICES = ['alert-api', 'caller', 'delivery', 'fanout', 'push', 'stream-gateway'].map((role) => `ssom-${role}`);
const CREATE = 'ssom.alert.v1.AlertService/CreateAlert';

/** Each step, and the one that it comes from. */
const WAY = [
  ['a build failed', CREATE],
  [CREATE, 'commit alert'],
  [CREATE, 'send alert-created-topic'],
  ['send alert-created-topic', 'process alert-created-topic'],
  ['process alert-created-topic', 'send user-alert-topic'],
  ['send user-alert-topic', 'process user-alert-topic'],
  ['send user-alert-topic', 'wait in user-alert-topic'],
  ['process user-alert-topic', 'send inbox-change-topic'],
  ['send inbox-change-topic', 'deliver StreamAlerts'],
  [CREATE, 'send fcm'],
] as const;

describe('an alert that came late is found in Jaeger', { skip: whySkip() }, () => {
  let stack: Stack;
  const [user] = people('late', 1, 'LATE');
  let jaeger: Jaeger;
  let fcm: Fcm;
  let roles: Roles;
  let client: AlertClient;
  let follower: Follower;
  let caller: NodeSDK;
  let alertId: number;
  let traceId: string;

  before(async () => {
    stack = await Stack.start();
    jaeger = await startJaeger({ ...privateStart(stack.dir), ports: { query: 0, otlpGrpc: 0, otlpHttp: 0 } });
    fcm = await launchFcm();
    roles = stack.roles({
      OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpGrpcUrl,
      OTEL_BSP_SCHEDULE_DELAY: '200',
      ...fcmVariables(fcm, stack.dir),
      PUSH_GRACE_MS: '0',
    });
    const [alertApi, gateway, ...others] = ['alert-api', 'stream-gateway', 'fanout', 'push'].map((role) =>
      roles.start(role),
    );
    await Promise.all([alertApi!, gateway!, ...others].map((role) => role.ready()));
    client = await serviceClient(alertApi!, gateway);
    await loadDirectory(client, [user!]);
    await client.registerDevice({ userId: user!.userId, platform: 'DEVICE_PLATFORM_WEB', token: 'a'.repeat(40) });
    follower = await new Follower(client, user!.userId).live();
    // The calling service is traced too, as one is that uses OpenTelemetry.
    caller = new NodeSDK({
      serviceName: 'ssom-caller',
      traceExporter: new OTLPTraceExporter({ url: jaeger.otlpGrpcUrl }),
      instrumentations: [],
      metricReaders: [],
      logRecordProcessors: [],
    });
    caller.start();
  });

  after(async () => {
    try {
      await follower?.close();
      client?.close();
      await caller?.shutdown();
      await roles?.stop();
    } finally {
      await jaeger?.stop();
      await stack?.stop();
      await fcm?.close();
    }
  });

  /** Delivery starts only when the alert has waited for it in Kafka for longer than what is slow. */
  async function raiseLate(): Promise<void> {
    await otel.getTracer('test').startActiveSpan('a build failed', async (span) => {
      traceId = span.spanContext().traceId;
      const { alert } = await client.createAlert(alertFor([user!.userId], 'late'));
      alertId = alert!.alertId;
      span.end();
    });
    await until('it is fanned out', async () => (await client.getAlert({ alertId })).progress!.fannedOutAt !== null);
    await sleep(SLOW_MS + 500);
    await roles.start('delivery').ready();
    await follower.seen(1);
  }

  it('by the service that had to wait and the time, and by its id: one tree, with the time in Kafka', async (t) => {
    await raiseLate();
    let last: Trace = [];
    const late = await until(
      () => `Jaeger has a whole trace of alert ${alertId}:\n${treeOf(last).join('\n')}`,
      async () => {
        // What somebody types who was told no more than "alert 4711 came late".
        const found = await findTraces(jaeger, { service: 'ssom-alert-api', tags: { 'ssom.alert.id': `${alertId}` } });
        last = found[0] ?? [];
        return found.length === 1 && servicesOf(last).length === SERVICES.length ? last : undefined;
      },
      20_000,
    );
    for (const line of treeOf(late)) t.diagnostic(line);
    assert.equal(late[0]!.traceId, traceId);
    assert.deepEqual(servicesOf(late), SERVICES);

    assert.deepEqual(
      rootsOf(late).map(({ name }) => name),
      ['a build failed'],
      'one tree',
    );
    for (const [from, to] of WAY) {
      const spans = late.filter(({ name }) => name === to);
      assert.ok(spans.length > 0, `there is a span '${to}'`);
      for (const span of spans) {
        const above = ancestorsOf(late, span).map(({ name }) => name);
        assert.ok(above.includes(from), `'${to}' comes from '${from}', not from ${above.join(' < ')}`);
      }
    }

    // Jaeger holds minDuration against single spans: one of them has to be the waiting itself.
    const slow = await findTraces(jaeger, { service: 'ssom-delivery', minDuration: '5s' });
    assert.deepEqual(
      slow.map(([span]) => span!.traceId),
      [traceId],
    );
    const waits = late.filter(({ durationMs }) => durationMs >= SLOW_MS);
    const sent = late.find(({ name }) => name === 'send user-alert-topic')!;
    const processed = late.find(({ name }) => name === 'process user-alert-topic')!;
    for (const wait of waits) {
      assert.ok(wait.start >= sent.start, 'it waits after it was sent');
      assert.equal(wait.attributes['ssom.alert.id'], alertId);
    }
    assert.ok((processed.start - sent.start) / 1000 >= SLOW_MS || processed.durationMs >= SLOW_MS);
  });
});
