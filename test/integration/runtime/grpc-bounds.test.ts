import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect } from 'node:net';
import test from 'node:test';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { HealthImplementation, service as healthService } from 'grpc-health-check';
import { addHealth } from '../../../services/lib/grpc/health.js';
import { statusDetails } from '../../../services/lib/grpc/status.js';
import { connectApi, type TestApi } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { startTestCluster } from '../../support/in-process.js';
import { readPage } from '../../support/metrics-page.js';
import { untilTrue } from '../../support/until-true.js';

type Opened = grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>;
interface Refusal {
  readonly code: string;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
}

const asIs = (bytes: Buffer) => bytes;

/** Resolves with 'open' once the service answers, or with why it refuses. */
function outcomeOf(stream: Opened): Promise<'open' | Refusal> {
  return new Promise((resolve) => {
    stream.once('data', () => resolve('open'));
    stream.on('error', (error: grpc.ServiceError) => {
      const { reason, retryAfterMs } = statusDetails(error);
      resolve({ code: grpc.status[error.code], reason, retryAfterMs });
    });
  });
}

function watch({ client }: TestApi, service = ''): Opened {
  const { path, requestSerialize } = healthService['Watch']!;
  return client.makeServerStreamRequest(path, asIs, asIs, requestSerialize({ service }), new grpc.Metadata());
}

function reflect({ client }: TestApi): Opened {
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const stream = client.makeBidiStreamRequest(path, asIs, asIs, new grpc.Metadata());
  // list_services: "*"
  stream.write(Buffer.from([0x3a, 1, 0x2a]));
  return stream;
}

for (const { what, open, perConnection, bound } of [
  { what: 'health watches', open: watch, perConnection: 20, bound: 'health_watches' },
  { what: 'reflections', open: reflect, perConnection: 10, bound: 'reflections' },
]) {
  test(`${what} are bounded on each connection; when one has ended there is room again`, async (t) => {
    const cluster = await startTestCluster(t);
    const role = await cluster.start('stream-gateway', { ready: false });
    const [api, another] = [cluster.api(role), cluster.api(role)];
    const streams = Array.from({ length: perConnection }, () => open(api));
    assert.deepEqual(
      await Promise.all(streams.map(outcomeOf)),
      streams.map(() => 'open'),
    );
    const refused = (await outcomeOf(open(api))) as Refusal;
    assert.deepEqual([refused.code, refused.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS']);
    assert.ok(refused.retryAfterMs! > 0);
    const elsewhere = open(another);
    assert.equal(await outcomeOf(elsewhere), 'open');
    streams[0]!.cancel();
    const later = await untilTrue(
      async () => {
        const stream = open(api);
        return (await outcomeOf(stream)) === 'open' ? stream : undefined;
      },
      { what: 'there is room' },
    );
    for (const stream of [...streams, elsewhere, later]) stream.cancel();
    const page = readPage(await (await fetch(`http://${role.http}/metrics`)).text());
    const counted = page.get('ssom_grpc_refused')?.samples ?? page.get('ssom_grpc_refused_total')!.samples;
    assert.ok(counted.find(({ labels }) => labels['bound'] === bound)!.value >= 1);
  });
}

test('a stream that sends its headers alone counts as well', async (t) => {
  const cluster = await startTestCluster(t);
  const role = await cluster.start('stream-gateway', { ready: false });
  const session = http2.connect(`http://${role.address}`);
  defer(t, () => session.destroy());
  const open = () => {
    const headers = {
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const stream = session.request(headers);
    stream.on('error', () => undefined);
    return stream;
  };
  for (let count = 0; count < 20; count += 1) open();
  const [headers] = (await once(open(), 'response')) as [http2.IncomingHttpHeaders];
  assert.equal(headers['grpc-status'], String(grpc.status.RESOURCE_EXHAUSTED));
});

test('who watches services that there are not is told so, and leaves nothing behind', async (t) => {
  const server = new grpc.Server();
  defer(t, () => server.forceShutdown());
  const health = new HealthImplementation({ '': 'SERVING' });
  addHealth(server, health, (service) => service === '');
  const port = await promisify(server.bindAsync.bind(server))('127.0.0.1:0', grpc.ServerCredentials.createInsecure());
  const api = connectApi(t, `127.0.0.1:${port}`);
  for (let count = 0; count < 50; count += 1) {
    const stream = watch(api, `no-such-${count}`);
    const [answer] = (await once(stream, 'data')) as [Buffer];
    assert.deepEqual([...answer], [8, 3], 'SERVICE_UNKNOWN');
    stream.on('error', () => undefined);
    stream.cancel();
  }
  const { watchers } = health as unknown as { watchers: Map<string, unknown> };
  assert.equal(watchers.size, 0);
});

test('connections are bounded, and calls at once on each: one more connection is closed, and counted', async (t) => {
  const cluster = await startTestCluster(t, { GRPC_CONNECTIONS_MAX: '3', GRPC_CALLS_PER_CONNECTION_MAX: '7' });
  const role = await cluster.start('stream-gateway', { ready: false });
  const session = http2.connect(`http://${role.address}`);
  defer(t, () => session.destroy());
  await once(session, 'remoteSettings');
  assert.equal(session.remoteSettings.maxConcurrentStreams, 7);
  const [host, port] = role.address.split(':');
  const open = () => {
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    defer(t, () => socket.destroy());
    return socket;
  };
  const others = [open(), open()];
  await Promise.all(others.map((socket) => once(socket, 'data')));
  const closed = open();
  await once(closed, 'close');
  assert.equal(closed.bytesRead, 0);
  others[0]!.destroy();
  await untilTrue(
    async () => {
      const socket = open();
      return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
    },
    { what: 'there is room again' },
  );
  const text = await (await fetch(`http://${role.http}/metrics`)).text();
  assert.match(text, /ssom_grpc_refused_total\{bound="connections"[^}]*\} [1-9]/);
});
