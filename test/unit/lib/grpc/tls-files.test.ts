import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type grpc from '@grpc/grpc-js';
import { type AlertClient, type ClientOptions, createClient } from '../../../../services/client/client.js';
import { TlsFiles } from '../../../../services/lib/grpc/tls-files.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { type Certificates, chainedCertificates, localCertificates } from '../../../support/certificates.js';
import { defer } from '../../../support/defer.js';
import { logLines } from '../../../support/log-lines.js';
import { closeAfter, fakeService, type StreamCall } from '../../client/fake-service.js';

class Folder {
  private constructor(private readonly path: string) {}

  static async make(t: TestContext): Promise<Folder> {
    const path = await mkdtemp(join(tmpdir(), 'ssom-tls-'));
    defer(t, () => rm(path, { recursive: true }));
    return new Folder(path);
  }

  readonly file = (name: string) => join(this.path, name);

  get options() {
    return { certFile: this.file('cert.pem'), keyFile: this.file('key.pem') };
  }

  async write({ certificate, key }: { certificate?: string; key?: string }): Promise<void> {
    if (certificate !== undefined) await writeFile(this.options.certFile, certificate);
    if (key !== undefined) await writeFile(this.options.keyFile, key);
  }
}

/** A service that answers, and whose streams stay open. @returns its address, by the name in the certificate */
async function serve(t: TestContext, files: TlsFiles): Promise<string> {
  const handlers = {
    GetUnreadCount: (
      _call: grpc.ServerUnaryCall<unknown, unknown>,
      done: grpc.sendUnaryData<{ unreadCount: number }>,
    ) => done(null, { unreadCount: 3 }),
    StreamAlerts: (call: StreamCall) => {
      call.write({ changes: [], resumeToken: 'r1' });
      streams.push(call);
    },
  };
  const served = await fakeService(t, handlers, files.credentials);
  return served.replace('127.0.0.1', 'localhost');
}

const streams: StreamCall[] = [];

function connect(t: TestContext, address: string, tls: NonNullable<ClientOptions['tls']>): AlertClient {
  return closeAfter(t, createClient({ address, identity: { token: 'secret' }, tls }));
}

async function nextToken(stream: AsyncIterator<{ resumeToken: string }>): Promise<string | undefined> {
  const next = await stream.next();
  return next.done === true ? undefined : next.value.resumeToken;
}

const answers = async (client: AlertClient) => (await client.getUnreadCount({})).unreadCount === 3;
const refuses = (client: AlertClient) =>
  assert.rejects(client.getUnreadCount({}, { timeoutMs: 3000 }), { code: 'UNAVAILABLE' });

test('files that are replaced are used for new connections, and those that stand go on', async (t) => {
  const folder = await Folder.make(t);
  const [old, next] = [localCertificates(), localCertificates()];
  await folder.write(old);
  const files = new TlsFiles(folder.options, silentLogger());
  const address = await serve(t, files);
  const client = connect(t, address, old.authority);
  assert.ok(await answers(client));
  const stream = client.streamAlerts({ reconnect: false })[Symbol.asyncIterator]();
  assert.equal(await nextToken(stream), 'r1');
  await folder.write(next);
  files.look();
  assert.ok(await answers(connect(t, address, next.authority)));
  await refuses(connect(t, address, old.authority));
  streams.at(-1)!.write({ changes: [], resumeToken: 'r2' });
  assert.equal(await nextToken(stream), 'r2', 'the stream of before goes on');
  assert.ok(await answers(client));
});

test('a pair of which one file was replaced is not taken', async (t) => {
  const folder = await Folder.make(t);
  const [old, next] = [localCertificates(), localCertificates()];
  await folder.write(old);
  const { logger, lines } = logLines();
  const files = new TlsFiles(folder.options, logger);
  const address = await serve(t, files);
  await folder.write({ certificate: next.certificate });
  files.look();
  assert.match(
    String(lines.at(-1)?.['reason']),
    /the key in '.*key\.pem' and the certificate in '.*cert\.pem' do not fit/,
  );
  assert.ok(await answers(connect(t, address, old.authority)));
  await folder.write({ key: next.key });
  files.look();
  assert.ok(await answers(connect(t, address, next.authority)));
});

test('what cannot be used is named', async (t) => {
  const folder = await Folder.make(t);
  const good = localCertificates();
  const wrong = (message: RegExp) => assert.throws(() => new TlsFiles(folder.options, silentLogger()), message);
  wrong(/cert\.pem' cannot be read \(ENOENT\)/);
  await folder.write(good);
  assert.ok(new TlsFiles(folder.options, silentLogger()));
  await folder.write({ certificate: '' });
  wrong(/cert\.pem' is empty/);
  const cut = good.certificate + localCertificates().certificate.slice(0, 200);
  await folder.write({ certificate: cut });
  wrong(/cert\.pem' has a certificate that is not whole/);
  await folder.write({ certificate: good.certificate, key: 'no key' });
  wrong(/key\.pem' is no PEM/);
  await folder.write({ key: '' });
  wrong(/key\.pem' is empty/);
  const locked = createPrivateKey(good.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  });
  await folder.write({ key: locked as string });
  wrong(/the key in '.*key\.pem' has a passphrase; give it without/);
  await folder.write({ key: localCertificates().key });
  wrong(/do not fit/);
  await folder.write(localCertificates({ from: '20200101', to: '20210101' }));
  wrong(/the certificate in '.*cert\.pem' has expired \(Jan  1 .* 2021 GMT\)/);
  await folder.write(localCertificates({ from: '21000101', to: '21100101' }));
  wrong(/the certificate in '.*cert\.pem' is not valid yet \(from Jan  1 .* 2100 GMT\)/);
  await mkdir(folder.file('folder'));
  const options = { ...folder.options, keyFile: folder.file('folder') };
  assert.throws(() => new TlsFiles(options, silentLogger()), /folder' cannot be read \(EISDIR\)/);
});

test('with an authority of clients, who has no certificate of it does not get in', async (t) => {
  const folder = await Folder.make(t);
  const ours = localCertificates();
  await folder.write(ours);
  const clientCaFile = folder.file('ca.pem');
  await writeFile(clientCaFile, ours.authority);
  const files = new TlsFiles({ ...folder.options, clientCaFile }, silentLogger());
  const address = await serve(t, files);
  const as = ({ client }: Certificates) => connect(t, address, { ...client, authorities: ours.authority });
  assert.ok(await answers(as(ours)));
  await refuses(as(localCertificates()));
  await refuses(connect(t, address, ours.authority));
  const mixed = { certificate: ours.client.certificate, key: ours.key };
  assert.throws(() => connect(t, address, mixed), { code: 'INVALID_ARGUMENT', reason: 'TLS_INVALID' });
});

test('a server that leaves out what is between its certificate and the authority, or has another name, is not believed', async (t) => {
  const folder = await Folder.make(t);
  const { root, between, certificate, key } = chainedCertificates();
  await folder.write({ certificate: certificate + between, key });
  const files = new TlsFiles(folder.options, silentLogger());
  const address = await serve(t, files);
  assert.ok(await answers(connect(t, address, root)));
  await refuses(connect(t, address.replace('localhost', '127.0.0.1'), root));
  await folder.write({ certificate });
  files.look();
  await refuses(connect(t, address, root));
});

/** Shakes hands. @returns the protocol and cipher, or the code of what came instead */
function handshake(address: string, options: ConnectionOptions): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ...options });
    socket.once('secureConnect', () => {
      // In TLS 1.3 the server may still refuse.
      socket.once('data', (data: Buffer) => end(/^HTTP\/1/.test(data.toString()) ? data.toString() : agreed(socket)));
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => end(code ?? 'error'));
    const end = (outcome: string) => {
      socket.destroy();
      resolve(outcome);
    };
  });
}

const agreed = (socket: TLSSocket) => `${socket.getProtocol()} ${socket.getCipher().name} ${socket.alpnProtocol}`;

test('less than TLS 1.2, ciphers without forward secrecy or authentication, and HTTP/1.1 are refused', async (t) => {
  const folder = await Folder.make(t);
  await folder.write(localCertificates());
  const files = new TlsFiles(folder.options, silentLogger());
  const address = await serve(t, files);
  const h2 = { ALPNProtocols: ['h2'] };
  const tls12 = { ...h2, maxVersion: 'TLSv1.2' } as const;
  // As without our list: what a client of these offers is agreed to.
  const weak = 'ALL:@SECLEVEL=0';
  const judge = async () => {
    assert.equal(await handshake(address, h2), 'TLSv1.3 TLS_AES_256_GCM_SHA384 h2');
    assert.equal(await handshake(address, tls12), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 h2');
    for (const maxVersion of ['TLSv1', 'TLSv1.1'] as const)
      assert.match(
        await handshake(address, { ...h2, minVersion: 'TLSv1', maxVersion, ciphers: weak }),
        /ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION|ERR_SSL_NO_PROTOCOLS_AVAILABLE/,
        maxVersion,
      );
    for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-ECDSA-AES128-CCM'])
      assert.match(await handshake(address, { ...tls12, ciphers }), /HANDSHAKE_FAILURE/, ciphers);
    assert.match(
      await handshake(address, { ALPNProtocols: ['http/1.1'] }),
      /NO_APPLICATION_PROTOCOL|ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL/,
    );
    assert.match(await handshake(address, {}), /^HTTP\/1\.0 403 Forbidden[^]*Missing ALPN Protocol, expected `h2`/);
  };
  await judge();
  await folder.write(localCertificates());
  files.look();
  await judge();
});
