import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { connectApi, type TestApi } from '../support/api.js';
import { defer } from '../support/defer.js';
import { alertFor, loadDirectory, people, serviceClient } from '../support/people.js';
import type { RoleProcess } from '../support/role-process.js';
import { Stack, startBroker, whySkip } from '../support/stack.js';
import { assertFoldEqualsInbox, type CollectedStream, collectStream, Folded } from '../support/stream.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until-true.js';

const TEAM = people('held', 3, 'GATEWAYS');
const NAMES = TEAM.map(({ userId }) => userId);
const TOPICS = { 'inbox-change-topic': 10, 'alert-created-topic': 3 };
/** For consumers that must find their brokers again. */
const PATIENCE_MS = 60_000;

/** Retention, in a moment: everything that is in the gateways' topics goes. */
async function deleteRecords(bootstrap: string): Promise<void> {
  const admin = RdKafka.AdminClient.create({ 'bootstrap.servers': bootstrap });
  const all = Object.entries(TOPICS).flatMap(([topic, partitions]) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: -1 })),
  );
  try {
    await new Promise<void>((resolve, reject) => {
      admin.deleteRecords(all, {}, (error) => (error ? reject(new Error(error.message)) : resolve()));
    });
  } finally {
    admin.disconnect();
  }
}

/** A stream that is held by nothing but its connection: nobody gives it up while its gateway is silent. */
const open = (t: TestContext, gateway: TestApi, user: string) =>
  collectStream(t, gateway, { user }, { start: 'STREAM_START_BEGINNING' }, new Folded()).untilLive(PATIENCE_MS);

// One gateway is healthy, another has its troubles. Neither may ever show a gap.
test('gateways in trouble', { skip: whySkip() }, async (t) => {
  const stack = await Stack.start();
  defer(t, () => stack.stop());
  const toPostgres = await TcpProxy.listen(stack.postgres.port);
  defer(t, () => toPostgres.close());
  const around = new URL(stack.postgres.url);
  around.port = String(toPostgres.port);
  const roles = stack.roles();

  const startGateway = (environment: Record<string, string>) => roles.start('stream-gateway', environment).ready();
  const connect = async (to: TestContext, role: RoleProcess) => connectApi(to, (await role.listening()).grpc);
  const [alertApi, ...others] = ['alert-api', 'fanout', 'delivery'].map((role) => roles.start(role));
  const [healthy, troubled] = await Promise.all([
    startGateway({ STREAM_HEAL_INTERVAL_MS: '1000' }),
    // It does not compare with PostgreSQL: what it missed it must notice by what Kafka brings next.
    startGateway({ STREAM_HEAL_INTERVAL_MS: '600000', DATABASE_URL: around.href }),
  ]);
  await Promise.all([alertApi!, ...others].map((role) => role.ready()));
  const service = await serviceClient(alertApi!);
  defer(t, () => service.close());
  await loadDirectory(service, TEAM);
  const api = await connect(t, alertApi!);
  const openAll = async (to: TestContext, role: RoleProcess) => {
    const gateway = await connect(to, role);
    return Promise.all(NAMES.map((user) => open(to, gateway, user)));
  };
  const onHealthy = await openAll(t, healthy);
  const onTroubled = await openAll(t, troubled);

  let made = 0;
  const create = async () => {
    const { alert } = await service.createAlert(alertFor(NAMES, `alert ${(made += 1)}`), { attempts: 20 });
    return alert!.alertId;
  };
  /** Alerts for everybody, all read, and the first deleted. */
  const change = async (count: number): Promise<number[]> => {
    const ids: number[] = [];
    while (ids.length < count) ids.push(await create());
    for (const userId of NAMES) {
      let read = 0;
      await until(`${userId} has them`, async () => {
        read += (await service.markRead({ userId, alertIds: ids })).changed;
        return read === count;
      });
      await service.deleteFromInbox({ userId, alertIds: ids.slice(0, 1) });
    }
    return ids;
  };
  /** A new alert comes to all of these, and with it whatever they had missed. */
  const caughtUp = async (streams: readonly CollectedStream[]) => {
    const alertId = await create();
    for (const stream of streams) await stream.untilAlerts([alertId], PATIENCE_MS);
    for (const [index, { folded }] of streams.entries())
      await assertFoldEqualsInbox(api, NAMES[index % NAMES.length]!, folded);
  };

  await t.test('retention runs out while a gateway is frozen: what is gone is read from PostgreSQL', async () => {
    await caughtUp([...onHealthy, ...onTroubled]);
    troubled.signal('SIGSTOP');
    try {
      await change(20);
      await caughtUp(onHealthy);
      await deleteRecords(stack.kafka.bootstrap);
    } finally {
      troubled.signal('SIGCONT');
    }
    await caughtUp([...onTroubled, ...onHealthy]);
    assert.ok((await troubled.metric('ssom_stream_gaps_total')) > 0, 'no number was missing');
  });

  await t.test(
    'a gateway that starts when the records are gone serves whole inboxes, and what comes next',
    async (each) => {
      await deleteRecords(stack.kafka.bootstrap);
      await caughtUp(await openAll(each, await startGateway({ STREAM_HEAL_INTERVAL_MS: '600000' })));
    },
  );

  await t.test('a gateway without its database says so to new clients, and its streams miss nothing', async (each) => {
    const gateway = await connect(each, troubled);
    toPostgres.cut();
    try {
      await change(10);
      const error = await collectStream(each, gateway, { user: NAMES[0]! }).untilRefused(PATIENCE_MS);
      assert.deepEqual([error.code, error.reason], ['UNAVAILABLE', 'DATABASE_UNAVAILABLE']);
      assert.ok(error.details.retryAfterMs! > 0);
      await caughtUp(onHealthy);
    } finally {
      toPostgres.heal();
    }
    await troubled.ready();
    await caughtUp([...onTroubled, ...onHealthy]);
    await open(each, gateway, NAMES[0]!);
  });

  await t.test(
    'without Kafka what is read shows by comparing; when it is back, everything does everywhere',
    async () => {
      const [, read] = await change(2);
      await caughtUp([...onTroubled, ...onHealthy]);
      await stack.kafka.stop();
      for (const [index, userId] of NAMES.entries()) {
        await service.markUnread({ userId, alertIds: [read!] });
        const stream = onHealthy[index]!;
        await stream.until(() => stream.folded.rows.get(read!)?.isRead === false, 'it is unread', PATIENCE_MS);
      }
      stack.kafka = await startBroker(stack.dir, stack.kafka);
      await caughtUp([...onTroubled, ...onHealthy]);
    },
  );
});
