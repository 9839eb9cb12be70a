import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import pg from 'pg';
import type { Kafka, Postgres, Registry } from '#stack';
import type { AlertClient } from '../../services/client/client.js';
import { loadConfig } from '../../services/lib/config/load.js';
import { consumerSettings } from '../../services/lib/kafka/client-config.js';
import { Consumer } from '../../services/lib/kafka/consumer.js';
import { NativeConsumer, type NativeListeners } from '../../services/lib/kafka/native-consumer.js';
import { silentLogger } from '../../services/lib/logging.js';
import {
  alertFor,
  environmentFor,
  loadDirectory,
  membersOf,
  people,
  readTopic,
  Roles,
  serviceClient,
  sorted,
  stackFolder,
  startBroker,
  startStack,
  until,
  untilShared,
  whySkip,
  type RoleProcess,
} from './support.js';

const OUTBOX_MAX = 3000;
const SWEEP_MS = 200;
const BATCH = 100;
/** As large as an alert with a stack trace: the backlog takes some seconds to publish. */
const MESSAGE = 'x'.repeat(8000);

describe('Kafka away', { skip: whySkip() }, () => {
  const folder = stackFolder();
  const team = people('away', 2, 'AWAY');
  let postgres: Postgres;
  let kafka: Kafka;
  let registry: Registry;
  let database: pg.Pool;
  let roles: Roles;
  let alertApi: RoleProcess;
  let client: AlertClient;
  /** The alerts that were taken while Kafka was away, and by which call. */
  const old = new Map<number, number>();
  let calls = 0;

  before(async () => {
    ({ postgres, kafka, registry } = await startStack(folder.path));
    database = new pg.Pool({ connectionString: postgres.url, max: 1 });
    roles = new Roles({
      ...environmentFor({ postgres: postgres.url, kafka: kafka.bootstrap, registry: registry.url }),
      OUTBOX_MAX: String(OUTBOX_MAX),
      // Nearly all of the backlog is the sweeper's.
      RELAY_IN_FLIGHT_MAX: '100',
      OUTBOX_SWEEP_INTERVAL_MS: String(SWEEP_MS),
      OUTBOX_SWEEP_AFTER_MS: '0',
    });
    alertApi = await roles.start('alert-api').ready();
    client = await serviceClient(alertApi);
    await loadDirectory(client, team);
  });

  after(async () => {
    try {
      client?.close();
      await database?.end();
      await roles?.stop();
    } finally {
      await Promise.all([kafka, registry, postgres].map((daemon) => daemon?.stop()));
      folder.remove();
    }
  });

  const request = (title: string) => alertFor([team[0]!.userId], title, { message: MESSAGE });
  const unpublished = async () =>
    (await database.query<{ n: string }>('SELECT count(*) AS n FROM outbox')).rows.map(({ n }) => Number(n))[0]!;

  it('leaves CreateAlert going, up to OUTBOX_MAX alerts; then UNAVAILABLE with RetryInfo', async () => {
    await until('Kafka is used', async () => (await alertApi.readiness()).checks['kafka']?.ok === true);
    await kafka.stop();
    for (let refused = false; !refused;) {
      const { results } = await client.batchCreateAlerts({
        requests: Array.from({ length: BATCH }, (_, index) => request(`old ${old.size + index}`)),
      });
      for (const { response, error } of results) {
        if (response?.alert) old.set(response.alert.alertId, calls);
        else assert.equal(error?.reason, 'OUTBOX_FULL');
      }
      calls += 1;
      refused = results.some(({ response }) => !response?.alert);
      assert.ok(old.size < 3 * OUTBOX_MAX, `${old.size} alerts were taken, with a bound of ${OUTBOX_MAX}`);
    }
    assert.ok(old.size >= OUTBOX_MAX, `refused at ${old.size}`);
    await assert.rejects(client.createAlert(request('one more'), { attempts: 1 }), (error: object) => {
      const { code, reason, retryAfterMs } = error as Record<string, unknown>;
      assert.deepEqual({ code, reason }, { code: 'UNAVAILABLE', reason: 'OUTBOX_FULL' });
      assert.ok(Number(retryAfterMs) > 0, 'there is no RetryInfo');
      return true;
    });
    assert.equal(await unpublished(), old.size);
    assert.ok(alertApi.line(/outbox is full/), 'the log does not say that the outbox is full');
  });

  it('is caught up with in order of age when Kafka is back, and new alerts are taken meanwhile', async (t) => {
    kafka = await startBroker(folder.path, kafka);
    const fresh: number[] = [];
    while ((await unpublished()) > 0) {
      // One that is refused for now is not counted; nobody waits for it.
      const creating = client.createAlert(request(`new ${fresh.length}`), { attempts: 1 });
      const alertId = await creating.then(
        ({ alert }) => alert!.alertId,
        (error: { reason?: string }) => {
          assert.equal(error.reason, 'OUTBOX_FULL');
          return undefined;
        },
      );
      if (alertId !== undefined) fresh.push(alertId);
    }
    assert.ok(alertApi.line(/has room again/), 'the log does not say that the outbox has room');
    const { partitions, records } = await readTopic(kafka.bootstrap, 'alert-created-topic');
    const ids = records.map(({ key }) => Number(key.toString()));
    assert.deepEqual(sorted([...new Set(ids)]), sorted([...old.keys(), ...fresh]));
    let overtaken = 0;
    for (let partition = 0; partition < partitions; partition += 1) {
      const inOrder = records
        .filter((record) => record.partition === partition)
        .sort((a, b) => a.offset - b.offset)
        .map(({ key }) => Number(key.toString()));
      // The alerts of one call are stored by several statements at once, so that they have no order among each other.
      const ages = inOrder.flatMap((alertId) => old.get(alertId) ?? []);
      assert.deepEqual(ages, sorted(ages), `the order of age in partition ${partition}`);
      const firstNew = inOrder.findIndex((alertId) => !old.has(alertId));
      if (firstNew >= 0) overtaken += inOrder.slice(firstNew).filter((alertId) => old.has(alertId)).length;
    }
    // None at all, where the machine has swept everything before it sees that there is room.
    t.diagnostic(`new alerts arrived before ${overtaken} of ${old.size} old ones`);
  });

  it('gives members their own partitions again after their sessions, and those of one that died later', async () => {
    // Long enough for the living to come back before the session of the dead one ends, which begins with Kafka.
    const session = { KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '12000' };
    const [dies, lives] = [roles.start('fanout', session), roles.start('fanout', session)];
    await untilShared([dies, lives], 'alert-created-topic', 3);
    const own = lives.partitions.sort();
    const assignments = () => lives.lines.filter(({ msg }) => msg === 'partitions assigned');
    const before = assignments().length;
    await kafka.kill();
    await dies.kill();
    await until('the session is over', () => lives.line(/partitions revoked/) && lives.partitions.length === 0);
    kafka = await startBroker(folder.path, kafka);
    await until('the partitions of the dead', () => lives.partitions.length === 3);
    const [first, ...others] = assignments()
      .slice(before)
      .map(({ partitions }) => String(partitions).split(' ').sort());
    assert.deepEqual(first, own, 'what it was given first');
    assert.ok(others.length > 0, 'the dead one was not waited for');
    await lives.stop();
  });

  it('replaces a member whose place in its group was taken', async () => {
    const config = loadConfig({
      KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '6000',
      KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: '1000',
    });
    const brokers = { bootstrapServers: kafka.bootstrap, inProcess: false };
    const options = { clientId: 'fenced', groupId: `fenced-${randomUUID()}` };
    const topic = 'alert-created-topic';
    const consumer = await Consumer.subscribe(brokers, config, silentLogger(), [topic], options);
    const untilPolled = (what: string, condition: () => boolean) =>
      until(what, () => consumer.poll(10, 100).then(condition), 20_000);
    const settings = consumerSettings(brokers, config, 'other', options.groupId);
    let other: NativeConsumer | undefined;
    // What says so once is lost if records came before it: the statistics say it again, every 5 s.
    const prototype = RdKafka.KafkaConsumer.prototype as unknown as { consume: (...given: unknown[]) => void };
    const { consume } = prototype;
    prototype.consume = function (max, done) {
      consume.call(this, max, (error: unknown, records: unknown) =>
        (done as (...given: unknown[]) => void)(null, error ? [] : records),
      );
    };
    try {
      await untilPolled('it has joined', () => consumer.assignment.length > 0);
      const [name] = await membersOf(kafka.bootstrap, options.groupId);
      const listeners: NativeListeners = {
        onArrival: () => undefined,
        onRebalance: () => other!.unassign(),
        onStatistics: () => undefined,
        onFatal: () => undefined,
      };
      other = new NativeConsumer({ ...settings, 'group.instance.id': name! }, listeners, silentLogger());
      await other.open(10_000, kafka.bootstrap);
      other.subscribe([topic]);
      await untilPolled('it is replaced', () => consumer.replaced === 1);
      await untilPolled('it has its place again', () => consumer.assignment.length === 3);
      assert.equal(consumer.replaced, 1);
    } finally {
      prototype.consume = consume;
      await Promise.all([consumer.close(), other?.close()]);
    }
  });

  it('has a member leave its group when it ends', async () => {
    const [ends, stays] = [roles.start('fanout'), roles.start('fanout')];
    await untilShared([ends, stays], 'alert-created-topic', 3);
    const group = String(stays.line('partitions assigned')!['group']);
    const names = await membersOf(kafka.bootstrap, group);
    assert.equal(new Set(names).size, 2);
    await ends.stop();
    const left = await membersOf(kafka.bootstrap, group);
    assert.equal(left.length, 1, 'it is a member until its session ends');
    assert.ok(names.includes(left[0]));
    await stays.stop();
  });
});
