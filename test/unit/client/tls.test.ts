import assert from 'node:assert/strict';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { createClient } from '../../../services/client/client.js';
import { localCertificates } from '../../support/certificates.js';
import { closeAfter, fakeService, type StreamCall } from './fake-service.js';

test('calls and streams are encrypted, with an authority of your own, and with no other', async (t) => {
  const { authority, certificate, key } = localCertificates();
  const credentials = grpc.ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) },
  ]);
  const handlers = {
    GetUnreadCount: (
      _call: grpc.ServerUnaryCall<unknown, unknown>,
      done: grpc.sendUnaryData<{ unreadCount: number }>,
    ) => done(null, { unreadCount: 3 }),
    StreamAlerts: (call: StreamCall) => void call.write({ changes: [], resumeToken: 'r1' }),
  };
  const served = await fakeService(t, handlers, credentials);
  const address = served.replace('127.0.0.1', 'localhost');
  const connect = (tls: boolean | string) =>
    closeAfter(t, createClient({ address, identity: { token: 'secret' }, tls }));

  const client = connect(authority);
  assert.equal((await client.getUnreadCount({})).unreadCount, 3);
  for await (const { resumeToken } of client.streamAlerts({ reconnect: false })) {
    assert.equal(resumeToken, 'r1');
    break;
  }
  for (const tls of [false, true, localCertificates().authority]) {
    await assert.rejects(connect(tls).getUnreadCount({}), { code: 'UNAVAILABLE' });
  }
  assert.throws(() => connect('no certificate'), { code: 'INVALID_ARGUMENT', reason: 'TLS_INVALID' });
});
