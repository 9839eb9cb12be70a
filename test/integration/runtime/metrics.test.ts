import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ROLE_NAMES, type RoleName } from '../../../services/domain/role-names.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { ROOT } from '../../../services/lib/root.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, SMALL_DIRECTORY } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { type Family, readPage } from '../../support/metrics-page.js';
import { startMetricsReceiver } from '../../support/otlp-metrics.js';
import { newToken, startPushTarget } from '../../support/push.js';
import { collectStream } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

/** What a label may be, whatever the traffic: nothing that grows with users or alerts. */
const LABELS: Readonly<Record<string, RegExp>> = {
  bound: /^[a-z_]+$/,
  cache: /^[a-z_]+$/,
  cause: /^(slow (fanout|delivery|stream|push)|lag of ssom-alert-consumer[a-z-]*)$/,
  change: /^(CREATED|READ|UNREAD|DELETED)$/,
  check:
    /^(postgresql|kafka|schema registry|consumer group ssom-alert-consumer[a-z-]*|circuit breaker [a-z ]+|dead letters|schemas|account)$/,
  class: /^(poison|exhausted)$/,
  client: /^(producer-(single|bulk)|ssom-alert-consumer[a-z-]*)$/,
  consumer: /^(fcm|ssom-alert-consumer[a-z-]*)$/,
  field: /^[A-Za-z.[\]{}]+$/,
  group: /^ssom-alert-consumer[a-z-]*$/,
  job: /^[a-z_]+$/,
  level: /^(INFO|WARNING|ERROR|CRITICAL)$/,
  le: /^(\+Inf|[0-9.]+)$/,
  name: /^(postgresql|schema registry|fcm)$/,
  otel_scope_name: /^ssom-alert$/,
  pool: /^(light|bulk)$/,
  outcome: /^(raised|limited|own|failed)$/,
  partition: /^[0-9]$/,
  producer: /^(single|bulk)$/,
  quantile: /^0\.(5|99)$/,
  queue: /^[a-z_]+$/,
  reason: /^[a-z_]+$/,
  required: /^(true|false)$/,
  result: /^[a-z_]+$/,
  role: /^(alert-api|fanout)$/,
  rpc_method: /^ssom\.alert\.v1\.[A-Za-z]+\/[A-Za-z]+$/,
  rpc_response_status_code: /^[A-Z_]+$/,
  service_name: /^ssom-[a-z-]+$/,
  service_namespace: /^ssom$/,
  stage: /^(fanout|delivery|stream|push)$/,
  state: /^[a-z_]+$/,
  subject: /^(alert-created|user-alert|inbox-change)-topic-value$/,
  topic: /^(alert-created|user-alert|inbox-change)-topic(-dlq)?$/,
  what: /^(alert|push|dismissal|statuses|alerts|[a-z_]+)$/,
};

/** Each to the two of OPERATION. */
const ALERTS = 30;
const METRICS_MD = readFileSync(join(ROOT, 'services', 'lib', 'telemetry', 'METRICS.md'), 'utf8');

/** Labels that METRICS.md does not repeat. */
const EVERYWHERE = new Set(['le', 'otel_scope_name']);

interface Entry {
  readonly type: string;
  readonly labels: readonly string[];
  readonly roles: readonly string[];
  readonly text: string;
}

/** The entries of METRICS.md, by metric. */
function readEntries(): Map<string, Entry> {
  const list = (text: string) => text.split(', ').filter((word) => word !== '');
  const entries = METRICS_MD.replace(/\n +/g, ' ').matchAll(
    /^- `(\w+)` \((counter|gauge|histogram); (?:by ([^;]+); )?([^)]+)\)(?:: (.*))?$/gm,
  );
  return new Map(
    [...entries].map(([, name, type, labels = '', roles, text = '']) => [
      name!,
      {
        type: type!,
        labels: list(labels.replaceAll('`', '')),
        roles: roles === 'all' ? ROLE_NAMES : list(roles!),
        text: text.replaceAll('\\', ''),
      },
    ]),
  );
}

async function scrape(http: string, accept = '*/*'): Promise<string> {
  const response = await fetch(`http://${http}/metrics`, { headers: { accept } });
  assert.equal(response.status, 200);
  return response.text();
}

/** All roles after alerts have gone their whole way, one of them among the dead letters. */
async function startBusyRoles(t: TestContext) {
  const receiver = await startMetricsReceiver(t);
  const { environment } = await startPushTarget(t);
  const cluster = await startTestCluster(t, {
    ...environment,
    PUSH_SWEEP_INTERVAL_MS: '300',
    // What is only slow is not sent again: it would be counted twice, and a batch with something repeated has no
    // latency.
    OUTBOX_SWEEP_AFTER_MS: '600000',
    RECONCILE_GRACE_MS: '600000',
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
  });
  const started = await Promise.all(
    ROLE_NAMES.map(async (name) => [name, await cluster.start(name, { ready: name !== 'push' })] as const),
  );
  const roles = new Map(started);
  const api = cluster.api(roles.get('alert-api')!);
  await loadDirectory(api);
  for (const { userId, active } of SMALL_DIRECTORY) {
    if (active)
      await api.call('RegisterDevice', { platform: 'DEVICE_PLATFORM_WEB', token: newToken() }, { user: userId });
  }
  const stream = await collectStream(t, cluster.api(roles.get('stream-gateway')!), { user: 'op1' }).untilLive();
  const alertIds: number[] = [];
  for (let count = 0; count < ALERTS; count += 1) {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { departments: ['OPERATION'] } }));
    alertIds.push(alert!.alertId);
  }
  // The call is OK, its items are not.
  await api.call('BatchCreateAlerts', { requests: [alertRequest({ title: '' }), alertRequest({ title: '' })] });
  await stream.untilAlerts(alertIds, 30_000);
  const addressOf = (role: RoleName) => roles.get(role)!.http;
  const pushed = new RegExp(`create_to_push_seconds_count.* ${2 * ALERTS}$`, 'm');
  // What is read before it is pushed is not pushed.
  await untilTrue(async () => pushed.test(await scrape(addressOf('push'))), {
    timeoutMs: 30_000,
    what: 'a push for each alert',
  });
  await api.call('MarkRead', { alertIds: [alertIds[0]!] }, { user: 'op1' });
  const producer = await Producer.connect(cluster.backends.brokers, cluster.config, silentLogger(), {
    clientId: 'test',
  });
  defer(t, () => producer.close());
  await producer.publish([{ topic: cluster.config.topicUserAlert, key: 'op1', value: Buffer.from('poison') }]);
  const counted = [/^ssom_dead_letters_total\{.*undecodable.*\} 1$/m, /^ssom_kafka_consumer_commits_total\S* [1-9]/m];
  await untilTrue(
    async () => {
      const page = await scrape(addressOf('delivery'));
      return counted.every((pattern) => pattern.test(page));
    },
    { what: 'delivery counts the dead letter and its commits' },
  );
  return { addressOf, receiver };
}

test('every role exports what METRICS.md says, no less and no more, and no label tells of a user or an alert', async (t) => {
  const { addressOf, receiver } = await startBusyRoles(t);
  const listed = readEntries();
  const wanted = [...listed].flatMap(([name, { roles }]) => roles.map((role) => `${role} ${name}`)).sort();
  let pages = new Map<RoleName, Map<string, Family>>();
  const exported = () =>
    [...pages].flatMap(([role, families]) => [...families.keys()].map((name) => `${role} ${name}`)).sort();
  const update = async () => {
    pages = new Map(
      await Promise.all(ROLE_NAMES.map(async (role) => [role, readPage(await scrape(addressOf(role)))] as const)),
    );
    const present = new Set(exported());
    return wanted.every((each) => present.has(each));
  };
  // librdkafka tells of its batches every 5 s.
  await untilTrue(update, { timeoutMs: 30_000, intervalMs: 500, what: 'all metrics' }).catch(() => undefined);
  assert.deepEqual(exported(), wanted);
  for (const [role, families] of pages) {
    for (const [name, { type, help, samples }] of families) {
      const entry = listed.get(name)!;
      assert.equal(type, entry.type, name);
      assert.equal(help, entry.text, name);
      // Partitions and buckets included.
      assert.ok(samples.length < 200, `${samples.length} samples of ${name} in ${role}`);
      for (const { labels } of samples) {
        for (const [label, value] of Object.entries(labels)) {
          assert.ok(EVERYWHERE.has(label) || entry.labels.includes(label), `${name} of ${role} has the label ${label}`);
          assert.match(value, LABELS[label] ?? /^$/, `${label} of ${name} in ${role}`);
        }
      }
    }
  }

  await t.test('they count what has happened', () => {
    const sum = (role: RoleName, name: string, labels: Record<string, string> = {}) =>
      pages
        .get(role)!
        .get(name)!
        .samples.filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
        .reduce((all, { value }) => all + value, 0);
    const alerts = ALERTS;
    const inboxes = 2 * ALERTS;
    assert.equal(sum('alert-api', 'ssom_kafka_producer_records_sent_total'), alerts + 1);
    assert.equal(sum('alert-api', 'ssom_kafka_producer_records_failed_total'), 0);
    const refused = { rpc_response_status_code: 'INVALID_ARGUMENT' };
    assert.equal(sum('alert-api', 'ssom_create_batch_items_total', refused), 2);
    assert.equal(sum('alert-api', 'ssom_create_batch_items_total'), 2);
    const statuses = pages
      .get('alert-api')!
      .get('ssom_create_batch_items_total')!
      .samples.map(({ labels }) => labels);
    for (const status of ['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'INTERNAL'])
      assert.ok(
        statuses.some(({ rpc_response_status_code: its }) => its === status),
        `${status} is there with 0, for the alarm that asks its rate`,
      );
    assert.equal(sum('alert-api', 'ssom_inbox_writes_total', { change: 'READ' }), 1);
    assert.equal(sum('fanout', 'ssom_kafka_producer_records_sent_total'), inboxes);
    assert.equal(sum('delivery', 'ssom_inbox_writes_total', { change: 'CREATED' }), inboxes);
    assert.equal(sum('delivery', 'ssom_dead_letters_total', { class: 'poison', reason: 'undecodable' }), 1);
    assert.ok(sum('delivery', 'ssom_kafka_consumer_records_consumed_total') > inboxes);
    assert.ok(sum('delivery', 'ssom_kafka_consumer_commits_total') > 0);
    assert.equal(sum('delivery', 'ssom_kafka_consumer_rebalances_total'), 1);
    assert.ok(sum('fanout', 'ssom_kafka_producer_batch_size') > 0);
    assert.ok(sum('fanout', 'ssom_kafka_request_duration_seconds', { client: 'producer-single' }) > 0);
    assert.equal(sum('stream-gateway', 'ssom_queue_size', { queue: 'streams' }), 1);
  });

  await t.test('the bounded queues are those of METRICS.md, each with its limit', () => {
    const of = (name: string) =>
      [...pages.values()].flatMap((families) => families.get(name)!.samples.map(({ labels }) => labels['queue']!));
    const present = [...new Set(of('ssom_queue_size'))].sort();
    assert.deepEqual([...new Set(of('ssom_queue_limit'))].sort(), present);
    const [, queues] = METRICS_MD.split('### Bounded queues');
    const listed = queues!.split('\n').flatMap((line) => /^\| (`[a-z_`, ]+)\|/.exec(line)?.[1]!.match(/\w+/g) ?? []);
    assert.deepEqual(listed.sort(), present);
  });

  await t.test('a scrape that takes OpenMetrics gets the traces behind the latencies', async () => {
    for (const [role, way] of [
      ['delivery', 'inbox'],
      ['stream-gateway', 'stream'],
      ['push', 'push'],
    ] as const) {
      const page = await scrape(addressOf(role), 'application/openmetrics-text; version=1.0.0');
      assert.ok(page.endsWith('\n# EOF\n'));
      const { samples } = readPage(page).get(`ssom_alert_create_to_${way}_seconds`)!;
      const count = samples.find(({ name }) => name.endsWith('_count'))!.value;
      assert.equal(count, way === 'stream' ? ALERTS : 2 * ALERTS, way);
      const exemplar = samples.map((sample) => sample.exemplar).find((text) => text !== undefined);
      assert.match(exemplar ?? '', /^\{trace_id="[0-9a-f]{32}"\} [0-9.e-]+ \d+\.\d{3}$/, way);
    }
  });

  await t.test('the same metrics go out by OTLP', async () => {
    const received = () => Buffer.concat([...receiver.metrics]).toString('latin1');
    const names = ['ssom.alert.create_to_inbox', 'ssom.kafka.consumer.lag', 'ssom.alerts.created', 'ssom-delivery'];
    await untilTrue(() => names.every((name) => received().includes(name)), {
      what: 'OTLP metrics',
    });
    const instances = (requests: readonly Buffer[]) => {
      const ids = Buffer.concat([...requests])
        .toString('latin1')
        .matchAll(/service\.instance\.id[^\w]+([0-9a-f-]{36})/g);
      return [...new Set([...ids].map(([, id]) => id!))].sort();
    };
    const inMetrics = () => instances(receiver.metrics);
    await untilTrue(() => inMetrics().length === ROLE_NAMES.length, {
      what: 'metrics of each role',
    });
    const all = inMetrics();
    await untilTrue(() => instances(receiver.traces).length === ROLE_NAMES.length, {
      what: 'spans of each role',
    });
    assert.deepEqual(instances(receiver.traces), all, 'an instance has one id, in spans and in metrics');
  });
});
