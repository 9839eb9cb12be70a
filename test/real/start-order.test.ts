import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createTopics, type Daemon, freePorts, startKafka, startPostgres, startRegistry } from '#stack';
import type { AlertClient } from '../../services/client/client.js';
import { Expected } from '../support/expected.js';
import { Follower } from '../support/follower.js';
import { health } from '../support/health.js';
import { alertFor, loadDirectory, people, serviceClient } from '../support/people.js';
import { type RoleProcess, Roles } from '../support/role-process.js';
import { DOWNLOADS, environmentFor, privateStart, stackFolder, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';

// Every role is started first, with nothing there; then what it needs comes, one after the other.
describe('roles that start before what they need', { skip: whySkip() }, () => {
  const folder = stackFolder();
  const team = people('early', 3, 'EARLY');
  const expected = new Expected(team);
  const daemons: Daemon[] = [];
  let ports: { postgres: number; kafka: number; controller: number; registry: number };
  let roles: Roles;
  let alertApi: RoleProcess;
  let gateway: RoleProcess;
  let all: RoleProcess[];
  let client: AlertClient;

  before(async () => {
    const [postgres = 0, kafka = 0, controller = 0, registry = 0] = await freePorts(4);
    ports = { postgres, kafka, controller, registry };
    roles = new Roles(
      environmentFor({
        postgres: `postgres://ssom:ssom@127.0.0.1:${postgres}/ssom`,
        kafka: `127.0.0.1:${kafka}`,
        registry: `http://127.0.0.1:${registry}/apis/ccompat/v7`,
      }),
    );
    alertApi = roles.start('alert-api');
    gateway = roles.start('stream-gateway');
    // These serve no gRPC besides health, and that only if they are told where.
    const others = ['fanout', 'delivery', 'push'].map((role) => roles.start(role, { GRPC_LISTEN: '127.0.0.1:0' }));
    all = [alertApi, gateway, ...others];
    await Promise.all(all.map((role) => role.listening()));
  });

  after(async () => {
    try {
      client?.close();
      await roles?.stop();
    } finally {
      await Promise.all(daemons.map((daemon) => daemon.stop()));
      folder.remove();
    }
  });

  const servingOf = async (role: RoleProcess, service = '') => health((await role.listening()).grpc, service);
  const serving = () => Promise.all(all.map((role) => servingOf(role)));
  const NOBODY = all5('NOT_SERVING');
  function all5(status: string, first = status): string[] {
    return [first, status, status, status, status];
  }

  /** What a role says of its tries at something. */
  function tries(role: RoleProcess, what: string) {
    return role.lines.filter(({ msg, what: of }) => msg === 'not there yet; trying again' && of === what);
  }

  it('are alive and not ready, and say what is missing where, a line a try', async () => {
    const first = (role: RoleProcess) => (role.role === 'push' ? 'schema registry' : 'postgresql');
    const where = (role: RoleProcess) =>
      role.role === 'push' ? `http://127.0.0.1:${ports.registry}/apis/ccompat/v7` : `127.0.0.1:${ports.postgres}/ssom`;
    for (const role of all) {
      await until(`${role.role} has tried twice`, () => tries(role, first(role)).length >= 2);
      for (const line of tries(role, first(role))) {
        assert.equal(line['where'], where(role));
        assert.match(String(line['reason']), /ECONNREFUSED|did not answer/);
        assert.equal(typeof line['waitMs'], 'number');
        assert.equal(JSON.stringify(line).includes('ssom:ssom'), false, 'the password is logged');
      }
      assert.equal((await role.get('/livez')).status, 200);
      const { status, checks } = await role.readiness();
      assert.equal(status, 503, `${role.role} /readyz`);
      assert.equal(checks[first(role)]?.ok, false);
      assert.equal(checks[first(role)]?.required, true);
      assert.match(checks[first(role)]!.reason, /ECONNREFUSED|did not answer/);
    }
    assert.deepEqual(await serving(), NOBODY);
    assert.equal(await servingOf(alertApi, 'ssom.alert.v1.AlertService'), 'NOT_SERVING');
    assert.equal(await servingOf(gateway, 'ssom.alert.v1.AlertStreamService'), 'NOT_SERVING');
    assert.ok(all.every(({ running, noise }) => running && noise.length === 0));
  });

  it('go on with PostgreSQL: alert-api serves with it alone, and takes alerts', async () => {
    daemons.push(await startPostgres({ ...privateStart(folder.path), port: ports.postgres }));
    await alertApi.ready();
    assert.equal(await servingOf(alertApi, 'ssom.alert.v1.AlertService'), 'SERVING');
    client = await serviceClient(alertApi, gateway);
    await loadDirectory(client, team);
    for (let count = 0; count < 10; count += 1) {
      const recipients = expected.users.slice(count % 3);
      const { alert } = await client.createAlert(alertFor(recipients, `early ${count}`), { attempts: 1 });
      expected.add(alert!.alertId, recipients);
    }
    await until('alert-api counts its outbox', async () => (await alertApi.metric('ssom_outbox_depth')) === 10);
    for (const role of all.slice(1)) {
      await until(`${role.role} tries the registry`, () => tries(role, 'schema registry').length > 0);
      const [line] = tries(role, 'schema registry');
      assert.equal(line!['where'], `http://127.0.0.1:${ports.registry}/apis/ccompat/v7`);
      assert.equal((await role.readiness()).status, 503, `${role.role} /readyz`);
    }
    assert.deepEqual(await serving(), all5('NOT_SERVING', 'SERVING'));
    const { checks } = await alertApi.readiness();
    assert.equal(checks['schema registry']?.ok, false);
    assert.equal(checks['schema registry']?.required, false);
  });

  it('go on with the registry, and name the broker that is away', async () => {
    daemons.push(await startRegistry({ ...privateStart(folder.path), port: ports.registry }));
    for (const role of all) {
      await until(
        () => `${role.role} tries Kafka; ${role.running ? 'it runs' : `it has ended: ${role.noise.join(' ')}`}`,
        () => tries(role, 'kafka').length > 0,
      );
      const line = tries(role, 'kafka').at(-1)!;
      assert.equal(line['where'], `127.0.0.1:${ports.kafka}`);
      assert.match(String(line['reason']), /no Kafka broker answered at 127\.0\.0\.1:/);
    }
    assert.deepEqual(await serving(), all5('NOT_SERVING', 'SERVING'));
  });

  it('go on with Kafka, and name the topic that does not exist', async () => {
    const kafka = await startKafka({
      ...privateStart(folder.path),
      port: ports.kafka,
      controllerPort: ports.controller,
      heap: '-Xmx256m',
    });
    daemons.push(kafka);
    const topics = {
      fanout: 'alert-created-topic',
      delivery: 'user-alert-topic',
      'stream-gateway': 'inbox-change-topic',
    };
    for (const [name, topic] of Object.entries(topics)) {
      const role = all.find((each) => each.role === name)!;
      const wanted = new RegExp(`the topic ${topic} does not exist .*create-topics\\.sh`);
      await until(`${name} names ${topic}`, () =>
        tries(role, 'kafka').some(({ reason }) => wanted.test(String(reason))),
      );
      assert.equal((await role.readiness()).status, 503);
    }
    await createTopics({ bootstrap: kafka.bootstrap, downloads: DOWNLOADS });
  });

  it('are ready when all is there, and bring what was created before', async (t) => {
    await Promise.all(all.map((role) => role.ready()));
    assert.deepEqual(await serving(), all5('SERVING'));
    assert.equal(await servingOf(gateway, 'ssom.alert.v1.AlertStreamService'), 'SERVING');
    const followers = team.map(({ userId }) => new Follower(client, userId));
    t.after(() => Promise.all(followers.map((follower) => follower.close())));
    await expected.arrived(client);
    await expected.checkInboxes(client);
    for (const follower of followers) {
      await follower.seen(expected.of(follower.userId).length);
      follower.check(expected.of(follower.userId));
    }
    await until('the outbox is empty', async () => (await alertApi.metric('ssom_outbox_depth')) === 0);
  });

  it('stop serving while PostgreSQL is away, and go on when it is back', async () => {
    const postgres = daemons.find(({ name }) => name === 'postgres')!;
    await postgres.kill();
    await until('both notice', async () => (await serving()).slice(0, 2).join() === 'NOT_SERVING,NOT_SERVING');
    assert.match((await alertApi.readiness()).checks['postgresql']!.reason, /ECONNREFUSED/);
    await assert.rejects(client.listInbox({ userId: 'early-1' }), {
      code: 'UNAVAILABLE',
      reason: 'DATABASE_UNAVAILABLE',
    });
    daemons.push(await startPostgres({ ...privateStart(folder.path), port: ports.postgres }));
    await until('all serve again', async () => (await serving()).join() === all5('SERVING').join());
    const { alert } = await client.createAlert(alertFor(expected.users, 'afterwards'));
    expected.add(alert!.alertId, expected.users);
    await expected.arrived(client);
    await expected.checkInboxes(client);
  });
});
