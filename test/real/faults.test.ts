import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createTopics, removeData, type Kafka, type Postgres, type Registry } from '#stack';
import type { AlertClient } from '../../services/client/client.js';
import {
  alertFor,
  DOWNLOADS,
  environmentFor,
  Expected,
  Follower,
  Load,
  loadDirectory,
  people,
  Roles,
  serviceClient,
  stackFolder,
  startBroker,
  startStack,
  until,
  untilShared,
  whySkip,
  type RoleProcess,
} from './support.js';

// What is killed here is killed in the middle of its work: alerts are created all the time, and each is repeated with its
// request id until it was acknowledged. What was acknowledged must be there, once, whatever happened (I1, I3, I4).
describe('faults on the real stack', { skip: whySkip() }, () => {
  const folder = stackFolder();
  let postgres: Postgres;
  let kafka: Kafka;
  let registry: Registry;
  let database: pg.Pool;
  let roles: Roles;
  let client: AlertClient;
  const at: Record<'alertApi' | 'fanout' | 'gateway', RoleProcess> = {} as never;
  /** The group's members. */
  let deliveries: RoleProcess[] = [];
  const everything: Expected[] = [];

  before(async () => {
    ({ postgres, kafka, registry } = await startStack(folder.path));
    database = new pg.Pool({ connectionString: postgres.url, max: 2 });
    roles = new Roles({
      ...environmentFor({ postgres: postgres.url, kafka: kafka.bootstrap, registry: registry.url }),
      OUTBOX_SWEEP_AFTER_MS: '1000',
      RECONCILE_INTERVAL_MS: '1000',
      RECONCILE_GRACE_MS: '1000',
      STREAM_HEAL_INTERVAL_MS: '1000',
      KAFKA_CONSUMER_STALL_MS: '5000',
    });
    at.alertApi = roles.start('alert-api');
    at.fanout = roles.start('fanout');
    at.gateway = roles.start('stream-gateway');
    deliveries = [roles.start('delivery'), roles.start('delivery')];
    await Promise.all([...Object.values(at), ...deliveries].map((role) => role.ready()));
    await untilShared(deliveries, 'user-alert-topic', 10);
    client = await serviceClient(at.alertApi, at.gateway);
  });

  after(async () => {
    try {
      client?.close();
      await roles?.stop();
    } finally {
      await database?.end();
      await Promise.all([postgres, kafka, registry].map((daemon) => daemon?.stop()));
      folder.remove();
    }
  });

  /** Six people with open streams, and callers that create alerts for them. */
  async function begin(t: TestContext, name: string) {
    const team = people(name, 6, 'FAULTS');
    await loadDirectory(client, team);
    const expected = new Expected(team);
    everything.push(expected);
    const followers = team.map(({ userId }) => new Follower(client, userId));
    t.after(() => Promise.all(followers.map((follower) => follower.close())));
    await Promise.all(followers.map((follower) => follower.live()));
    const load = new Load(client, expected, name);
    t.after(() => load.stop());
    await load.more(20);
    return { expected, followers, load };
  }

  async function end(t: TestContext, { expected, followers, load }: Awaited<ReturnType<typeof begin>>) {
    await load.stop();
    await expected.arrived(client);
    await expected.checkInboxes(client);
    for (const follower of followers) {
      const wanted = expected.of(follower.userId);
      await follower.seen(wanted.length);
      follower.check(wanted);
    }
    t.diagnostic(`${load.acknowledged} alerts were acknowledged, ${load.repeats} calls were repeated`);
  }

  /** Kafka stops and comes back empty, with new topics, while alerts are created. */
  async function wipeKafka(load: Load): Promise<void> {
    await kafka.stop();
    await removeData(folder.path, 'kafka');
    await load.more(20, 10_000);
    kafka = await startBroker(folder.path, kafka);
    await createTopics({ bootstrap: kafka.bootstrap, downloads: DOWNLOADS });
  }

  it('loses and doubles nothing while delivery is stopped, killed and joined', async (t) => {
    const running = await begin(t, 'rebalance');
    const [first, second] = deliveries as [RoleProcess, RoleProcess];
    const third = roles.start('delivery');
    assert.equal(await first.stop(), 0);
    await running.load.more(20);
    await third.ready();
    await untilShared([second, third], 'user-alert-topic', 10);
    await running.load.more(20);
    await second.kill();
    deliveries = [third];
    await running.load.more(20);
    await untilShared([third], 'user-alert-topic', 10);
    await end(t, running);
  });

  it('loses and doubles nothing when each role is killed at a random moment and started again', async (t) => {
    const running = await begin(t, 'killed');
    const random = (from: number, to: number) => from + Math.random() * (to - from);
    const order = (['alertApi', 'fanout', 'delivery', 'gateway'] as const)
      .map((name) => ({ name, afterMs: Math.round(random(50, 600)), awayMs: Math.round(random(0, 300)) }))
      .sort(() => Math.random() - 0.5);
    t.diagnostic(
      `killed: ${order.map(({ name, afterMs, awayMs }) => `${name} after ${afterMs} ms for ${awayMs}`).join(', ')}`,
    );
    for (const { name, afterMs, awayMs } of order) {
      await sleep(afterMs);
      const role = name === 'delivery' ? deliveries[0]! : at[name];
      await role.kill();
      await sleep(awayMs);
      const next = await roles.again(role);
      if (name === 'delivery') deliveries = [next];
      else at[name] = next;
    }
    await Promise.all([...Object.values(at), ...deliveries].map((role) => role.ready()));
    await running.load.more(40);
    await end(t, running);
    assert.ok(running.load.repeats > 0, 'no caller noticed that alert-api was killed');
    for (const { userId, losses } of running.followers) assert.ok(losses > 0, `${userId} never lost its stream`);
  });

  it('takes alerts while Kafka is stopped, and brings them when it is back', async (t) => {
    const running = await begin(t, 'stopped');
    await kafka.stop();
    // Well below the producer's time-outs: nobody waited for Kafka.
    await running.load.more(100, 10_000);
    kafka = await startBroker(folder.path, kafka);
    await end(t, running);
    assert.equal(running.load.repeats, 0, 'CreateAlert was refused');
    assert.ok(running.followers.every(({ losses }) => losses === 0));
  });

  it('takes alerts while Kafka is killed, and brings them when it is back', async (t) => {
    const running = await begin(t, 'crashed');
    await kafka.kill();
    await running.load.more(100, 10_000);
    kafka = await startBroker(folder.path, kafka);
    await end(t, running);
    assert.equal(running.load.repeats, 0, 'CreateAlert was refused');
  });

  it('brings every alert although Kafka has lost all that was in it', async (t) => {
    const running = await begin(t, 'wiped');
    // With delivery away, alerts are in Kafka and out of the outbox, and nowhere else on their way.
    for (const delivery of deliveries) await delivery.stop();
    const lost = people('wiped-lost', 5, 'FAULTS');
    await loadDirectory(client, lost);
    const onlyInKafka = new Expected(lost);
    everything.push(onlyInKafka);
    for (let count = 0; count < 20; count += 1) {
      const recipients = onlyInKafka.users.slice(count % 5);
      const { alert } = await client.createAlert(alertFor(recipients, `lost ${count}`));
      onlyInKafka.add(alert!.alertId, recipients);
    }
    await until('they were fanned out and left the outbox', async () => {
      const { rows } = await database.query<{ left: number }>(
        `SELECT count(*)::int AS left FROM alert_progress p
         WHERE alert_id = ANY($1) AND (fanned_out_at IS NULL OR EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id = p.alert_id))`,
        [onlyInKafka.of('wiped-lost-5')],
      );
      return rows[0]!.left === 0;
    });
    await wipeKafka(running.load);
    // Nobody restarts the roles: their clients notice by themselves that what they hold is of another cluster.
    deliveries = [await roles.again(deliveries[0]!)];
    await Promise.all([...Object.values(at), ...deliveries].map((role) => role.ready()));
    await running.load.stop();
    // A first look at an alert that is incomplete is followed by one 10 s later, then 20 s later.
    await onlyInKafka.arrived(client, 90_000);
    await onlyInKafka.checkInboxes(client);
    await end(t, running);
  });

  it('finds all of it unchanged in the end', async () => {
    for (const expected of everything) await expected.checkInboxes(client);
  });
});
