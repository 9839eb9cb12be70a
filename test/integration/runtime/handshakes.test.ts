import assert from 'node:assert/strict';
import { connect as connectTcp, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { createAuthority, issueCertificate } from '#stack';
import type { HandshakeFailure } from '../../../services/lib/grpc/handshakes.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { HANDSHAKES, RefusedAttempts } from '../../../services/runtime/refused-attempts.js';
import { entriesOf } from '../../support/audit.js';
import { defer } from '../../support/defer.js';
import type { LogLine } from '../../support/log-lines.js';
import { readPage } from '../../support/metrics-page.js';
import { startMtlsCluster } from '../../support/mtls-cluster.js';
import { createTestDatabase } from '../../support/postgres.js';
import { untilTrue } from '../../support/until-true.js';

const PAST = { from: '20200101', to: '20210101' } as const;
const FUTURE = { from: '21000101', to: '21100101' } as const;
const NAME = 'spiffe://ssom/payments';
/** As a client with no list of its own offers them, so that it is we who refuse. */
const ALL_CIPHERS = 'ALL:@SECLEVEL=0';

async function start(t: TestContext) {
  const { cluster, certificates, tls } = await startMtlsCluster(t, { [NAME]: { service: 'payments', scopes: [] } });
  const role = await cluster.start('alert-api', { tls });
  const port = Number(role.address.split(':')[1]);
  const failed = async () => {
    const page = readPage(await (await fetch(`http://${role.http}/metrics`)).text());
    const { samples } = page.get('ssom_grpc_handshakes_failed_total')!;
    return (reason: HandshakeFailure) => samples.find(({ labels }) => labels['reason'] === reason)!.value;
  };
  const isFailed = (reason: HandshakeFailure, times: number) =>
    untilTrue(async () => (await failed())(reason) >= times, { what: `${times} times ${reason}` });
  const warnings = () =>
    role
      .logged()
      .split('\n')
      .filter((line) => line.includes('a connection is refused'))
      .map((line) => JSON.parse(line) as LogLine);
  return { cluster, certificates, role, port, failed, isFailed, warnings };
}

/** Reads until the other side ends it; what a refused client hears differs by version, so nobody looks at it. */
async function untilClosed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
}

test('a connection that is refused in its handshake is counted, accounted for and logged, by its reason', async (t) => {
  const { cluster, certificates, role, port, failed, isFailed, warnings } = await start(t);
  const shake = (options: ConnectionOptions) =>
    untilClosed(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'], ...options }));
  const speak = (bytes: string | Buffer) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.write(bytes);
    return untilClosed(socket);
  };
  const as = ({ certificate, key }: { certificate: string; key: string }) => ({ cert: certificate, key });
  const ours = as(certificates.client);
  const stranger = createAuthority(undefined, { name: 'another', above: createAuthority() });
  const old = { ...ours, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: ALL_CIPHERS } as const;
  const weak = { ...ours, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' } as const;
  const { ALPNProtocols: _, ...noProtocol } = { ...ours, ALPNProtocols: undefined };
  const tried: [HandshakeFailure, () => Promise<void>][] = [
    ['no_certificate', () => shake({})],
    ['unknown_authority', () => shake(as(issueCertificate(stranger, 'client', { uri: [NAME] })))],
    // An authority of the same name and another key.
    ['unknown_authority', () => shake(as(issueCertificate(createAuthority(), 'client', { uri: [NAME] })))],
    ['certificate_expired', () => shake(as(certificates.clientNamed(NAME, PAST)))],
    ['certificate_not_yet_valid', () => shake(as(certificates.clientNamed(NAME, FUTURE)))],
    ['old_protocol', () => shake(old)],
    ['no_cipher', () => shake(weak)],
    ['no_tls', () => speak('GET / HTTP/1.1\r\n\r\n')],
    ['no_tls', () => speak('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['no_tls', () => speak(Buffer.alloc(100))],
    ['no_alpn', () => shake({ ...ours, ALPNProtocols: ['http/1.1'] })],
    ['no_alpn', () => untilClosed(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...noProtocol }))],
  ];
  const times = new Map<HandshakeFailure, number>();
  for (const [reason, attempt] of tried) {
    times.set(reason, (times.get(reason) ?? 0) + 1);
    await attempt();
    await isFailed(reason, times.get(reason)!);
  }
  // A probe of a balancer, which is no attempt.
  connectTcp(port, '127.0.0.1').end();
  await isFailed('gone', 1);
  const counted = await failed();
  assert.deepEqual([counted('other'), counted('refused_by_client')], [0, 0]);

  const reasons = [...times.keys()].map((reason) => `TLS_${reason.toUpperCase()}`);
  assert.deepEqual(
    [...new Map(warnings().map((line) => [line['reason'], line])).values()].map(({ level, address, reason }) => [
      level,
      address,
      reason,
    ]),
    reasons.map((reason) => [40, '127.0.0.1', reason]),
  );
  assert.match(String(warnings()[0]!['message']), /shows no certificate, which GRPC_TLS_CLIENT_CA_FILE asks for/);
  await role.stop();
  const entries = (await entriesOf(cluster.store.database)).filter(({ action }) => action === 'connection.refused');
  const accounted = new Map<string, number>();
  for (const { actor, outcome, reason, details } of entries) {
    assert.deepEqual([actor.kind, actor.peer, outcome], ['unknown', '127.0.0.1', 'refused']);
    accounted.set(reason, (accounted.get(reason) ?? 0) + Number(details['attempts']));
  }
  assert.deepEqual(
    [...accounted],
    [...times].map(([reason, count]) => [`TLS_${reason.toUpperCase()}`, count]),
  );
});

test('who fails a thousand handshakes adds one line to the log and one entry to the account', async (t) => {
  const { cluster, role, port, isFailed, warnings } = await start(t);
  const connectOnce = () => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n\r\n');
    return untilClosed(socket);
  };
  const started = performance.now();
  for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({ length: 50 }, connectOnce));
  await isFailed('no_tls', 1000);
  const minutes = Math.floor((performance.now() - started) / 60_000);
  assert.ok(warnings().length <= 1 + minutes, role.logged());
  await role.stop();
  const said = warnings().reduce((sum, { attempts }) => sum + Number(attempts), 0);
  assert.equal(said, 1000, 'how often is said at the end');
  const entries = (await entriesOf(cluster.store.database)).filter(({ action }) => action === 'connection.refused');
  const attempts = entries.map(({ details }) => Number(details['attempts']));
  const most = 2 + (performance.now() - started) / 5000;
  assert.ok(attempts.length <= most, `${attempts.length} entries, of at most one for every 5 s`);
  assert.equal(
    attempts.reduce((sum, count) => sum + count, 0),
    1000,
  );
});

test('handshakes that fail from everywhere take room of their own, and leave that of refused calls', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  const refused = new RefusedAttempts({ database, logger: silentLogger(), metrics, gatherMs: 60_000 });
  for (let n = 0; n < 20_000; n += 1)
    refused.noteHandshake({ failure: 'no_tls', address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` });
  await refused.handshakes.write(Infinity);
  const [written] = await sql(
    `SELECT count(*) AS entries, sum((details ->> 'attempts')::int) AS attempts FROM audit_log`,
  );
  assert.deepEqual(written, { entries: HANDSHAKES.groupsMax + 1, attempts: 20_000 });
  await refused.close();
});
