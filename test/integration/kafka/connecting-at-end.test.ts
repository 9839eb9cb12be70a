import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { createAuthority, issueCertificate } from '#stack';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import { startTestCluster } from '../../support/in-process.js';
import { type Environment, Roles } from '../../support/role-process.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { untilTrue } from '../../support/until-true.js';

const ROUNDS = 2;
/** One connects a producer first, the other a consumer. */
const ROLES = ['alert-api', 'stream-gateway'];

/** A broker that speaks TLS, and nothing else. */
class MuteBroker {
  /** Connections so far. */
  met = 0;
  /** Whoever is through with the handshake is cut off, and tries again. */
  isCutting = false;

  private constructor(
    readonly proxy: TcpProxy,
    /** How it is known. */
    readonly tls: Environment,
  ) {}

  static async start(t: TestContext): Promise<MuteBroker> {
    const folder = temporaryFolder();
    defer(t, folder.remove);
    const authority = createAuthority();
    const { certificate: cert, key } = issueCertificate(authority, 'broker', { ip: ['127.0.0.1'] });
    const ca = join(folder.path, 'ca.pem');
    writeFileSync(ca, authority.certificate);
    const server = createTlsServer({ cert, key }, (socket) => {
      socket.on('error', () => undefined).resume();
      if (broker.isCutting) socket.destroy();
    });
    server.on('connection', () => (broker.met += 1));
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    defer(t, () => server.close());
    const proxy = await TcpProxy.listen((server.address() as AddressInfo).port);
    defer(t, () => proxy.close());
    const broker = new MuteBroker(proxy, { KAFKA_SECURITY_PROTOCOL: 'SSL', KAFKA_SSL_CA_LOCATION: ca });
    return broker;
  }

  heal(): void {
    this.isCutting = false;
    this.proxy.heal();
  }
}

test('roles that are told to end while they connect to Kafka end in order, whatever the broker does', async (t) => {
  const { backends } = await startTestCluster(t);
  const broker = await MuteBroker.start(t);
  const { proxy, tls } = broker;
  const roles = new Roles({
    DATABASE_URL: backends.databaseUrl,
    SCHEMA_REGISTRY_URL: backends.registryUrl,
    KAFKA_BOOTSTRAP_SERVERS: proxy.address,
  });
  defer(t, () => roles.stop());
  const brokers = {
    'swallows everything': [{}, () => proxy.silence()],
    'hangs in the TLS handshake': [tls, () => proxy.silence()],
    'cuts off who is through with the TLS handshake': [tls, () => (broker.isCutting = true)],
  } as const;
  for (const [what, [environment, disturb]] of Object.entries(brokers)) {
    for (let round = 0; round < ROUNDS; round += 1) {
      disturb();
      const before = broker.met;
      const ending = ROLES.map((role) => roles.start(role, environment));
      // One that is told to end before it listens for that is killed by it; another may have connected twice by then.
      await Promise.all(ending.map((role) => role.listening()));
      await untilTrue(() => broker.met >= before + ROLES.length, { what: 'all connect', intervalMs: 2 });
      const codes = await Promise.all(ending.map((role) => role.stop()));
      assert.deepEqual(codes, [0, 0], `a broker that ${what}: ${ending.map(({ output }) => output).join('\n')}`);
      broker.heal();
      await untilTrue(() => proxy.connections === 0, { what: 'nobody is connected any more' });
    }
  }
});
