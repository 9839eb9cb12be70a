import assert from 'node:assert/strict';
import test from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { fakeContext } from './fake-context.js';

const listed = (resource: string, name: string, entries: string[], pattern = 'LITERAL') =>
  `Current ACLs for resource \`ResourcePattern(resourceType=${resource}, name=${name}, patternType=${pattern})\`: \n` +
  entries.map((entry) => ` \t(${entry})\n`).join('');
const allowed = (principal: string, operation: string, host = '*', permission = 'ALLOW') =>
  `principal=User:${principal}, host=${host}, operation=${operation}, permissionType=${permission}`;

async function acls(stdin: string, ...args: string[]) {
  const context = fakeContext({ stdin });
  const code = await main(['kafka', 'acls', '--surplus-in', '-', ...args], context);
  return { code, out: context.out(), err: context.err() };
}

test('what principals have and the table does not name is printed as the commands that remove it', async () => {
  const list = [
    // Delivery needs the first, from wherever; the others it does not.
    listed('TOPIC', 'user-alert-topic', [
      allowed('delivery', 'READ'),
      allowed('delivery', 'READ', '10.0.0.7'),
      allowed('delivery', 'ALTER_CONFIGS'),
      allowed('delivery', 'WRITE', '*', 'DENY'),
      allowed('payments', 'WRITE'),
    ]),
    listed('TOPIC', 'user-alert-topic', [allowed('delivery', 'READ')], 'PREFIXED'),
    listed('GROUP', 'a group, patternType=LITERAL', [allowed('delivery', 'READ'), allowed('delivery', 'DELETE')]),
    listed('CLUSTER', 'kafka-cluster', [allowed('stream-gateway', 'IDEMPOTENT_WRITE')]),
    listed('TRANSACTIONAL_ID', '*', [allowed('delivery', 'WRITE')]),
  ].join('\n');
  const { code, out, err } = await acls(list);
  assert.equal(code, 0, err);
  const of = (principal: string) => `--allow-principal User:${principal} --allow-host *`;
  assert.deepEqual(out.trim().split('\n'), [
    `--remove --force --operation AlterConfigs ${of('delivery')} --topic user-alert-topic --resource-pattern-type literal`,
    `--remove --force --operation Read ${of('delivery')} --topic user-alert-topic --resource-pattern-type prefixed`,
    `--remove --force --operation Read --operation Delete ${of('delivery')} ` +
      '--group a\\ group\\,\\ patternType\\=LITERAL --resource-pattern-type literal',
    `--remove --force --operation IdempotentWrite ${of('stream-gateway')} --cluster --resource-pattern-type literal`,
    `--remove --force --operation Write ${of('delivery')} --transactional-id * --resource-pattern-type literal`,
  ]);
});

test('of others nothing is removed, and what is no list of ACLs is refused', async () => {
  const others = listed('TOPIC', 'user-alert-topic', [allowed('delivery', 'ALL')]);
  assert.equal((await acls(others, '--for', 'fanout')).out, '');
  assert.equal((await acls(others, '--principal', 'delivery=User:ssom-delivery')).out, '');
  assert.match((await acls(others, '--json')).out, /"operation": ?"All"/);
  const { code, err } = await acls(`${others}Error while executing ACL command: timed out\n`);
  assert.notEqual(code, 0);
  assert.match(err, /line 3 is not of kafka-acls\.sh --list: "Error while/);
});
