import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import type { Timestamp__Output } from '../../../services/gen/types.js';
import { Consumer } from '../../../services/lib/kafka/consumer.js';
import { partitionOfKey } from '../../../services/lib/kafka/partitioner.js';
import { PublishFailed } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { wait } from '../../../services/lib/retry.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { markRead } from '../../../services/store/inboxes.js';
import { findProgress } from '../../../services/store/progress.js';
import { alertRequest } from '../../support/alerts.js';
import type { TestApi } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { loadDirectory, user } from '../../support/directory.js';
import { type PublishFault, startTestCluster, type TestCluster } from '../../support/in-process.js';
import { redrive } from '../../support/redrive.js';
import { assertFoldEqualsInbox, collectStream, listWholeInbox } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

/** Of SMALL_DIRECTORY, for an app of the core bank. */
const RECIPIENTS = ['core1', 'core2', 'ext1', 'op1', 'op2'];

async function create(api: TestApi, count = 1): Promise<number[]> {
  const { results } = await api.call('BatchCreateAlerts', {
    requests: Array.from({ length: count }, () => alertRequest()),
  });
  return results.map(({ response }) => response!.alert!.alertId).sort((a, b) => b - a);
}

async function untilInboxes(
  api: TestApi,
  alertIds: readonly number[],
  users: readonly string[] = RECIPIENTS,
): Promise<void> {
  for (const name of users) {
    await untilTrue(async () => (await listWholeInbox(api, name)).rows.length >= alertIds.length, {
      what: `${name} has ${alertIds.length} alerts`,
    });
    const { rows, unreadCount } = await listWholeInbox(api, name);
    assert.deepEqual(
      rows.map(({ alertId }) => alertId),
      alertIds,
      name,
    );
    assert.equal(unreadCount, alertIds.length, name);
  }
}

/** The first `times` publishes to a topic go wrong as `how` says. */
function firstPublishes(topic: string, times: number, how: PublishFault): PublishFault & { count: () => number } {
  let count = 0;
  const fault: PublishFault = async (records, publish) => {
    if (records[0]?.topic !== topic || count >= times) return publish(records);
    count += 1;
    return how(records, publish);
  };
  return Object.assign(fault, { count: () => count });
}

const fails: PublishFault = () => Promise.reject(new Error('the test makes it fail'));
/** The broker has them, its acknowledgement got lost. */
const failsAfterwards: PublishFault = async (records, publish) => {
  await publish(records);
  throw new Error('the test makes it fail afterwards');
};
const isLost: PublishFault = () => Promise.resolve();

async function startOthers(cluster: TestCluster, except: string): Promise<void> {
  for (const role of ['fanout', 'delivery'] as const) if (role !== except) await cluster.start(role);
}

for (const [name, how] of [
  ['fails', fails],
  ['fails after the broker had it', failsAfterwards],
] as const) {
  test(`a publish of alert-created ${name}: the sweeper brings the alert, once`, async (t) => {
    const cluster = await startTestCluster(t);
    const fault = firstPublishes('alert-created-topic', 2, how);
    const api = cluster.api(await cluster.start('alert-api', { fault }));
    await startOthers(cluster, 'alert-api');
    await loadDirectory(api);
    const alertIds = await create(api, 3);
    await untilInboxes(api, alertIds);
    assert.ok(fault.count() > 0);
    await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM outbox')).length === 0, {
      what: 'an empty outbox',
    });
  });

  test(`a publish of user-alert ${name}: every recipient once`, async (t) => {
    const cluster = await startTestCluster(t);
    const fault = firstPublishes('user-alert-topic', 2, how);
    const api = cluster.api(await cluster.start('alert-api'));
    await cluster.start('fanout', { fault });
    await startOthers(cluster, 'fanout');
    await loadDirectory(api);
    const alertIds = await create(api, 3);
    await untilInboxes(api, alertIds);
    // What the broker has is delivered before the repeat that we wait for here.
    await untilTrue(() => fault.count() === 2, { what: 'the second failure' });
  });

  test(`a publish of inbox-change ${name}: streams see everything, once`, async (t) => {
    const cluster = await startTestCluster(t);
    const fault = firstPublishes('inbox-change-topic', 2, how);
    const api = cluster.api(await cluster.start('alert-api'));
    await cluster.start('delivery', { fault });
    await startOthers(cluster, 'delivery');
    const gateway = cluster.api(await cluster.start('stream-gateway'));
    await loadDirectory(api);
    const stream = await collectStream(t, gateway, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' }).untilLive();
    const alertIds = await create(api, 3);
    await stream.untilAlerts(alertIds);
    await untilInboxes(api, alertIds);
    await assertFoldEqualsInbox(api, 'op1', stream.folded);
    assert.equal(stream.changes.length, 3);
    await untilTrue(() => fault.count() === 2, { what: 'the batch was tried again' });
  });
}

/** Kafka has the alert, and does not say so until the test lets it. */
async function startLateKafka(t: TestContext) {
  const cluster = await startTestCluster(t);
  let acknowledge!: () => void;
  const acknowledged = new Promise<void>((resolve) => (acknowledge = resolve));
  const fault = firstPublishes('alert-created-topic', 1, async (records, publish) => {
    await publish(records);
    await acknowledged;
  });
  const api = cluster.api(await cluster.start('alert-api', { fault }));
  await loadDirectory(api);
  const { alert } = await api.call('CreateAlert', alertRequest());
  const progress = async () => (await findProgress(cluster.store.database, alert!.alertId))!;
  const untilFannedOut = async () => {
    await cluster.start('fanout');
    await untilTrue(async () => (await progress()).fannedOutAt !== null, { what: 'fan-out' });
  };
  await untilTrue(() => fault.count() === 1, { what: 'its publication' });
  // From a second on it is late.
  await wait(1100);
  return { createdAt: millis(alert!.createdAt), progress, untilFannedOut, acknowledge };
}

const millis = (at: Timestamp__Output | null) => at!.seconds * 1000 + at!.nanos / 1e6;

test('an alert that Kafka acknowledges late was published then, not when it was handed over', async (t) => {
  const { createdAt, progress, untilFannedOut, acknowledge } = await startLateKafka(t);
  acknowledge();
  await untilTrue(async () => (await progress()).publishedAt! >= createdAt + 1000, { what: 'the late publication' });
  const { publishedAt } = await progress();
  await untilFannedOut();
  assert.equal((await progress()).publishedAt, publishedAt);
});

test('one that is fanned out before Kafka acknowledges it was published by then', async (t) => {
  const { progress, untilFannedOut, acknowledge } = await startLateKafka(t);
  await untilFannedOut();
  const { publishedAt, fannedOutAt } = await progress();
  assert.ok(publishedAt! < fannedOutAt!);
  acknowledge();
  await untilTrue(async () => (await progress()).publishedAt === fannedOutAt, { what: 'the late publication' });
});

test('stored, and the process ends before it could publish: another one does', async (t) => {
  const cluster = await startTestCluster(t);
  const dying = await cluster.start('alert-api', { fault: fails });
  const dyingApi = cluster.api(dying);
  await loadDirectory(dyingApi);
  const alertIds = await create(dyingApi, 2);
  await dying.stop();
  const api = cluster.api(await cluster.start('alert-api'));
  await startOthers(cluster, 'alert-api');
  await untilInboxes(api, alertIds);
});

test('a batch that is delivered again shows an alert that was read meanwhile as read', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  let alertIds: number[] = [];
  // Between the commit and the publish the user reads the alert; then the publish fails and the batch comes again.
  const repeated: Buffer[] = [];
  let hasFailed = false;
  const fault = firstPublishes('inbox-change-topic', Infinity, async (records, publish) => {
    // The other user's record may come in a batch of its own.
    if (!hasFailed && records.some(({ key }) => key === 'op1')) {
      hasFailed = true;
      await markRead(cluster.store.database, 'op1', alertIds, NO_ACCOUNT);
      throw new Error('the test makes it fail');
    }
    repeated.push(...records.filter(({ key }) => key === 'op1').map(({ value }) => value!));
    await publish(records);
  });
  // No healing: what the stream shows is what the repeated batch said.
  const config = { streamHealIntervalMs: 600_000 };
  const gateway = cluster.api(await cluster.start('stream-gateway', { config }));
  const stream = await collectStream(t, gateway, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' }).untilLive();
  alertIds = await create(api, 1);
  await cluster.start('fanout');
  const { runtime } = await cluster.start('delivery', { fault });
  await stream.untilAlerts(alertIds);
  const { events } = await runtime.publishing(AbortSignal.timeout(5000));
  const [event] = repeated.map((value) => events.inboxChanged.decodeKnown(value)!);
  assert.deepEqual(
    event!.changes.map(({ sequence, type, isRead }) => [sequence, type, isRead]),
    [[2, 'READ', true]],
  );
  assert.deepEqual(
    stream.changes.map(({ type, isRead }) => [type, isRead]),
    [['INBOX_CHANGE_TYPE_READ', true]],
  );
  await assertFoldEqualsInbox(api, 'op1', stream.folded);
});

test('a MarkRead that is never published reaches the streams within the heal interval', async (t) => {
  const cluster = await startTestCluster(t);
  const fault = firstPublishes('inbox-change-topic', Infinity, isLost);
  const api = cluster.api(await cluster.start('alert-api', { fault }));
  await startOthers(cluster, 'alert-api');
  const gateway = cluster.api(await cluster.start('stream-gateway', { config: { streamHealIntervalMs: 1000 } }));
  await loadDirectory(api);
  const stream = await collectStream(t, gateway, { user: 'op1' }).untilLive();
  const alertIds = await create(api, 2);
  await stream.untilAlerts(alertIds);
  await api.call('MarkRead', { alertIds: [alertIds[0]!] }, { user: 'op1' });
  // The interval, the patience of 0.5 s for records under way, and room for a busy machine.
  await stream.until(() => stream.folded.rows.get(alertIds[0]!)!.isRead, 'the alert is read', 5000);
  await api.call('MarkAllRead', {}, { user: 'op1' });
  await stream.until(() => stream.folded.unreadCount === 0, 'everything is read', 5000);
  assert.ok(fault.count() >= 2);
  await assertFoldEqualsInbox(api, 'op1', stream.folded);
});

test('reconcile finds what fan-out lost, publishes it again and marks the alerts complete', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const lossy = firstPublishes('user-alert-topic', 1, async (records, publish) => {
    await publish(records.filter(({ key }) => key !== 'op2' && key !== 'core1'));
  });
  await cluster.start('fanout', { fault: lossy });
  await cluster.start('delivery');
  const alertIds = await create(api, 1);
  await untilInboxes(api, alertIds);
  assert.equal(lossy.count(), 1);
  await untilTrue(
    async () => {
      const { progress } = await api.call('GetAlert', { alertId: alertIds[0]! });
      return progress!.completedAt !== null && progress!.delivered === 5 && progress!.recipients === 5;
    },
    { timeoutMs: 30_000, what: 'the alert is complete' },
  );
});

test('an alert that reaches nobody is complete at once', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api, [user('solo', 'ELSEWHERE')]);
  await startOthers(cluster, 'alert-api');
  const [alertId] = await create(api, 1);
  await untilTrue(async () => (await api.call('GetAlert', { alertId: alertId! })).progress!.completedAt !== null, {
    what: 'the alert is complete',
  });
});

test('a directory change between CreateAlert and fan-out does not change the recipients', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  await loadDirectory(api);
  const alertIds = await create(api, 1);
  await loadDirectory(api, [user('op2', 'NOWHERE'), user('op9', 'OPERATION')], []);
  await startOthers(cluster, 'alert-api');
  await untilInboxes(api, alertIds);
  assert.deepEqual((await listWholeInbox(api, 'op9')).rows, []);
});

/** What Kafka answers for a record beyond max.message.bytes; for all that are in one batch with it. */
const TOO_LARGE = new PublishFailed('Broker: Message size too large', {
  cause: Object.assign(new Error('Broker: Message size too large'), {
    code: RdKafka.CODES.ERRORS.ERR_MSG_SIZE_TOO_LARGE,
  }),
});

/** Refuses, for good, whatever has one of these alerts in it. */
function refusing(refused: Set<string>) {
  const published: string[] = [];
  const fault: PublishFault = async (records, publish) => {
    if (records[0]?.topic !== 'alert-created-topic') return publish(records);
    published.push(...records.map(({ key }) => key as string));
    if (records.some(({ key }) => refused.has(key as string))) throw TOO_LARGE;
    await publish(records);
  };
  return { fault, published };
}

test('an alert that Kafka never takes is set aside alone, with its reason, and the others go out once more at most', async (t) => {
  const cluster = await startTestCluster(t, { RECONCILE_INTERVAL_MS: '3600000' });
  const refused = new Set<string>();
  const { fault, published } = refusing(refused);
  // Nothing is published at once: all of it waits for the sweeper.
  const config = { relayInFlightMax: 0 };
  const role = await cluster.start('alert-api', { fault, config: { ...config, outboxSweepIntervalMs: 3_600_000 } });
  const api = cluster.api(role);
  await loadDirectory(api);
  await startOthers(cluster, 'alert-api');
  const alertIds = await create(api, 20);
  const bad = alertIds[7]!;
  refused.add(String(bad));
  const sweeper = await cluster.start('alert-api', { fault, config });
  const letters = () => cluster.store.sql('SELECT topic, partition, "offset", alert_id, place FROM dead_letters');
  await untilTrue(async () => (await letters()).length === 1, { what: 'the dead letter' });
  await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM outbox')).length === 0, {
    what: 'an empty outbox',
  });
  assert.deepEqual(await letters(), [
    { topic: 'alert-created-topic', partition: -1, offset: bad, alert_id: bad, place: 'outbox' },
  ]);
  await untilInboxes(
    api,
    alertIds.filter((alertId) => alertId !== bad),
  );
  const times = (alertId: number) => published.filter((key) => key === String(alertId)).length;
  for (const alertId of alertIds) assert.ok(alertId === bad ? times(bad) === 4 : times(alertId) <= 2);
  const { progress } = await api.call('GetAlert', { alertId: bad });
  assert.deepEqual([progress!.publishedAt, progress!.deadLettered, progress!.delivered], [null, true, 0]);
  assert.match(progress!.deadLetters[0]!.reason, /too large/);
  assert.match(
    await (await fetch(`http://${sweeper.http}/metrics`)).text(),
    /dead_letters_total\{.*refused_by_kafka.*\} 1/,
  );

  // The operator raises max.message.bytes, and sends it back.
  refused.clear();
  await redrive(cluster, 'alert-created-topic');
  await untilInboxes(api, alertIds);
  assert.deepEqual(await letters(), []);
});

test('while a refused alert cannot be put among the dead letters the others leave the outbox, and it does later', async (t) => {
  const cluster = await startTestCluster(t);
  const refused = new Set<string>();
  const { fault } = refusing(refused);
  const config = { relayInFlightMax: 0 };
  const api = cluster.api(
    await cluster.start('alert-api', { config: { ...config, outboxSweepIntervalMs: 3_600_000 } }),
  );
  await loadDirectory(api);
  const alertIds = await create(api, 20);
  const bad = alertIds[7]!;
  refused.add(String(bad));
  const { sql } = cluster.store;
  await sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$`);
  await sql('CREATE TRIGGER refuse BEFORE INSERT ON dead_letters FOR EACH ROW EXECUTE FUNCTION refuse()');
  await cluster.start('alert-api', { fault, config });
  const outbox = async () =>
    (await sql<{ alert_id: number }>('SELECT alert_id FROM outbox')).map((row) => row.alert_id);
  await untilTrue(async () => (await outbox()).length === 1, { what: 'only one in the outbox' });
  assert.deepEqual(await outbox(), [bad]);
  // Some sweeps meet the error.
  await wait(2000);
  await sql('DROP TRIGGER refuse ON dead_letters');
  await untilTrue(async () => (await outbox()).length === 0, { what: 'an empty outbox' });
  assert.deepEqual(await sql('SELECT alert_id FROM dead_letters'), [{ alert_id: bad }]);
});

test('an alert that shared its batch with a refused one twice, by chance, is published with the next sweep', async (t) => {
  const cluster = await startTestCluster(t);
  const config = { relayInFlightMax: 0 };
  const api = cluster.api(
    await cluster.start('alert-api', { config: { ...config, outboxSweepIntervalMs: 3_600_000 } }),
  );
  await loadDirectory(api);
  await create(api, 1);
  let refusals = 0;
  const fault: PublishFault = async (records, publish) => {
    if (records[0]?.topic === 'alert-created-topic' && refusals < 2) {
      refusals += 1;
      throw TOO_LARGE;
    }
    await publish(records);
  };
  await cluster.start('alert-api', { fault, config });
  await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM outbox')).length === 0, {
    what: 'an empty outbox',
  });
  assert.equal(refusals, 2);
  assert.deepEqual(await cluster.store.sql('SELECT 1 FROM dead_letters'), []);
});

test('an alert of a newer release goes out as OTHER; one that cannot be encoded is delivered by reconcile all the same', async (t) => {
  const cluster = await startTestCluster(t);
  const config = { relayInFlightMax: 0, outboxSweepIntervalMs: 3_600_000 };
  const api = cluster.api(await cluster.start('alert-api', { config }));
  await loadDirectory(api);
  await startOthers(cluster, 'alert-api');
  const alertIds = await create(api, 3);
  const [, second, third] = alertIds as [number, number, number];
  await cluster.store.sql(`UPDATE alerts SET kind = 'PAGERDUTY' WHERE alert_id = ${second}`);
  // A number that Avro's long does not take from JavaScript.
  await cluster.store.sql(`UPDATE alerts SET directory_version = 9007199254740992 WHERE alert_id = ${third}`);
  const sweeper = await cluster.start('alert-api', { config: { relayInFlightMax: 0 } });
  await untilInboxes(api, alertIds);
  const records = await cluster.read('alert-created-topic', 2);
  const { events } = await sweeper.runtime.publishing(AbortSignal.timeout(5000));
  const kinds = new Map(
    records
      .map(({ value }) => events.alertCreated.decodeKnown(value)!)
      .map((event) => [event.alertId, event.alertKind]),
  );
  assert.equal(kinds.get(second), 'OTHER');
  assert.equal(kinds.has(third), false);
  assert.match(await (await fetch(`http://${sweeper.http}/metrics`)).text(), /dead_letters_total\{.*unencodable.*\} 1/);
  // It is in every inbox, so that it could not be published matters no more.
  await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM dead_letters')).length === 0, {
    what: 'no dead letter',
  });
  assert.ok((await api.call('GetAlert', { alertId: third })).progress!.completedAt !== null);
});

test('a partition that lags holds up the repair of no other one', async (t) => {
  const cluster = await startTestCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  // Two users of different partitions: of the first one's nothing is read, and the second one's events are lost.
  const names = Array.from({ length: 20 }, (_, index) => `user${index}`);
  const behind = names[0]!;
  const partition = partitionOfKey(behind, 4);
  const lost = names.find((name) => partitionOfKey(name, 4) !== partition)!;
  await loadDirectory(api, [user(behind, 'OPERATION'), user(lost, 'OPERATION')]);
  const published: string[] = [];
  let isLost = true;
  await cluster.start('fanout', {
    fault: async (records, publish) => {
      if (records[0]?.topic !== 'user-alert-topic') return publish(records);
      published.push(...records.map(({ key }) => key as string));
      await publish(records.filter(({ key }) => key !== lost || !isLost));
      isLost = false;
    },
  });
  // In place of delivery: a member of its group that commits all partitions but that one.
  const { backends, config } = cluster;
  const options = { clientId: 'test-delivery', groupId: config.consumerGroup };
  const topic = 'user-alert-topic';
  const consumer = await Consumer.subscribe(backends.brokers, config, silentLogger(), [topic], options);
  defer(t, () => consumer.close());
  await create(api, 1);
  await untilTrue(
    async () => {
      const read = await consumer.poll(100, 100);
      const passed = read.filter((record) => record.partition !== partition);
      consumer.commit(
        passed.map((record) => ({ ...record, topic, offset: record.offset + 1 })),
        consumer.generation,
      );
      return published.filter((name) => name === lost).length >= 2;
    },
    { timeoutMs: 60_000, what: `${lost} is sent again` },
  );
  assert.equal(published.filter((name) => name === behind).length, 1);
});
