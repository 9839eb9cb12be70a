import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { createAuthority, createTopics, type Kafka, startKafka } from '#stack';
import type { AlertClient } from '../../services/client/client.js';
import { type Operation, type Principal, PRINCIPALS, type Right, rightsOf } from '../../services/events/rights.js';
import { type Config, loadConfig } from '../../services/lib/config/load.js';
import { adminSettings, type Brokers } from '../../services/lib/kafka/client-config.js';
import { Consumer } from '../../services/lib/kafka/consumer.js';
import { Producer } from '../../services/lib/kafka/producer.js';
import { silentLogger } from '../../services/lib/logging.js';
import { ROOT } from '../../services/lib/root.js';
import { grant } from '../support/kafka-acls.js';
import { alertFor, inboxOf, loadDirectory, serviceClient } from '../support/people.js';
import { cleanEnvironment, type Environment, type RoleProcess } from '../support/role-process.js';
import { DOWNLOADS, privateStart, Stack, whySkip } from '../support/stack.js';
import { patience, until } from '../support/until-true.js';

const run = promisify(execFile);
const TOPICS = ['alert-created-topic', 'user-alert-topic', 'inbox-change-topic'].flatMap((name) => [
  name,
  `${name}-dlq`,
]);
/** What a broker tells of a resource, by the numbers of its protocol. */
const OPERATIONS = ['', '', '', 'Read', 'Write', 'Create', 'Delete', 'Alter', 'Describe', '', 'DescribeConfigs'];
const DENIED = 29;

describe('a Kafka that asks who one is', { skip: whySkip() }, () => {
  const folder = () => join(stack.dir, 'secure');
  const file = (name: string) => join(folder(), name);
  let stack: Stack;
  let config: Config;

  const tls = () => ({ KAFKA_SSL_CA_LOCATION: file('ca.pem') });
  const byPassword = (user: string): Environment => ({
    KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
    KAFKA_SASL_USERNAME: user,
    KAFKA_SASL_PASSWORD_FILE: file(`${user}.password`),
    ...tls(),
  });
  const byToken = (user: string): Environment => ({
    KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
    KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
    KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: file(`${user}.token`),
    ...tls(),
  });
  const byCertificate = (user: string): Environment => ({
    KAFKA_BOOTSTRAP_SERVERS: stack.kafka.mtlsBootstrap!,
    KAFKA_SECURITY_PROTOCOL: 'SSL',
    KAFKA_SSL_CERTIFICATE_LOCATION: file(`${user}.pem`),
    KAFKA_SSL_KEY_LOCATION: file(`${user}-key.pem`),
    ...tls(),
  });
  const environmentOf = (user: string): Environment => {
    if (user === 'fanout' || user === 'push') return byCertificate(user);
    return user === 'delivery' || user === 'operator' ? byToken(user) : byPassword(user);
  };
  /** As a role or a command would be configured. */
  const clientOf = (user: string, by = environmentOf): { brokers: Brokers; config: Config } => {
    const own = loadConfig({ PROFILE: 'dev', KAFKA_BOOTSTRAP_SERVERS: stack.kafka.bootstrap, ...by(user) });
    return { brokers: { bootstrapServers: own.kafkaBootstrapServers, inProcess: false }, config: own };
  };

  before(async () => {
    stack = await Stack.start({
      kafka: (dir): Promise<Kafka> =>
        startKafka({
          ...privateStart(dir),
          ...{ port: 0, controllerPort: 0, mtlsPort: 0, heap: '-Xmx256m' },
          secure: { folder: join(dir, 'secure') },
          // Who has been let in is asked again every 2 s.
          settings: { 'connections.max.reauth.ms': 2000 },
        }),
    });
    config = loadConfig({ PROFILE: 'dev' });
    await createTopics({
      bootstrap: stack.kafka.bootstrap,
      downloads: DOWNLOADS,
      commandConfig: file('admin.properties'),
    });
    for (const user of PRINCIPALS)
      if (user !== 'fanout' && user !== 'push') await grant(stack.kafka, folder(), user, rightsOf(user, config));
  });

  after(() => stack?.stop());

  it('names a wrong password or authority within 5 s, and takes the right one without a restart', async () => {
    const roles = stack.roles();
    const password = file('wrong.password');
    const authority = file('wrong.pem');
    writeFileSync(password, 'wrong\n');
    writeFileSync(authority, createAuthority().certificate);
    const started = performance.now();
    const byPasswordFile = roles.start('alert-api', { ...byPassword('alert-api'), KAFKA_SASL_PASSWORD_FILE: password });
    const byAuthority = roles.start('alert-api', { ...byPassword('alert-api'), KAFKA_SSL_CA_LOCATION: authority });
    await assertNamed(
      byPasswordFile,
      /refuses user alert-api: SASL.*look at KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD/,
    );
    await assertNamed(
      byAuthority,
      /refuses user alert-api: .*certificate verify failed.*look at KAFKA_SSL_CA_LOCATION/,
    );
    assert.ok(performance.now() - started < patience(5000));
    writeFileSync(password, readFileSync(file('alert-api.password')));
    writeFileSync(authority, readFileSync(file('ca.pem')));
    for (const role of [byPasswordFile, byAuthority]) {
      await until('it is let in', async () => (await role.readiness()).checks['kafka']?.ok === true);
      assert.doesNotMatch(role.output, new RegExp(readFileSync(file('alert-api.password'), 'utf8').trim()));
    }
    await roles.stop();
  });

  async function assertNamed(role: RoleProcess, reason: RegExp): Promise<void> {
    await until(`${String(reason)} is named`, async () => {
      const said = role.lines.some((line) => line.level >= 50 && reason.test(String(line['reason'])));
      return said && reason.test((await role.readiness()).checks['kafka']?.reason ?? '');
    });
  }

  it("makes a right that is missing nobody else's fault: it is named, records wait, and go on when it is given", async () => {
    const roles = stack.roles();
    const alertApi = await roles.start('alert-api', environmentOf('alert-api')).ready();
    const fanout = roles.start('fanout', environmentOf('fanout'));
    const delivery = await roles.start('delivery', environmentOf('delivery')).ready();
    const client = await serviceClient(alertApi);
    await loadDirectory(client, [{ userId: 'kim', department: 'SEC' }]);
    await client.createAlert(alertFor(['kim'], 'first'));
    await until('what fanout lacks is named', async () => {
      const { kafka, topics } = (await fanout.readiness()).checks;
      const reason = `${kafka?.reason} ${topics?.reason}`;
      return /alert-created-topic does not exist at .*, or may not be described/.test(reason);
    });
    // It may read now, and not join its group.
    await grant(
      stack.kafka,
      folder(),
      'fanout',
      rightsOf('fanout', config).filter(({ resource }) => resource === 'topic'),
    );
    const group = `consumer group ${config.consumerGroup}-fanout`;
    await until('the group is named', async () =>
      /CN=fanout by certificate has no right to join/.test((await fanout.readiness()).checks[group]?.reason ?? ''),
    );
    assert.ok(
      fanout.lines.some((line) => line.level >= 50 && /no right to join the group/.test(String(line['reason']))),
    );
    await createAcls('fanout');
    await fanout.ready();
    await until('the alert is in the inbox', async () => (await inboxOf(client, 'kim')).length === 1);
    for (const role of [fanout, delivery])
      assert.equal((await role.metric('ssom_dead_letters_total').catch(() => 0)) || 0, 0);
    await replacePassword(alertApi, client);
    await roles.stop();
  });

  /** The script, for one role: a JVM for each grant. */
  async function createAcls(role: string): Promise<void> {
    const environment = cleanEnvironment({
      PROFILE: 'dev',
      KAFKA_BOOTSTRAP_SERVERS: stack.kafka.bootstrap,
      KAFKA_COMMAND_CONFIG: file('admin.properties'),
      STACK_DOWNLOADS: DOWNLOADS,
    });
    const { stdout } = await run(join(ROOT, 'deploy/kafka/create-acls.sh'), ['--for', role], { env: environment });
    assert.match(stdout, new RegExp(`User:${role} Read`));
  }

  /** Of a role that runs: at the broker, which asks again every 2 s, and then in its file. */
  async function replacePassword(alertApi: RoleProcess, client: AlertClient): Promise<void> {
    const password = randomBytes(16).toString('hex');
    const change = ['--alter', '--add-config', `SCRAM-SHA-512=[password=${password}]`, '--entity-type', 'users'];
    const to = ['--bootstrap-server', stack.kafka.bootstrap, '--command-config', file('admin.properties')];
    const env = cleanEnvironment({ STACK_DOWNLOADS: DOWNLOADS });
    await run(join(ROOT, 'deploy/kafka/kafka-configs.sh'), [...to, ...change, '--entity-name', 'alert-api'], { env });
    await assertNamed(alertApi, /refuses user alert-api: SASL/);
    writeFileSync(file('alert-api.password'), password);
    await until('it is let in', async () => (await alertApi.readiness()).checks['kafka']?.ok === true);
    await client.createAlert(alertFor(['kim'], 'second'));
    await until('the next alert is in the inbox', async () => (await inboxOf(client, 'kim')).length === 2);
  }

  it('lets each principal do what its table says, and nothing else', { timeout: 300_000 }, async () => {
    await grant(stack.kafka, folder(), 'push', rightsOf('push', config));
    await Promise.all(PRINCIPALS.map(assertRights));
  });

  async function assertRights(user: Principal): Promise<void> {
    const rights = rightsOf(user, config);
    await assertTold(user, rights);
    await assertWrites(user, rights);
    await assertReads(user, rights);
  }

  const mayOf = (rights: readonly Right[], wanted: string): Operation[] => {
    const own = rights.filter(({ name }) => name === wanted).map(({ operation }) => operation);
    const implied: Operation[] = own.some((operation) => operation === 'Read' || operation === 'Write')
      ? ['Describe']
      : [];
    return [...new Set([...own, ...implied])].sort();
  };

  /** Of every topic and group all operations that there are, as the broker's authorizer tells them. */
  async function assertTold(user: Principal, rights: readonly Right[]): Promise<void> {
    const { brokers, config: own } = clientOf(user, byPassword);
    const handlers = { 'event.error': () => undefined, error: () => undefined };
    const admin = RdKafka.AdminClient.create(adminSettings(brokers, own, 'told', silentLogger()), handlers);
    try {
      const options = { timeout: 20_000, includeAuthorizedOperations: true };
      type Told = { name: string; error?: { code: number }; authorizedOperations?: number[] };
      const topics = await new Promise<Told[]>((resolve, reject) =>
        admin.describeTopics(TOPICS, options, (error, found) =>
          error ? reject(new Error(error.message)) : resolve(found),
        ),
      );
      for (const { name, error, authorizedOperations = [] } of topics) {
        const told = error === undefined ? authorizedOperations.map((operation) => OPERATIONS[operation]).sort() : [];
        if (error !== undefined) assert.equal(error.code, DENIED);
        assert.deepEqual(told, mayOf(rights, name), `${user}, ${name}`);
      }
    } finally {
      admin.disconnect();
    }
  }

  async function assertWrites(user: Principal, rights: readonly Right[]): Promise<void> {
    const { brokers, config: own } = clientOf(user);
    const producer = await Producer.connect(brokers, own, silentLogger(), { clientId: 'writes', timeoutMs: 20_000 });
    const records = TOPICS.map((topic) => ({ topic, key: 'k', value: Buffer.from('no Avro') }));
    const failures = await producer.publishEach(records);
    for (const [index, topic] of TOPICS.entries())
      assert.equal(failures[index] === undefined, mayOf(rights, topic).includes('Write'), `${user} writes ${topic}`);
    await producer.close();
  }

  async function assertReads(user: Principal, rights: readonly Right[]): Promise<void> {
    const { brokers, config: own } = clientOf(user);
    const group = rights.find(({ resource }) => resource === 'group')?.name ?? 'none';
    const options = { clientId: 'reads', groupId: group, timeoutMs: 20_000 };
    const reader = await Consumer.observe(brokers, own, silentLogger(), options);
    for (const topic of TOPICS) {
      const reads = await readsOf(reader, topic);
      assert.equal(reads, mayOf(rights, topic).includes('Read'), `${user} reads ${topic}`);
    }
    await reader.close();
  }

  async function readsOf(reader: Consumer, topic: string): Promise<boolean> {
    try {
      for await (const _ of reader.readAll(topic)) break;
      return true;
    } catch {
      return false;
    }
  }
});
