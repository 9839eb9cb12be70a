import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { createTopics } from '#stack';
import { main } from '../../services/cli/cli.js';
import type { AlertClient } from '../../services/client/client.js';
import { openEvents } from '../../services/events/events.js';
import { loadConfig } from '../../services/lib/config/load.js';
import { Producer } from '../../services/lib/kafka/producer.js';
import { silentLogger } from '../../services/lib/logging.js';
import { Database } from '../../services/lib/postgres.js';
import { RegistryClient } from '../../services/lib/registry/client.js';
import { alertFor, inboxOf, loadDirectory, people, serviceClient } from '../support/people.js';
import type { Environment } from '../support/role-process.js';
import { DOWNLOADS, Stack, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';
import { fakeContext } from '../unit/cli/fake-context.js';

const TOPIC = 'user-alert-topic';

describe('dead letters on the real stack', { skip: whySkip() }, () => {
  let stack: Stack;
  let environment: Environment;
  let client: AlertClient;
  let producer: Producer;

  before(async () => {
    stack = await Stack.start();
    const { bootstrap } = stack.kafka;
    environment = stack.environment;
    await createTopics({ bootstrap, downloads: DOWNLOADS });
    const roles = stack.roles();
    const alertApi = roles.start('alert-api');
    await Promise.all([alertApi, roles.start('fanout'), roles.start('delivery')].map((role) => role.ready()));
    client = await serviceClient(alertApi);
    const brokers = { bootstrapServers: bootstrap, inProcess: false };
    producer = await Producer.connect(brokers, loadConfig(environment), silentLogger(), { clientId: 'test' });
  });

  after(async () => {
    client?.close();
    await producer?.close();
    await stack?.stop();
  });

  /** Runs `ssom-alert dlq …`; returns its exit code and what it printed. */
  async function dlq(...args: string[]) {
    const context = fakeContext({ environment: { ...environment } });
    const code = await main(['dlq', ...args], context);
    return { code, out: context.out(), err: context.err(), lines: context.out().split('\n').filter(Boolean) };
  }

  it('are listed, shown, redriven once their cause is mended, and purged', async () => {
    const team = people('letters', 4, 'LETTERS');
    await loadDirectory(client, team);
    const alerts = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        client.createAlert(
          alertFor(
            team.map(({ userId }) => userId),
            `before ${index}`,
          ),
        ),
      ),
    );
    const config = loadConfig(environment);
    const registry = new RegistryClient({ url: config.schemaRegistryUrl, username: '', password: '' }, silentLogger());
    const { userAlert } = await openEvents(config, registry);
    const [first] = alerts;
    const alertId = first!.alert!.alertId;
    // What no consumer can handle: bytes that are no Avro, a schema that nobody registered, a user and an alert that do
    // not exist.
    const unknownSchema = Buffer.from(userAlert.encode({ alertId, userId: 'letters-1', epoch: 0 }));
    unknownSchema.writeUInt32BE(987_654, 1);
    await producer.publish([
      { topic: TOPIC, key: 'garbage', value: Buffer.from([0, 0, 0, 0]), headers: [{ own: Buffer.from([1, 255]) }] },
      { topic: TOPIC, key: 'unknown-schema', value: unknownSchema },
      { topic: TOPIC, key: 'newcomer', value: userAlert.encode({ alertId, userId: 'newcomer', epoch: 0 }) },
      {
        topic: TOPIC,
        key: 'letters-1',
        value: userAlert.encode({ alertId: 999_999_999, userId: 'letters-1', epoch: 0 }),
      },
    ]);
    await client.createAlert(
      alertFor(
        team.map(({ userId }) => userId),
        'behind them',
      ),
    );
    await until('all alerts are in all inboxes', async () => {
      const inboxes = await Promise.all(team.map(({ userId }) => inboxOf(client, userId)));
      return inboxes.every(({ length }) => length === 21);
    });
    await until('four dead letters', async () => (await dlq('list', '--json')).lines.length === 4);

    const listed = await dlq('list');
    assert.equal(listed.code, 0);
    assert.match(listed.out, /poison, 1 attempt {2}newcomer {2}.*user newcomer does not exist/);
    assert.match(listed.out, /unknown-schema .*no schema 987654/);
    assert.equal((await dlq('list', '--key', 'newcomer')).lines.length, 1);
    assert.equal((await dlq('list', '--reason', 'does not exist', '--limit', '1')).lines.length, 1);
    assert.equal((await dlq('list', '--until', '1h')).lines.length, 0);
    assert.equal((await dlq('list', '--topic', 'alert-created-topic')).lines.length, 0);

    const [garbage] = (await dlq('list', '--key', 'garbage', '--json')).lines.map(
      (line) => JSON.parse(line) as { name: string },
    );
    const shown = await dlq('show', garbage!.name);
    assert.match(shown.out, /key: garbage/);
    assert.match(shown.out, /dlq-group: ssom-alert-consumer-dev/);
    assert.match(shown.out, /000000 {2}00 00 00 00 /);
    assert.equal((await dlq('show', `${TOPIC}-0@123456`)).code, 1);

    // The cause is mended: the newcomer comes.
    await loadDirectory(client, [
      ...team,
      ...people('newcomer', 1, 'LETTERS').map((each) => ({ ...each, userId: 'newcomer' })),
    ]);
    const dry = await dlq('redrive', '--reason', 'does not exist');
    assert.match(dry.err, /2 dead letters would be sent back to their topics; add --yes/);
    assert.equal((await dlq('list')).lines.length, 4);
    assert.match((await dlq('redrive', '--reason', 'does not exist', '--yes')).err, /2 dead letters sent back/);
    await until('the newcomer has the alert', async () => (await inboxOf(client, 'newcomer')).length === 1);
    // The other one fails again, and says how often.
    await until('it is back', async () => /redriven 1x {2}letters-1/.test((await dlq('list')).out));
    assert.equal((await dlq('list')).lines.length, 3);

    assert.match((await dlq('purge', '--yes')).err, /3 dead letters taken off the list/);
    assert.equal((await dlq('list')).lines.length, 0);
    assert.equal((await dlq('list', '--all')).lines.length, 5);
  });

  it('wait in PostgreSQL while their topic is not there, and hold up nobody', async () => {
    const team = people('waiters', 4, 'WAITERS');
    const names = team.map(({ userId }) => userId);
    await loadDirectory(client, team);
    await deleteTopic(environment['KAFKA_BOOTSTRAP_SERVERS']!, `${TOPIC}-dlq`);
    const keys = ['bad-1', 'bad-2', 'bad-3', 'bad-4', 'bad-5', 'bad-6', 'bad-7', 'bad-8'];
    await producer.publish(keys.map((key) => ({ topic: TOPIC, key, value: Buffer.from('rubbish') })));
    await Promise.all(keys.map((key) => client.createAlert(alertFor(names, key))));
    await until('all alerts are in all inboxes', async () => {
      const inboxes = await Promise.all(names.map((name) => inboxOf(client, name)));
      return inboxes.every(({ length }) => length === keys.length);
    });
    const waiting = async () => (await dlq('list')).lines.filter((line) => /waits in Post/.test(line));
    const listed = await dlq('list');
    assert.match(listed.out, /waits in PostgreSQL {2}bad-1 {2}/);
    assert.match(listed.err, /the topic user-alert-topic-dlq does not exist/);
    await createTopics({ bootstrap: environment['KAFKA_BOOTSTRAP_SERVERS']!, downloads: DOWNLOADS });
    await until('they are in their topic', async () => (await waiting()).length === 0);
    for (const key of keys) assert.equal((await dlq('list', '--key', key)).lines.length, 1, key);
    assert.match((await dlq('purge', '--yes')).err, /8 dead letters taken off the list/);
  });

  it('one of them is an alert beyond max.message.bytes; the others go out at most once more', async () => {
    const topic = 'alert-created-topic';
    const bootstrap = environment['KAFKA_BOOTSTRAP_SERVERS']!;
    const team = people('large', 2, 'LARGE');
    const names = team.map(({ userId }) => userId);
    await loadDirectory(client, team);
    await deleteTopic(bootstrap, topic);
    const small = { name: topic, partitions: 3, config: { 'max.message.bytes': 3000 } };
    await createTopics({ bootstrap, downloads: DOWNLOADS, topics: [small] });
    // Of bytes that lz4 cannot make fewer.
    const noise = randomBytes(6000).toString('base64');
    const texts = Array.from({ length: 120 }, (_, index) => (index === 60 ? noise : `${index}`));
    const requests = texts.map((message, index) => alertFor(names, `large ${index}`, { message }));
    const { results } = await client.batchCreateAlerts({ requests });
    const large = results[60]!.response!.alert!.alertId;
    await until(
      'the letter',
      async () => (await dlq('list', '--topic', topic, '--key', `${large}`)).lines.length === 1,
    );
    // Clients notice that a topic was recreated, and are replaced, within a minute.
    const arrive = async () => {
      const inboxes = await Promise.all(names.map((name) => inboxOf(client, name)));
      return inboxes.every(({ length }) => length >= 119);
    };
    await until('the others are in the inboxes', arrive, 120_000);
    assert.match((await dlq('show', `${topic}--1@${large}`)).out, /Message size too large/);
    assert.deepEqual(await outbox(), []);
    const { progress } = await client.getAlert({ alertId: large });
    assert.equal(progress!.deadLettered || progress!.delivered === 2, true);
  });

  /** Alerts that wait to be published. */
  async function outbox() {
    const database = new Database(environment['DATABASE_URL']!, loadConfig(environment), silentLogger());
    try {
      return (await database.query({ text: 'SELECT alert_id FROM outbox' })).rows;
    } finally {
      await database.close();
    }
  }

  it('need a Kafka and a database that are named; wrong arguments are refused', async () => {
    const context = fakeContext({ environment: {} });
    assert.equal(await main(['dlq', 'list'], context), 1);
    assert.match(context.err(), /without DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS/);
    assert.equal((await dlq('list', '--since', 'yesterday')).code, 2);
    assert.equal((await dlq('show', 'nonsense')).code, 2);
    assert.equal((await dlq('list', '--topic', 'no-such-topic')).code, 1);
  });
});

async function deleteTopic(bootstrap: string, topic: string): Promise<void> {
  const admin = RdKafka.AdminClient.create({ 'bootstrap.servers': bootstrap, 'client.id': 'test' });
  try {
    await new Promise<void>((resolve, reject) => {
      admin.deleteTopic(topic, 10_000, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(new Error(`${topic} could not be deleted: ${error.message}`));
      });
    });
  } finally {
    admin.disconnect();
  }
}
