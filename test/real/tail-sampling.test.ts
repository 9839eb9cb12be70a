import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import { type Collector, type Jaeger, startCollector, startJaeger } from '#stack';
import { api } from '../../services/api/protos.js';
import type { AlertClient } from '../../services/client/client.js';
import { loadConfig } from '../../services/lib/config/load.js';
import { Producer } from '../../services/lib/kafka/producer.js';
import { silentLogger } from '../../services/lib/logging.js';
import { type Fcm, fcmVariables, launchFcm } from '../fakes/fcm/client.js';
import { Follower } from '../support/follower.js';
import { metricIn } from '../support/metrics.js';
import { alertFor, loadDirectory, serviceClient } from '../support/people.js';
import type { RoleProcess, Roles } from '../support/role-process.js';
import { privateStart, Stack, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';
import { servicesOf, type Trace, traceOf } from './jaeger.js';

const SLOW_MS = 5000;
/** Longer than what is slow, and than an ordinary alert takes on a busy machine. */
const DECISION_WAIT_MS = 10_000;
const SHARE_PERCENT = 30;
const ORDINARY = 150;
const TOKEN = 'a'.repeat(40);
const WAY = ['ssom-alert-api', 'ssom-delivery', 'ssom-fanout', 'ssom-stream-gateway'];

describe('a real collector samples what a real Jaeger keeps', { skip: whySkip() }, () => {
  let stack: Stack;
  let jaeger: Jaeger;
  let collector: Collector;
  let fcm: Fcm;
  let roles: Roles;
  let delivery: RoleProcess;
  let client: AlertClient;
  let follower: Follower;
  let stub: InstanceType<typeof api.AlertService>;
  /** How many alerts the follower's user was sent. */
  let sent = 0;

  before(async () => {
    stack = await Stack.start();
    jaeger = await startJaeger({ ...privateStart(stack.dir), ports: { query: 0, otlpGrpc: 0, otlpHttp: 0 } });
    collector = await startCollector({
      ...privateStart(stack.dir),
      ports: { otlpGrpc: 0, otlpHttp: 0, metrics: 0 },
      exportTo: new URL(jaeger.otlpGrpcUrl).host,
      variables: {
        COLLECTOR_DECISION_WAIT: `${DECISION_WAIT_MS}ms`,
        COLLECTOR_SHARE_PERCENT: String(SHARE_PERCENT),
      },
    });
    fcm = await launchFcm();
    roles = stack.roles({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.otlpGrpcUrl,
      OTEL_BSP_SCHEDULE_DELAY: '200',
      ...fcmVariables(fcm, stack.dir),
      PUSH_GRACE_MS: '0',
    });
    const [alertApi, gateway, ...others] = ['alert-api', 'stream-gateway', 'fanout', 'delivery', 'push'].map((role) =>
      roles.start(role),
    );
    delivery = others[1]!;
    await Promise.all([alertApi!, gateway!, ...others].map((role) => role.ready()));
    client = await serviceClient(alertApi!, gateway);
    stub = new api.AlertService((await alertApi!.listening()).grpc, grpc.credentials.createInsecure());
    await loadDirectory(client, [
      { userId: 'reader', department: 'TAIL' },
      { userId: 'phone', department: 'TAIL' },
    ]);
    await client.registerDevice({ userId: 'phone', platform: 'DEVICE_PLATFORM_WEB', token: TOKEN });
    follower = await new Follower(client, 'reader').live();
  });

  after(async () => {
    try {
      await follower?.close();
      stub?.close();
      client?.close();
      await roles?.stop();
    } finally {
      await collector?.stop();
      await jaeger?.stop();
      await stack?.stop();
      await fcm?.close();
    }
  });

  /** Creates an alert in a trace that a caller began. @returns the trace's id */
  async function create(userId: string, title: string): Promise<string> {
    const traceId = randomBytes(16).toString('hex');
    const metadata = new grpc.Metadata();
    metadata.set('x-caller', 'tail-sampling-test');
    metadata.set('traceparent', `00-${traceId}-${randomBytes(8).toString('hex')}-01`);
    await new Promise<void>((resolve, reject) => {
      stub.createAlert(alertFor([userId], title), metadata, { deadline: Date.now() + 10_000 }, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    if (userId === 'reader') sent += 1;
    return traceId;
  }

  /** Writes a record that nobody can read. */
  async function writePoison(traceId: string): Promise<void> {
    const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
    const brokers = { bootstrapServers: stack.kafka.bootstrap, inProcess: false };
    const options = { clientId: 'tail-sampling-test' };
    const producer = await Producer.connect(brokers, loadConfig({ PROFILE: 'dev' }), silentLogger(), options);
    const value = Buffer.from('no alert');
    await producer.publish([{ topic: 'user-alert-topic', key: 'reader', value, headers: [{ traceparent }] }]);
    await producer.close();
  }

  async function collected(metric: string): Promise<number> {
    const body = await (await fetch(collector.metricsUrl)).text();
    return metricIn(body, `otelcol_processor_tail_sampling_${metric}`);
  }

  /** Waits until Jaeger has spans of these services in a trace, and says what it has. */
  async function kept(what: string, traceId: string, services: readonly string[]): Promise<Trace> {
    let trace: Trace = [];
    return until(
      () => `Jaeger has ${services.join(', ')} of the ${what} alert; it has ${servicesOf(trace).join(', ')}`,
      async () => {
        trace = await traceOf(jaeger, traceId);
        return services.every((service) => servicesOf(trace).includes(service)) ? trace : undefined;
      },
      DECISION_WAIT_MS + 20_000,
    );
  }

  it('whatever is slow, undelivered or failed, and a share of the rest, whole', async () => {
    const ordinary: string[] = [];
    for (let from = 0; from < ORDINARY; from += 10) {
      ordinary.push(...(await Promise.all(Array.from({ length: 10 }, () => create('reader', 'ordinary')))));
    }
    await follower.seen(sent);
    await fcm.rule({ token: TOKEN, error: 'UNAVAILABLE', times: 1 });
    const failed = await create('phone', 'its push fails once');

    const dead = randomBytes(16).toString('hex');
    await writePoison(dead);

    await delivery.stop();
    // Not in an inbox when its trace is decided on; and slow, but delivered before.
    const undelivered = await create('reader', 'undelivered');
    await sleep(DECISION_WAIT_MS);
    const slow = await create('reader', 'slow');
    await sleep(SLOW_MS);
    await roles.start('delivery').ready();
    await follower.seen(sent);

    await kept('slow', slow, WAY);
    await kept('undelivered', undelivered, WAY);
    const pushes = (
      await kept('failed', failed, ['ssom-alert-api', 'ssom-delivery', 'ssom-fanout', 'ssom-push'])
    ).filter(({ service }) => service === 'ssom-push');
    assert.ok(pushes.some(({ attributes }) => attributes['error'] === true));
    const [letter] = await kept('dead', dead, ['ssom-delivery']);
    assert.equal(letter!.name, 'send user-alert-topic-dlq');

    await until('all is decided', async () => (await collected('sampling_traces_on_memory')) === 0);
    assert.equal(await collected('sampling_trace_dropped_too_early_total'), 0);
    const seen: Trace[] = [];
    for (const traceId of ordinary) {
      const trace = await traceOf(jaeger, traceId);
      if (trace.length > 0) seen.push(trace);
    }
    // 30 % of 150 are 45, give or take 6; so far off it is no chance.
    assert.ok(seen.length >= 10 && seen.length <= 100, `${seen.length} of ${ORDINARY} ordinary traces were kept`);
    for (const trace of seen) assert.deepEqual(servicesOf(trace), WAY);

    // What was not kept and goes wrong later is judged again.
    const again = ordinary.find((traceId) => seen.every(([span]) => span!.traceId !== traceId))!;
    await writePoison(again);
    const late = await kept('ordinary', again, ['ssom-delivery']);
    assert.deepEqual(
      late.map(({ name }) => name),
      ['send user-alert-topic-dlq'],
    );
  });
});
