import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { startHttp } from '../../../services/lib/http.js';
import { defer } from '../../support/defer.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

/** What the port answers to these bytes. */
async function answerTo(address: string, bytes: string): Promise<string> {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect(Number(port), host);
  socket.write(bytes);
  return text(socket);
}

test('whoever speaks gRPC, or no HTTP, to the HTTP port is told which port is right', async (t) => {
  const endpoint = await startHttp('127.0.0.1:0', () => ({}), undefined);
  defer(t, () => endpoint.close());
  const { address } = endpoint;
  const http2 = await answerTo(address, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  assert.match(
    http2,
    /^HTTP\/1\.1 400 .*this port speaks no HTTP\/2: there are \/livez.*gRPC is served at GRPC_LISTEN/s,
  );
  assert.match(await answerTo(address, '\u0016\u0003\u0001'), /this is no HTTP request/);
  const missing = await fetch(`http://${address}/ssom.alert.v1.AlertService/GetAlert`, { method: 'POST' });
  assert.deepEqual(
    [missing.status, await missing.json()],
    [404, { error: 'there are /livez, /readyz and /metrics, by HTTP/1.1; gRPC is served at GRPC_LISTEN' }],
  );

  const context = fakeContext({ environment: {} });
  assert.notEqual(await main(['alerts', 'get', '1', '--address', address], context), 0);
  assert.match(context.err(), /speaks no gRPC: is it the port of \/metrics.*50051/);
  assert.doesNotMatch(context.err(), /Is the service running/);
});
