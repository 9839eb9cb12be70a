import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { parseEnv } from 'node:util';
import { createTopics, freePorts, serviceToken } from '#stack';
import { main } from '../../../services/cli/cli.js';
import { type AlertClient, createClient } from '../../../services/client/client.js';
import { ROLE_NAMES } from '../../../services/domain/role-names.js';
import { PRINCIPALS, rightsOf } from '../../../services/events/rights.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { ROOT } from '../../../services/lib/root.js';
import { defer } from '../../support/defer.js';
import { alertFor, inboxOf } from '../../support/people.js';
import { newToken, startPushTarget } from '../../support/push.js';
import { type Environment, type RoleProcess, Roles } from '../../support/role-process.js';
import { DOWNLOADS } from '../../support/stack.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';
import type { SecuredStack } from './stack.js';

const EXAMPLE = parseEnv(readFileSync(join(ROOT, 'deploy', 'prod.env'), 'utf8')) as Environment;

/** Everything as deploy/prod.env has it, but for ports and places. */
class Production {
  private constructor(
    private readonly stack: SecuredStack,
    /** By the ports of the example. */
    private readonly ports: Readonly<Record<string, number>>,
  ) {}

  static async start(stack: SecuredStack): Promise<Production> {
    const { kafka, registry, jaeger, folder } = stack;
    const commandConfig = join(folder, 'admin.properties');
    await createTopics({ bootstrap: kafka.bootstrap, downloads: DOWNLOADS, commandConfig });
    const config = loadConfig({});
    for (const user of PRINCIPALS) await stack.asAdmin.grant(user, rightsOf(user, config));
    const [grpc = 0] = await freePorts(1);
    const ports = { 9092: kafka.port, 8081: registry.port, 50051: grpc, 4317: jaeger.ports['otlpGrpc']! };
    return new Production(stack, ports);
  }

  get folder(): string {
    return this.stack.folder;
  }

  get jaegerUrl(): string {
    return this.stack.jaeger.url;
  }

  /** What the example says to a role. */
  environmentOf(role: string): Environment {
    const here = (value: string) =>
      value
        .replaceAll('ROLE', role)
        .replaceAll('/run/secrets/ssom', this.folder)
        .replace(/localhost:(\d+)/, (_, port: string) => `localhost:${this.ports[port]}`);
    return Object.fromEntries(Object.entries(EXAMPLE).map(([name, value]) => [name, here(value)]));
  }

  get grpcAddress(): string {
    return `localhost:${this.ports['50051']}`;
  }

  file(name: string): string {
    return this.stack.file(name);
  }

  token(subject: string, scope: string, isService = false): string {
    return serviceToken(this.folder, { subject, scope, isService });
  }

  /** @returns what a command printed */
  async command(args: string[], environment: Environment): Promise<string> {
    const context = fakeContext({ environment });
    assert.equal(await main(args, context), 0, `${args.join(' ')}: ${context.err()}`);
    return context.out() + context.err();
  }

  /** All that must be in no log. */
  secrets(): string[] {
    return readdirSync(this.folder)
      .filter((name) => /\.(password|token)$|-key\.pem$/.test(name))
      .map((name) => readFileSync(this.file(name), 'utf8').trim())
      .map((text) => (text.startsWith('-----') ? text.split('\n')[1]! : text));
  }
}

export function testProduction(stackOf: () => SecuredStack): void {
  it('every role with PROFILE=prod and the documented variables: the whole way', (t) => theWholeWay(t, stackOf()));
}

async function theWholeWay(t: TestContext, stack: SecuredStack): Promise<void> {
  const prod = await Production.start(stack);
  const { folder } = prod;
  // As an operator sets it up.
  await prod.command(['database', 'users'], { DATABASE_URL_FILE: prod.file('admin.database-url') });
  const migrate = prod.environmentOf('migrate');
  assert.match(await prod.command(['migrate'], migrate), /applied.*registered/s);
  await prod.command(['database', 'grants'], migrate);

  const { fcm, environment: push } = await startPushTarget(t);
  const roles = new Roles({});
  defer(t, () => roles.stop());
  const start = (role: string, more: Environment = {}) => {
    const listen = { GRPC_LISTEN: role === 'alert-api' ? prod.grpcAddress : '127.0.0.1:0' };
    return roles.start(role, { ...prod.environmentOf(role), ...listen, ...more });
  };
  const all = {
    'alert-api': start('alert-api'),
    fanout: start('fanout'),
    // Every batch is too slow for it, which raises an alert.
    delivery: start('delivery', { ALERT_MONITORING_SLOW_PROCESSING_MS: '1' }),
    push: start('push', { ...push, PUSH_GRACE_MS: '0' }),
    'stream-gateway': start('stream-gateway'),
  } satisfies Record<(typeof ROLE_NAMES)[number], RoleProcess>;
  await Promise.all(Object.values(all).map((role) => role.ready()));

  // As callers, people and operators use it.
  const tls = readFileSync(prod.file('ca.pem'), 'utf8');
  const streamAddress = all['stream-gateway'].grpc.replace('127.0.0.1', 'localhost');
  const as = (subject: string, scope: string, isService = false): AlertClient => {
    const identity = { token: () => prod.token(subject, scope, isService) };
    const client = createClient({ address: prod.grpcAddress, streamAddress, identity, tls });
    defer(t, () => client.close());
    return client;
  };
  const terminal = {
    SSOM_ADDRESS: prod.grpcAddress,
    SSOM_CA_FILE: prod.file('ca.pem'),
    SSOM_TOKEN: prod.token('ops', 'directory:admin alerts:read inbox admin', true),
  };
  await prod.command(['directory', 'load', join(ROOT, 'deploy', 'sample', 'directory.json')], terminal);
  const person = as('op01', 'inbox');
  const device = newToken();
  await person.registerDevice({ platform: 'DEVICE_PLATFORM_ANDROID', token: device });
  const seen: string[] = [];
  const following = (async () => {
    for await (const { changes } of person.streamAlerts({ start: 'beginning' }))
      seen.push(...changes.flatMap(({ alert }) => alert?.title ?? []));
  })();
  following.catch(() => undefined);
  const payments = as('payments', 'alerts:create', true);
  const { alert } = await payments.createAlert(alertFor(['op01'], 'in the shape of production'));
  await untilTrue(() => seen.includes('in the shape of production'), { what: 'the alert on the stream' });
  await untilTrue(async () => (await fcm.received(device)).some(({ accepted }) => accepted), { what: 'the push' });
  await untilTrue(() => seen.some((title) => /slow/.test(title)), {
    what: () => `an alert about ourselves, among ${seen.join(', ')}`,
  });
  const roleAddresses = (await Promise.all(Object.values(all).map((role) => role.listening()))).map(({ http }) => http);
  const trace = await prod.command(
    ['alerts', 'trace', String(alert!.alertId), '--roles', roleAddresses.join()],
    terminal,
  );
  assert.match(trace, /in the inbox of every recipient.*pushed .* 1 of 1/s);
  const operator = { ...prod.environmentOf('operator') };
  assert.match(await prod.command(['audit', 'list', '--actor', 'op01'], operator), /device/);
  await prod.command(['audit', 'verify'], operator);
  await untilTrue(
    async () => {
      const { data } = (await (await fetch(`${prod.jaegerUrl}/api/services`)).json()) as { data: string[] | null };
      return ROLE_NAMES.every((role) => data?.includes(`ssom-${role}`));
    },
    { what: 'the spans of every role', timeoutMs: 30_000 },
  );

  // Who does not belong.
  const refused = { code: 'UNAUTHENTICATED', reason: 'TOKEN_AUDIENCE' };
  const forKafka = createClient({
    address: prod.grpcAddress,
    identity: { token: readFileSync(prod.file('fanout.token'), 'utf8').trim() },
    tls,
  });
  defer(t, () => forKafka.close());
  await assert.rejects(forKafka.listInbox({}), refused);
  await assert.rejects(inboxOf(payments, 'op01'), { code: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING' });
  const inClear = createClient({ address: prod.grpcAddress, identity: { token: prod.token('op01', 'inbox') } });
  defer(t, () => inClear.close());
  await assert.rejects(inClear.createAlert(alertFor(['op01'], 'in clear'), { retryForMs: 0 }), { code: 'UNAVAILABLE' });

  const logs = Object.values(all).map(({ output }) => output);
  for (const secret of prod.secrets())
    assert.ok(!logs.some((log) => log.includes(secret)), `a secret of ${folder} is in a log`);
}
