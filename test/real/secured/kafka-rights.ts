import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import {
  broadcastGroup,
  deadLetterGroup,
  GROUP_ROLES,
  groupOf,
  OPERATOR_GROUP,
} from '../../../services/events/groups.js';
import { type Operation, type Principal, PRINCIPALS, type Right, rightsOf } from '../../../services/events/rights.js';
import { adminSettings } from '../../../services/lib/kafka/client-config.js';
import { Consumer } from '../../../services/lib/kafka/consumer.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { asAdmin, kafkaScript } from './kafka-refusals.js';
import type { KafkaUsers } from './kafka-users.js';

/** What a broker tells of a resource, by the numbers of its protocol. */
const OPERATIONS = ['', '', '', 'Read', 'Write', 'Create', 'Delete', 'Alter', 'Describe', '', 'DescribeConfigs'];
const DENIED = 29;
/** A group that is nobody's of us. */
const OTHERS = 'payments';

/** Each principal, each topic and group, each operation: what the table says is allowed, all else is refused. */
export function testRights(usersOf: () => KafkaUsers): void {
  it('takes rights away that the table does not name, once that is asked for', async () => {
    const users = usersOf();
    const { topicAlertCreated: created, topicInboxChange: changes } = users.config;
    const admin = users.stack.asAdmin;
    await admin.grant('fanout', [{ resource: 'topic', name: changes, operation: 'Write' }]);
    await admin.grant('delivery', [{ resource: 'topic', name: 'kafka.', operation: 'Read', pattern: 'prefixed' }]);
    await admin.grant('push', [{ resource: 'group', name: "their's own", operation: 'Read' }]);
    // As gateways needed it once.
    await admin.grant('stream-gateway', [{ resource: 'cluster', name: 'kafka-cluster', operation: 'IdempotentWrite' }]);
    await admin.grant('payments', [{ resource: 'topic', name: created, operation: 'Read' }]);
    const surplus = [
      `Write User:fanout allow-host * topic ${changes} `,
      'Read User:delivery allow-host * topic kafka. resource-pattern-type prefixed',
      "Read User:push allow-host * group their\\'s\\ own ",
      'IdempotentWrite User:stream-gateway allow-host * cluster ',
    ];
    const assertListed = (printed: string) => {
      for (const line of surplus) assert.ok(printed.includes(line), printed);
      assert.equal(printed.trim().split('\n').length, surplus.length + 1, printed);
    };
    assertListed(await kafkaScript(users, 'create-acls.sh', '--prune'));
    assert.ok(await users.stack.kafkaAs('push').mayJoin("their's own"), 'nothing was removed');
    assertListed(await kafkaScript(users, 'create-acls.sh', '--prune', '--yes'));
    assert.match(await kafkaScript(users, 'create-acls.sh', '--prune'), /Nobody has rights that are not needed/);
    assert.ok(!(await users.stack.kafkaAs('push').mayJoin("their's own")));
    const theirs = await kafkaScript(
      users,
      'kafka-acls.sh',
      ...asAdmin(users),
      '--list',
      '--principal',
      'User:payments',
    );
    assert.match(theirs, /operation=READ/, 'who is none of us keeps what it has');
  });

  it('lets each principal do with topics what its table says, and nothing else', { timeout: 300_000 }, async () => {
    const users = usersOf();
    await users.grantAll(...PRINCIPALS);
    await Promise.all(PRINCIPALS.map((user) => assertTopics(users, user)));
  });

  it('lets each principal join and see the groups that its table says, and no others', async () => {
    const users = usersOf();
    const { config } = users;
    const groups = [
      ...GROUP_ROLES.map((role) => groupOf(role, config).group),
      ...[broadcastGroup(config), deadLetterGroup(config), OPERATOR_GROUP, OTHERS],
    ];
    await users.grantAll(...PRINCIPALS);
    const assertGroups = async (user: Principal) => {
      const rights = rightsOf(user, config);
      const protocol = users.stack.kafkaAs(user);
      for (const group of groups) {
        const may = mayOf(rights, group);
        assert.equal(await protocol.mayJoin(group), may.includes('Read'), `${user} joins ${group}`);
        assert.equal(await protocol.maySeeOffsets(group), may.includes('Describe'), `${user} sees ${group}`);
      }
    };
    await Promise.all(PRINCIPALS.map(assertGroups));
  });
}

async function assertTopics(users: KafkaUsers, user: Principal): Promise<void> {
  const rights = rightsOf(user, users.config);
  await assertTold(users, user, rights);
  await assertWrites(users, user, rights);
  await assertReads(users, user, rights);
}

function mayOf(rights: readonly Right[], wanted: string): Operation[] {
  const own = rights.filter(({ name }) => name === wanted).map(({ operation }) => operation);
  const implied: Operation[] = own.some((operation) => operation === 'Read' || operation === 'Write')
    ? ['Describe']
    : [];
  return [...new Set([...own, ...implied])].sort();
}

/** Of every topic all operations that there are, as the broker's authorizer tells them. */
async function assertTold(users: KafkaUsers, user: Principal, rights: readonly Right[]): Promise<void> {
  const { brokers, config } = users.clientOf(user, users.byPassword(user));
  const handlers = { 'event.error': () => undefined, error: () => undefined };
  const admin = RdKafka.AdminClient.create(adminSettings(brokers, config, 'told', silentLogger()), handlers);
  try {
    const options = { timeout: 20_000, includeAuthorizedOperations: true };
    type Told = { name: string; error?: { code: number }; authorizedOperations?: number[] };
    const topics = await new Promise<Told[]>((resolve, reject) =>
      admin.describeTopics([...users.topics], options, (error, found) =>
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

async function assertWrites(users: KafkaUsers, user: Principal, rights: readonly Right[]): Promise<void> {
  const { brokers, config } = users.clientOf(user);
  const producer = await Producer.connect(brokers, config, silentLogger(), { clientId: 'writes', timeoutMs: 20_000 });
  const records = users.topics.map((topic) => ({ topic, key: 'k', value: Buffer.from('no Avro') }));
  const failures = await producer.publishEach(records);
  for (const [index, topic] of users.topics.entries())
    assert.equal(failures[index] === undefined, mayOf(rights, topic).includes('Write'), `${user} writes ${topic}`);
  await producer.close();
}

async function assertReads(users: KafkaUsers, user: Principal, rights: readonly Right[]): Promise<void> {
  const { brokers, config } = users.clientOf(user);
  const group = rights.find(({ resource }) => resource === 'group')?.name ?? 'none';
  const options = { clientId: 'reads', groupId: group, timeoutMs: 20_000 };
  const reader = await Consumer.observe(brokers, config, silentLogger(), options);
  for (const topic of users.topics)
    assert.equal(await reads(reader, topic), mayOf(rights, topic).includes('Read'), `${user} reads ${topic}`);
  await reader.close();
}

async function reads(reader: Consumer, topic: string): Promise<boolean> {
  try {
    for await (const _ of reader.readAll(topic)) break;
    return true;
  } catch {
    return false;
  }
}
