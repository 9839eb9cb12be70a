import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import grpc from '@grpc/grpc-js';
import { type Jaeger, startJaeger } from '#stack';
import { api } from '../../services/api/protos.js';
import type { AlertClient } from '../../services/client/client.js';
import type { CreateAlertResponse__Output } from '../../services/gen/types.js';
import { AvroCodec, canonicalSchema } from '../../services/lib/avro.js';
import { loadConfig } from '../../services/lib/config/load.js';
import { Producer } from '../../services/lib/kafka/producer.js';
import { silentLogger } from '../../services/lib/logging.js';
import { RegistryClient } from '../../services/lib/registry/client.js';
import { ROOT } from '../../services/lib/root.js';
import { type Fcm, fcmVariables, launchFcm } from '../fakes/fcm/client.js';
import type { CreateAlertRequest } from '../support/alerts.js';
import { Expected } from '../support/expected.js';
import { Follower } from '../support/follower.js';
import { alertFor, inboxOf, loadDirectory, people, type Person, serviceClient } from '../support/people.js';
import { javaPartition, readTopic } from '../support/raw-kafka.js';
import { type RoleProcess, type Roles, untilShared } from '../support/role-process.js';
import { privateStart, Stack, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';

const WEB = 'WAY-WEB';
const ROUTED: readonly Person[] = [
  ...people('op', 2, 'OPERATION'),
  ...people('ext', 1, 'EXTERNAL'),
  ...people('core', 3, 'CORE_BANK'),
  ...people('chan', 3, 'CHANNEL'),
  // Its key in Kafka is not ASCII.
  { userId: '채널-김하늘', department: 'CHANNEL' },
];

/** Who the seed's four rules send an alert of this app to. */
function routed(appName: string): string[] {
  const bank = appName.toLowerCase().includes('ssok-bank');
  return ROUTED.filter(({ department }) => department !== (bank ? 'CHANNEL' : 'CORE_BANK')).map(({ userId }) => userId);
}

const APPS = ['ssok-bank-core', 'SSOK-Bank-Batch', 'ssok-transfer', 'ssok-user', 'gateway'];

function routedAlert(number: number): CreateAlertRequest & { appName: string } {
  const appName = APPS[number % APPS.length]!;
  return { ...alertFor([], `alert ${number}`, { requestId: `way-${number}` }), appName, recipients: null };
}

describe('the way of an alert on the real stack', { skip: whySkip() }, () => {
  let stack: Stack;
  let jaeger: Jaeger;
  let roles: Roles;

  before(async () => {
    stack = await Stack.start();
    jaeger = await startJaeger({ ...privateStart(stack.dir), ports: { query: 0, otlpGrpc: 0, otlpHttp: 0 } });
    roles = stack.roles();
  });

  after(async () => {
    try {
      await roles?.stop();
    } finally {
      await jaeger?.stop();
      await stack?.stop();
    }
  });

  async function jaegerServices(): Promise<string[]> {
    const answer = (await (await fetch(`${jaeger.url}/api/services`)).json()) as { data: string[] | null };
    return answer.data ?? [];
  }

  describe('with eight processes, several of a role', () => {
    const expected = new Expected(ROUTED);
    const followers: Follower[] = [];
    const clients: AlertClient[] = [];
    let push: RoleProcess;
    let fanouts: RoleProcess[];
    let deliveries: RoleProcess[];
    let client: AlertClient;

    before(async () => {
      const start = (role: string) => roles.start(role);
      const alertApi = start('alert-api');
      fanouts = [start('fanout'), start('fanout')];
      deliveries = [start('delivery'), start('delivery')];
      push = start('push');
      const gateways = [start('stream-gateway'), start('stream-gateway')];
      await Promise.all([alertApi, ...fanouts, ...deliveries, push, ...gateways].map((role) => role.ready()));
      await untilShared(fanouts, 'alert-created-topic', 3);
      await untilShared(deliveries, 'user-alert-topic', 10);
      clients.push(...(await Promise.all(gateways.map((gateway) => serviceClient(alertApi, gateway)))));
      client = clients[0]!;
      await loadDirectory(client, ROUTED);
      for (const [index, each] of clients.entries()) {
        for (const { userId } of ROUTED)
          followers.push(new Follower(each, userId, `${userId} at gateway ${index + 1}`));
      }
      await Promise.all(followers.map((follower) => follower.live()));
    });

    after(async () => {
      await Promise.all(followers.map((follower) => follower.close()));
      for (const each of clients) each.close();
    });

    it('brings every alert once to every inbox, and to streams on either gateway', async () => {
      const unary = Array.from({ length: 60 }, (_, number) => routedAlert(number));
      const batch = Array.from({ length: 120 }, (_, number) => routedAlert(60 + number));
      const note = (response: CreateAlertResponse__Output, appName: string) => {
        assert.equal(response.replayed, false);
        expected.add(response.alert!.alertId, routed(appName));
      };
      await Promise.all([
        ...unary.map(async (request) => note(await client.createAlert(request, { attempts: 1 }), request.appName)),
        (async () => {
          const { results } = await client.batchCreateAlerts({ requests: batch }, { attempts: 1 });
          for (const [index, { response }] of results.entries()) note(response!, batch[index]!.appName);
        })(),
        (async () => {
          for (let number = 0; number < 20; number += 1) {
            const named = ['core-1', '채널-김하늘'].slice(number % 2);
            const { alert } = await client.createAlert(alertFor(named, `named ${number}`), { attempts: 1 });
            expected.add(alert!.alertId, named);
          }
        })(),
      ]);
      await expected.arrived(client);
      await expected.checkInboxes(client);
      for (const follower of followers) {
        const wanted = expected.of(follower.userId);
        await follower.seen(wanted.length);
        follower.check(wanted);
      }
    });

    it('shares the work among the instances of a group', async () => {
      for (const role of [...deliveries, ...fanouts]) {
        const name = role.role === 'delivery' ? 'ssom_deliveries_total' : 'ssom_fanout_recipients_total';
        assert.ok((await role.metric(name)) > 0, `an instance of ${role.role} has done nothing`);
      }
    });

    it('tells the progress of an alert', async () => {
      const alertId = expected.of('op-1')[0]!;
      const { progress } = await until('fan-out is noted', async () => {
        const answer = await client.getAlert({ alertId });
        return answer.progress?.fannedOutAt ? answer : undefined;
      });
      assert.equal(progress!.recipients, progress!.delivered);
      assert.ok(progress!.recipients > 0);
    });

    it('shows what is read on both gateways', async () => {
      const [alertId] = expected.of('op-1');
      const before = expected.of('op-1').length;
      assert.equal((await client.markRead({ userId: 'op-1', alertIds: [alertId!] })).changed, 1);
      for (const follower of followers.filter(({ userId }) => userId === 'op-1')) {
        await follower.seen(before + 1);
        assert.equal(follower.inbox.get(alertId!), true);
        assert.equal(follower.unreadCount, before - 1);
      }
    });

    it('has push read what changes, and say that it is off', async () => {
      assert.ok(push.line(/^push is off/));
      await until('push has read inbox changes', async () => (await push.metric('ssom_push_skipped_total')) > 0);
    });

    it('leaves no trace while tracing is off', async () => {
      assert.deepEqual(await jaegerServices(), []);
    });
  });

  describe('with tracing', () => {
    let client: AlertClient;
    let alertApi: RoleProcess;
    let producer: Producer;
    const traceId = randomBytes(16).toString('hex');
    const callerSpan = randomBytes(8).toString('hex');
    const traced = people('traced', 2, WEB);
    let fcm: Fcm;

    before(async () => {
      await roles.stop();
      fcm = await launchFcm();
      const start = (role: string) =>
        roles.start(role, {
          OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpGrpcUrl,
          OTEL_BSP_SCHEDULE_DELAY: '200',
          ...fcmVariables(fcm, stack.dir),
          PUSH_GRACE_MS: '0',
        });
      alertApi = start('alert-api');
      const others = ['fanout', 'delivery', 'delivery', 'push', 'stream-gateway'].map(start);
      await Promise.all([alertApi, ...others].map((role) => role.ready()));
      client = await serviceClient(alertApi, others.at(-1));
      await loadDirectory(client, traced);
      const config = loadConfig({ PROFILE: 'dev' });
      const brokers = { bootstrapServers: stack.kafka.bootstrap, inProcess: false };
      producer = await Producer.connect(brokers, config, silentLogger(), { clientId: 'a-writer-of-v1' });
    });

    after(async () => {
      client?.close();
      await producer?.close();
      await fcm?.close();
    });

    /** The caller's own span, as any OpenTelemetry client sends it along. */
    async function createTraced(request: CreateAlertRequest): Promise<number> {
      const stub = new api.AlertService((await alertApi.listening()).grpc, grpc.credentials.createInsecure());
      const metadata = new grpc.Metadata();
      metadata.set('x-caller', 'traced-caller');
      metadata.set('traceparent', `00-${traceId}-${callerSpan}-01`);
      try {
        return await new Promise<number>((resolve, reject) => {
          stub.createAlert(request, metadata, { deadline: Date.now() + 10_000 }, (error, response) =>
            error === null ? resolve(response!.alert!.alertId) : reject(error),
          );
        });
      } finally {
        stub.close();
      }
    }

    interface Trace {
      readonly spans: readonly {
        spanID: string;
        operationName: string;
        processID: string;
        references: { refType: string; traceID: string; spanID: string }[];
      }[];
      readonly processes: Record<string, { serviceName: string }>;
    }

    it('shows one trace from CreateAlert to the write on the stream and the call of FCM', async (t) => {
      await client.registerDevice({ userId: 'traced-1', platform: 'DEVICE_PLATFORM_WEB', token: 'a'.repeat(40) });
      const followers = traced.map(({ userId }) => new Follower(client, userId));
      t.after(() => Promise.all(followers.map((follower) => follower.close())));
      await Promise.all(followers.map((follower) => follower.live()));
      const alertId = await createTraced(alertFor(['traced-1', 'traced-2'], 'traced'));
      for (const follower of followers) await follower.seen(1);

      const roleNames = ['ssom-alert-api', 'ssom-delivery', 'ssom-fanout', 'ssom-push', 'ssom-stream-gateway'];
      const namesOf = ({ spans, processes }: Trace) =>
        [...new Set(spans.map(({ processID }) => processes[processID]!.serviceName))].sort();
      let seen: unknown;
      const trace = await until(
        () => `Jaeger has spans of ${roleNames.join(', ')} in ${traceId}; it has ${JSON.stringify(seen)}`,
        async () => {
          const response = await fetch(`${jaeger.url}/api/traces/${traceId}`);
          const { data } = (await response.json()) as { data: Trace[] | null };
          seen = data?.map((each) => each.spans.map(({ operationName }) => operationName));
          if (data?.length !== 1 || namesOf(data[0]!).length < roleNames.length) return undefined;
          return parentsOf(data[0]!).every(({ known }) => known) ? data[0]! : undefined;
        },
        20_000,
      );
      assert.deepEqual(namesOf(trace), roleNames);

      // From each span of the gateway up to the caller's, through every role.
      const byId = new Map(parentsOf(trace).map((span) => [span.id, span]));
      const written = [...byId.values()].filter(({ service }) => service === 'ssom-stream-gateway');
      assert.ok(written.length > 0);
      for (const span of written) {
        const way: string[] = [];
        let at = span.id;
        for (let next = byId.get(at); next !== undefined; next = byId.get(at)) {
          if (way[0] !== next.service) way.unshift(next.service);
          at = next.parent!;
        }
        assert.equal(at, callerSpan, 'the chain ends at the caller');
        assert.deepEqual(way, ['ssom-alert-api', 'ssom-fanout', 'ssom-delivery', 'ssom-stream-gateway']);
      }
      const pushed = trace.spans.filter(({ operationName }) => operationName === 'send fcm');
      assert.equal(pushed.length, 1);
      assert.equal(byId.get(byId.get(pushed[0]!.spanID)!.parent!)!.service, 'ssom-alert-api');
      const { progress } = await client.getAlert({ alertId });
      assert.equal(progress!.traceId, traceId);
      assert.deepEqual((await jaegerServices()).sort(), roleNames);
    });

    function parentsOf({ spans, processes }: Trace) {
      const ids = new Set(spans.map(({ spanID }) => spanID));
      return spans.map(({ spanID, processID, references }) => {
        const parent = references.find(({ refType }) => refType === 'CHILD_OF')?.spanID;
        return {
          id: spanID,
          service: processes[processID]!.serviceName,
          parent,
          known: parent !== undefined && (parent === callerSpan || ids.has(parent)),
        };
      });
    }

    it('writes records as Java clients expect them', async () => {
      const client = new RegistryClient({ url: stack.registry.url, username: '', password: '' }, silentLogger());
      const counts = { 'alert-created-topic': 3, 'user-alert-topic': 10, 'inbox-change-topic': 10 };
      for (const [topic, partitions] of Object.entries(counts)) {
        const { id } = await client.latest(`${topic}-value`);
        const read = await readTopic(stack.kafka.bootstrap, topic);
        assert.equal(read.partitions, partitions, `partitions of ${topic}`);
        assert.ok(read.records.length > 0);
        for (const { key, value, partition } of read.records) {
          assert.equal(
            Buffer.from(key.toString('utf8')).compare(key),
            0,
            `a key of ${topic} is not UTF-8: ${key.toString('hex')}`,
          );
          assert.equal(partition, javaPartition(key, partitions), `partition of '${key.toString()}' in ${topic}`);
          assert.equal(value[0], 0, `magic byte in ${topic}`);
          assert.equal(value.readUInt32BE(1), id, `schema id in ${topic}`);
        }
        const keys = new Set(read.records.map(({ key }) => key.toString()));
        if (topic !== 'alert-created-topic') assert.ok(keys.has('채널-김하늘'));
        assert.ok(new Set(read.records.map(({ partition }) => partition)).size > partitions / 2);
        if (topic === 'inbox-change-topic') continue; // a traceparent for each of its changes, in the value
        const traceparents = read.records
          .flatMap(({ headers }) => headers)
          .flatMap(({ traceparent }) => (traceparent === undefined ? [] : [traceparent.toString()]));
        assert.ok(traceparents.some((text) => text.startsWith(`00-${traceId}-`) && text.endsWith('-01')));
      }
    });

    it('knows where Java puts a key', () => {
      // Of Kafka's own UtilsTest.testMurmur2: the hashes of these strings.
      const hashes = { '21': -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536 };
      for (const [key, hash] of Object.entries(hashes)) {
        assert.equal(javaPartition(Buffer.from(key), 1000), (hash & 0x7fffffff) % 1000);
      }
    });

    it("fans out a record of a v1 writer, by the directory of the alert's time", async () => {
      const team = people('v1', 3, 'WAY-V1');
      await loadDirectory(client, team);
      const model = await client.createAlert(alertFor([], 'model', { recipients: { departments: ['WAY-V1'] } }));
      // As another service would have stored it: there is an alert, and nothing of it in Kafka.
      const { rows } = await stack.database.query<{ alert_id: string }>(
        `INSERT INTO alerts
         SELECT (jsonb_populate_record(a, jsonb_build_object('alert_id', nextval('alert_ids'), 'request_id', ''))).*
         FROM alerts a WHERE alert_id = $1 RETURNING alert_id`,
        [model.alert!.alertId],
      );
      const alertId = Number(rows[0]!.alert_id);
      await loadDirectory(client, [{ userId: 'v1-late', department: 'WAY-V1' }]);

      const schema = canonicalSchema(
        readFileSync(join(ROOT, 'schemas', 'alert-created-topic-value', 'v1.avsc'), 'utf8'),
      );
      const schemas = new RegistryClient({ url: stack.registry.url, username: '', password: '' }, silentLogger());
      const id = await schemas.find('alert-created-topic-value', schema);
      assert.notEqual(id, (await schemas.latest('alert-created-topic-value')).id);
      const v1 = new AvroCodec<object>(schema, id, () => Promise.reject(new Error('not needed')));
      const value = v1.encode({ alertId, alertKind: 'GRAFANA', appName: 'ssok-transfer' });
      await producer.publish([{ topic: 'alert-created-topic', key: String(alertId), value }]);

      const has = async (userId: string) => (await inboxOf(client, userId)).map(({ alert }) => alert!.alertId);
      for (const { userId } of team) {
        await until(`${userId} has the alert of v1`, async () => (await has(userId)).includes(alertId));
        assert.deepEqual(await has(userId), [alertId, model.alert!.alertId]);
      }
      // Everybody else of its department has it, and all of them were fanned out at once.
      assert.deepEqual(await has('v1-late'), []);
    });

    it('delivers a critical alert to one while a broadcast to 6,000 is under way', async () => {
      // Three rounds of fan-out (2,000 records each): whoever comes behind is in the second one at the latest.
      const crowd = people('crowd', 6000, 'WAY-CROWD');
      await loadDirectory(client, [...crowd, { userId: 'on-call', department: WEB }]);
      const { results } = await client.batchCreateAlerts({
        requests: [
          alertFor([], 'broadcast', { recipients: { departments: ['WAY-CROWD'] } }),
          alertFor(['on-call'], 'critical', { level: 'ALERT_LEVEL_CRITICAL' }),
        ],
      });
      const [broadcast, critical] = results.map(({ response }) => response!.alert!.alertId);
      await until('the broadcast is in every inbox', async () => {
        const { progress } = await client.getAlert({ alertId: broadcast! });
        return progress!.delivered === crowd.length;
      });
      // PostgreSQL's clock stands for the order of the transactions.
      const { rows } = await stack.database.query<{ later: number }>(
        `SELECT count(*)::int AS later FROM alert_statuses b
         WHERE b.alert_id = $1
           AND b.created_at > (SELECT created_at FROM alert_statuses WHERE alert_id = $2 AND user_id = 'on-call')`,
        [broadcast, critical],
      );
      assert.ok(rows[0]!.later > 0, 'the critical alert came last, behind the whole broadcast');
    });
  });
});
