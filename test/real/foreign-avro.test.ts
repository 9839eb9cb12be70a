import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { AlertClient } from '../../services/client/client.js';
import { ROOT } from '../../services/lib/root.js';
import { ForeignTool, whySkipTool } from '../support/foreign-tool.js';
import { readPage } from '../support/metrics-page.js';
import { alertFor, inboxOf, loadDirectory, people, serviceClient } from '../support/people.js';
import type { RoleProcess } from '../support/role-process.js';
import { Stack, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';

/*
 * Records of ours, read by Confluent's Python client and by fastavro through Apicurio; and theirs, read by us, with
 * what writers of other languages have and we do not: another namespace, more fields, symbols that are not known here.
 */

const REMEDY = 'python3 lacks what .ci/run installs: pip install "confluent-kafka[avro,schemaregistry]" fastavro';
const skip =
  whySkip() || whySkipTool('python3', ['-c', 'import fastavro, confluent_kafka.schema_registry.avro'], REMEDY);

interface Field {
  readonly name: string;
  type: unknown;
  default?: unknown;
}
interface Schema {
  namespace: string;
  readonly fields: Field[];
}
interface Shown {
  readonly key: string;
  readonly value: Record<string, unknown>;
}

const newest = { 'user-alert-topic': 2, 'alert-created-topic': 4 };
function schemaOf(topic: keyof typeof newest): Schema {
  const file = join(ROOT, 'schemas', `${topic}-value`, `v${newest[topic]}.avsc`);
  return JSON.parse(readFileSync(file, 'utf8')) as Schema;
}

describe('Avro clients that are none of ours', { skip }, () => {
  let stack: Stack;
  let client: AlertClient;
  let fanout: RoleProcess;

  before(async () => {
    stack = await Stack.start();
    const roles = stack.roles();
    const alertApi = roles.start('alert-api');
    fanout = roles.start('fanout');
    await Promise.all([alertApi, fanout, roles.start('delivery')].map((role) => role.ready()));
    client = await serviceClient(alertApi);
    await loadDirectory(client, people('avro', 3, 'ELSEWHERE'));
  });

  after(async () => {
    client?.close();
    await stack?.stop();
  });

  async function python(t: TestContext, args: readonly string[], input?: object): Promise<string> {
    const text = input === undefined ? '' : JSON.stringify(input);
    const tool = new ForeignTool(t, 'python3', args, text);
    await tool.ended();
    assert.equal(tool.code, 0, tool.stderr);
    return tool.stdout;
  }

  const script = join(ROOT, 'test', 'real', 'avro_client.py');
  async function read(t: TestContext, topic: string, count: number): Promise<Shown[]> {
    const shown = await python(t, [script, 'read', stack.registry.url, stack.kafka.bootstrap, topic, String(count)]);
    const lines = shown.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Shown);
  }
  const write = (t: TestContext, topic: string, strategy: 'topic' | 'record', schema: Schema, ...records: Shown[]) =>
    python(t, [script, 'write', stack.registry.url, stack.kafka.bootstrap, topic, strategy], { schema, records });

  const create = async (title: string, ...userIds: string[]) =>
    (await client.createAlert(alertFor(userIds, title))).alert!.alertId;
  const untilInbox = (userId: string, count: number) =>
    until(`${count} alerts of ${userId}`, async () => (await inboxOf(client, userId)).length === count);

  it('show all three topics decoded, each alert with what we know of it', async (t) => {
    const alertId = await create('seen', 'avro-1', 'avro-2');
    await untilInbox('avro-1', 1);
    await untilInbox('avro-2', 1);
    const [created] = await read(t, 'alert-created-topic', 1);
    assert.equal(created!.key, String(alertId));
    const { namedRecipients, ...value } = created!.value;
    assert.deepEqual((namedRecipients as { userIds: string[] }).userIds.sort(), ['avro-1', 'avro-2']);
    const { appName, title, level, alertKind, message, recipientsNamed } = value;
    assert.deepEqual(
      { appName, title, level, alertKind, message, recipientsNamed, alertId: value['alertId'] },
      {
        appName: 'ssok-transfer',
        title: 'seen',
        level: 'WARNING',
        alertKind: 'GRAFANA',
        message: 'seen 이체 지연 🚨',
        recipientsNamed: true,
        alertId,
      },
    );
    const users = await read(t, 'user-alert-topic', 2);
    assert.deepEqual(
      users.map((shown) => [shown.key, shown.value['userId'], shown.value['alertId']]).sort(),
      ['avro-1', 'avro-2'].map((userId) => [userId, userId, alertId]),
    );
    const changes = await read(t, 'inbox-change-topic', 2);
    for (const shown of changes) {
      assert.equal(shown.key, shown.value['userId']);
      const [change] = shown.value['changes'] as Record<string, unknown>[];
      assert.deepEqual([change!['type'], change!['alertId'], change!['sequence']], ['CREATED', alertId, 1]);
    }
  });

  it('write what we read: another namespace and another field', async (t) => {
    const alertId = await create('theirs', 'avro-1');
    const schema = schemaOf('user-alert-topic');
    schema.namespace = 'com.example.alerts';
    schema.fields.push({ name: 'channel', type: ['null', 'string'], default: null });
    const value = { alertId, userId: 'avro-3', epoch: 0 };
    await write(t, 'user-alert-topic', 'topic', schema, { key: 'avro-3', value: { ...value, channel: 'mail' } });
    await untilInbox('avro-3', 1);
    const second = await create('also theirs', 'avro-1');
    schema.namespace = 'com.example.others';
    const theirs = { key: 'avro-3', value: { ...value, alertId: second, channel: null } };
    await write(t, 'user-alert-topic', 'record', schema, theirs);
    await untilInbox('avro-3', 2);
  });

  it('write a kind that we do not know: it is read as OTHER, and counted', async (t) => {
    const alertId = await create('again', 'avro-2');
    await untilInbox('avro-2', 2);
    const schema = schemaOf('alert-created-topic');
    const kind = schema.fields.find(({ name }) => name === 'alertKind')!.type as { symbols: string[] };
    kind.symbols.push('PAGERDUTY');
    const value = { alertId, alertKind: 'PAGERDUTY', appName: 'ssok-transfer' };
    await write(t, 'alert-created-topic', 'topic', schema, { key: String(alertId), value });
    const counted = async () => {
      const family = readPage((await fanout.get('/metrics')).body).get('ssom_schema_unknown_symbols_total');
      return family?.samples.find(({ labels }) => labels['field'] === 'alertKind')?.value ?? 0;
    };
    await until('it is counted', async () => (await counted()) > 0);
    assert.deepEqual((await stack.database.query('SELECT reason FROM dead_letters')).rows, []);
  });

  it('still write the golden records as they were made', async (t) => {
    await python(t, [join(ROOT, 'test', 'golden', 'make.py'), '--check']);
  });
});
