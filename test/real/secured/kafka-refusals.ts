import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { createAuthority } from '#stack';
import type { AlertClient } from '../../../services/client/client.js';
import { rightsOf } from '../../../services/events/rights.js';
import { dlqTopicOf } from '../../../services/lib/kafka/dead-letters.js';
import { ROOT } from '../../../services/lib/root.js';
import { alertFor, inboxOf, loadDirectory, serviceClient } from '../../support/people.js';
import { cleanEnvironment, type RoleProcess } from '../../support/role-process.js';
import { DOWNLOADS } from '../../support/stack.js';
import { patience, until } from '../../support/until-true.js';
import type { KafkaUsers } from './kafka-users.js';

const run = promisify(execFile);

/** Waits until a role says, in its log and in /readyz, why Kafka does not let it in. */
export async function assertNamed(role: RoleProcess, reason: RegExp): Promise<void> {
  await until(
    () => `${String(reason)} is named: ${role.output.slice(-2000)}`,
    async () => {
      const said = role.lines.some((line) => line.level >= 50 && reason.test(String(line['reason'])));
      return said && reason.test((await role.readiness()).checks['kafka']?.reason ?? '');
    },
  );
}

/** For Kafka's own tools; our scripts know it by their variables. */
export const asAdmin = ({ stack }: KafkaUsers) => [
  ...['--bootstrap-server', stack.kafka.bootstrap],
  ...['--command-config', stack.file('admin.properties')],
];

/** Runs a script of deploy/kafka as the administrator. @returns what it printed */
export async function kafkaScript(users: KafkaUsers, name: string, ...args: string[]): Promise<string> {
  const environment = cleanEnvironment({
    ...users.environment,
    KAFKA_COMMAND_CONFIG: users.stack.file('admin.properties'),
    STACK_DOWNLOADS: DOWNLOADS,
  });
  const { stdout } = await run(join(ROOT, 'deploy/kafka', name), args, { env: environment });
  return stdout;
}

export function testRefusals(usersOf: () => KafkaUsers): void {
  it('names a wrong password or authority within 5 s, and takes the right one without a restart', async () => {
    const users = usersOf();
    const { stack } = users;
    const roles = users.roles();
    const password = stack.file('wrong.password');
    const authority = stack.file('wrong.pem');
    writeFileSync(password, 'wrong\n');
    writeFileSync(authority, createAuthority().certificate);
    const right = users.byPassword('alert-api');
    const started = performance.now();
    const byPasswordFile = roles.start('alert-api', { ...right, KAFKA_SASL_PASSWORD_FILE: password });
    const byAuthority = roles.start('alert-api', { ...right, KAFKA_SSL_CA_LOCATION: authority });
    await assertNamed(
      byPasswordFile,
      /refuses user alert-api: SASL.*look at KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD/,
    );
    await assertNamed(
      byAuthority,
      /refuses user alert-api: .*certificate verify failed.*look at KAFKA_SSL_CA_LOCATION/,
    );
    assert.ok(performance.now() - started < patience(5000));
    writeFileSync(password, readFileSync(stack.file('alert-api.password')));
    writeFileSync(authority, readFileSync(stack.file('ca.pem')));
    for (const role of [byPasswordFile, byAuthority]) {
      await until('it is let in', async () => (await role.readiness()).checks['kafka']?.ok === true);
      assert.doesNotMatch(role.output, new RegExp(readFileSync(stack.file('alert-api.password'), 'utf8').trim()));
    }
    await roles.stop();
  });

  it("makes a right that is missing nobody else's fault: it is named, records wait, and go on when it is given", async () => {
    const users = usersOf();
    const { config, stack } = users;
    const roles = users.roles();
    const alertApi = await roles.start('alert-api', users.environmentOf('alert-api')).ready();
    const fanout = roles.start('fanout', users.environmentOf('fanout'));
    const delivery = await roles.start('delivery', users.environmentOf('delivery')).ready();
    const client = await serviceClient(alertApi);
    await loadDirectory(client, [{ userId: 'kim', department: 'SEC' }]);
    await client.createAlert(alertFor(['kim'], 'first'));
    const { topicAlertCreated: created } = config;
    await until('what fanout lacks is named, of dead letters too', async () => {
      const { kafka, topics } = (await fanout.readiness()).checks;
      const isNamed = (topics?.reason ?? '').includes(`no right to Write ${dlqTopicOf(created)}`);
      return isNamed && kafka?.reason.includes(`${created} does not exist at `);
    });
    // It may read now, and not join its group.
    const rights = rightsOf('fanout', config);
    await stack.asAdmin.grant(
      'fanout',
      rights.filter(({ resource }) => resource === 'topic'),
    );
    const group = `consumer group ${config.consumerGroup}-fanout`;
    await until('the group is named', async () =>
      /CN=fanout by certificate has no right to join/.test((await fanout.readiness()).checks[group]?.reason ?? ''),
    );
    assert.ok(
      fanout.lines.some((line) => line.level >= 50 && /no right to join the group/.test(String(line['reason']))),
    );
    assert.match(await kafkaScript(users, 'create-acls.sh', '--for', 'fanout'), /User:fanout Read/);
    await fanout.ready();
    await until('the alert is in the inbox', async () => (await inboxOf(client, 'kim')).length === 1);
    for (const role of [fanout, delivery])
      assert.equal((await role.metric('ssom_dead_letters_total').catch(() => 0)) || 0, 0);
    await replacePassword(users, alertApi, client);
    await roles.stop();
  });
}

/** Of a role that runs: at the broker, which asks again every 2 s, and then in its file. */
async function replacePassword(users: KafkaUsers, alertApi: RoleProcess, client: AlertClient): Promise<void> {
  const { stack } = users;
  const password = randomBytes(16).toString('hex');
  const change = ['--alter', '--add-config', `SCRAM-SHA-512=[password=${password}]`, '--entity-type', 'users'];
  await kafkaScript(users, 'kafka-configs.sh', ...asAdmin(users), ...change, '--entity-name', 'alert-api');
  await assertNamed(alertApi, /refuses user alert-api: SASL/);
  writeFileSync(stack.file('alert-api.password'), password);
  await until('it is let in', async () => (await alertApi.readiness()).checks['kafka']?.ok === true);
  await client.createAlert(alertFor(['kim'], 'second'));
  await until('the next alert is in the inbox', async () => (await inboxOf(client, 'kim')).length === 2);
}
