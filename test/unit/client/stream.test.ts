import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { createClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import type { StreamEvent } from '../../../services/client/stream.js';
import { AlertError } from '../../../services/domain/errors.js';
import { toStatus } from '../../../services/lib/grpc/status.js';
import { untilTrue } from '../../support/until-true.js';
import { closeAfter, fakeService, refuse, type StreamCall } from './fake-service.js';

const SOON = { baseMs: 1, capMs: 5 };
const identity = { userId: 'op01' };

function change(alertId: number) {
  return { type: 'INBOX_CHANGE_TYPE_CREATED', sequence: alertId, alert: { alertId, title: `t${alertId}` } } as const;
}

test('a lost stream goes on with the last token, and hands over everything once and in order', async (t) => {
  const asked: { token: string; start: string; user: string }[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      const { resumeToken, start } = call.request;
      asked.push({ token: resumeToken, start, user: String(call.metadata.get('x-user-id')[0]) });
      const from = Number(resumeToken.slice(1) || 0);
      if (from === 4) {
        call.write({ changes: [change(5)], resumeToken: 'r5', unreadCount: 5 });
        call.write({ changes: [], resumeToken: 'r5', unreadCount: 5 });
        return;
      }
      for (const id of [from + 1, from + 2]) call.write({ changes: [change(id)], resumeToken: `r${id}` });
      refuse(call, { code: grpc.status.UNAVAILABLE, details: 'shutting down' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const events: StreamEvent['type'][] = [];
  const ids: number[] = [];
  for await (const response of client.streamAlerts({
    start: 'beginning',
    reconnect: SOON,
    onEvent: ({ type }) => events.push(type),
  })) {
    ids.push(...response.changes.map(({ alert }) => alert!.alertId));
    if (response.changes.length === 0) break;
  }
  assert.deepEqual(ids, [1, 2, 3, 4, 5]);
  assert.deepEqual(
    asked.map(({ token }) => token),
    ['', 'r2', 'r4'],
  );
  assert.deepEqual(
    new Set(asked.map(({ start, user }) => `${start} ${user}`)),
    new Set(['STREAM_START_BEGINNING op01']),
  );
  assert.deepEqual(events, ['connected', 'lost', 'connected', 'lost', 'connected', 'live']);
});

test('a silent stream is taken for dead, and the next one uses another connection', async (t) => {
  const peers: string[] = [];
  const tokens: string[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      peers.push(call.getPeer());
      tokens.push(call.request.resumeToken);
      call.write({ changes: [change(peers.length)], resumeToken: `r${peers.length}` });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const lost: string[] = [];
  const seen: number[] = [];
  for await (const response of client.streamAlerts({
    checkpointIntervalMs: 1000,
    reconnect: SOON,
    onEvent: (event) => event.type === 'lost' && lost.push(event.error.reason),
  })) {
    seen.push(response.changes[0]!.sequence);
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, [1, 2]);
  assert.deepEqual(tokens, ['', 'r1']);
  assert.deepEqual(lost, ['CHECKPOINTS_MISSED']);
  assert.notEqual(peers[0], peers[1]);
});

test('checkpoints keep a quiet stream alive', async (t) => {
  const checkpointIntervalMs = 1000;
  let calls = 0;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      calls += 1;
      const timer = setInterval(() => call.write({ changes: [], resumeToken: 'r' }), 0.7 * checkpointIntervalMs);
      call.on('cancelled', () => clearInterval(timer));
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  let checkpoints = 0;
  for await (const { changes } of client.streamAlerts({ checkpointIntervalMs, reconnect: SOON })) {
    assert.equal(changes.length, 0);
    checkpoints += 1;
    if (checkpoints === 5) break;
  }
  assert.equal(calls, 1);
});

test('what another connection does not cure is thrown with its reason', async (t) => {
  let calls = 0;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      calls += 1;
      if (calls === 1) {
        call.write({ changes: [change(1)], resumeToken: 'r1' });
        return refuse(call, { code: grpc.status.UNAVAILABLE, details: 'shutting down' });
      }
      refuse(call, toStatus(new AlertError('OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED', 'reload the inbox')));
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { changes } of client.streamAlerts({ reconnect: SOON })) seen.push(changes[0]!.sequence);
    },
    (error: unknown) =>
      error instanceof AlertClientError &&
      error.code === 'OUT_OF_RANGE' &&
      error.reason === 'RESUME_TOKEN_EXPIRED' &&
      error.message === 'reload the inbox',
  );
  assert.deepEqual(seen, [1]);
  assert.equal(calls, 2);
});

test('with reconnect: false the first loss is thrown', async (t) => {
  let calls = 0;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      calls += 1;
      refuse(call, { code: grpc.status.UNAVAILABLE, details: 'shutting down' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const stream = client.streamAlerts({ reconnect: false });
  await assert.rejects(stream[Symbol.asyncIterator]().next(), { code: 'UNAVAILABLE', message: 'shutting down' });
  assert.equal(calls, 1);
});

test('a connection that is cut off, and a server that comes back, are seen through', async (t) => {
  const first = new grpc.Server();
  const serve = async (server: grpc.Server, address: string, sequence: number) => {
    server.addService(api.AlertStreamService.service, {
      StreamAlerts: (call: StreamCall) => {
        call.write({ changes: [change(sequence)], resumeToken: `r${sequence}-${call.request.resumeToken}` });
      },
    });
    t.after(() => server.forceShutdown());
    return new Promise<number>((resolve, reject) => {
      server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  };
  const address = `127.0.0.1:${await serve(first, '127.0.0.1:0', 1)}`;
  const client = closeAfter(t, createClient({ address, identity }));
  const tokens: string[] = [];
  let lost = 0;
  for await (const { resumeToken } of client.streamAlerts({
    reconnect: SOON,
    onEvent: ({ type }) => {
      if (type !== 'lost') return;
      lost += 1;
      // Not at once: a few tries find nobody.
      if (lost === 3) void serve(new grpc.Server(), address, 2);
    },
  })) {
    tokens.push(resumeToken);
    if (tokens.length === 1) first.forceShutdown();
    else break;
  }
  assert.deepEqual(tokens, ['r1-', 'r2-r1-']);
});

test('a slow consumer holds the server back', async (t) => {
  const total = 400;
  let written = 0;
  const title = 'x'.repeat(32_768);
  const writeAll = async (call: StreamCall) => {
    while (written < total) {
      written += 1;
      const alert = { alertId: written, title };
      const more = call.write({ changes: [{ sequence: written, alert }], resumeToken: `r${written}` });
      if (!more) await once(call, 'drain');
    }
  };
  const address = await fakeService(t, { StreamAlerts: (call: StreamCall) => void writeAll(call) });
  const client = closeAfter(t, createClient({ address, identity }));
  let expected = 0;
  for await (const { changes } of client.streamAlerts()) {
    expected += 1;
    assert.equal(changes[0]!.sequence, expected);
    if (expected === 1) {
      await untilQuiet(() => written);
      assert.ok(written < total / 2, `${written} of ${total} responses were written although nobody read`);
    }
    if (expected === total) break;
  }
});

/** Resolves when a number has not grown over 20 reads of the socket. */
async function untilQuiet(read: () => number): Promise<void> {
  for (let same = 0, last = -1; same < 20;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    same = read() === last ? same + 1 : 0;
    last = read();
  }
}

test('the signal ends the iteration and the call without an error, also while waiting to reconnect', async (t) => {
  let cancelled: (() => void) | undefined;
  const ended = new Promise<void>((resolve) => (cancelled = resolve));
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      call.on('cancelled', () => cancelled?.());
      call.write({ changes: [], resumeToken: 'r' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const controller = new AbortController();
  for await (const { changes } of client.streamAlerts({ signal: controller.signal })) {
    assert.equal(changes.length, 0);
    controller.abort();
  }
  await ended;

  const nobody = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
  const waiting = new AbortController();
  const never = nobody.streamAlerts({
    signal: waiting.signal,
    reconnect: { baseMs: 8e7, capMs: 8e7 },
    onEvent: () => setImmediate(() => waiting.abort()),
  });
  assert.equal((await never[Symbol.asyncIterator]().next()).done, true);
});

test('close ends the streams', async (t) => {
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => void call.write({ changes: [], resumeToken: 'r' }),
  });
  const client = createClient({ address, identity });
  for await (const { resumeToken } of client.streamAlerts()) {
    assert.equal(resumeToken, 'r');
    client.close();
  }
  assert.throws(() => client.streamAlerts(), { reason: 'CLIENT_CLOSED' });
});

for (const reason of ['RESUME_TOKEN_EXPIRED', 'RESUME_TOKEN_AHEAD']) {
  test(`a token that is of no use any more (${reason}) is told once, and the stream goes on with the whole inbox`, async (t) => {
    const asked: string[] = [];
    const address = await fakeService(t, {
      StreamAlerts: (call: StreamCall) => {
        asked.push(`${call.request.start} ${call.request.resumeToken}`);
        if (call.request.resumeToken === 'old') {
          const error = new AlertError('OUT_OF_RANGE', reason, 'of no use');
          call.emit('error', toStatus(error));
          return;
        }
        call.write({ changes: [change(1)], resumeToken: 'r1', behind: 4 });
        call.write({ changes: [], resumeToken: 'r1' });
      },
    });
    const client = closeAfter(t, createClient({ address, identity }));
    const saved: string[] = [];
    const tokens = {
      load: () => Promise.resolve('old'),
      save: (token: string) => Promise.resolve(void saved.push(token)),
    };
    const events: StreamEvent['type'][] = [];
    const stream = client.streamAlerts({ tokens, onEvent: ({ type }) => events.push(type) });
    assert.equal(stream.state, 'connecting');
    const seen: [string, number][] = [];
    for await (const { changes } of stream) {
      seen.push([stream.state, stream.behind]);
      if (changes.length === 0) break;
    }
    assert.deepEqual(seen, [
      ['catching up', 4],
      ['live', 0],
    ]);
    assert.equal(stream.state, 'ended');
    assert.deepEqual(events, ['expired', 'connected', 'live']);
    assert.deepEqual(asked, ['STREAM_START_NOW old', 'STREAM_START_BEGINNING ']);
    // The old one stays until there is another; the last response was still in the consumer's hands.
    assert.deepEqual(saved, ['r1']);
  });
}

test('an expired token is thrown where nobody listens for it', async (t) => {
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      call.emit('error', toStatus(new AlertError('OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED', 'too old')));
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  await assert.rejects(
    async () => {
      for await (const _ of client.streamAlerts({ resumeToken: 'old' })) assert.fail('a response');
    },
    (error: AlertClientError) => error.code === 'OUT_OF_RANGE' && error.reason === 'RESUME_TOKEN_EXPIRED',
  );
});

test('refused credentials are asked for anew, by calls once and by streams a few times', async (t) => {
  const sent: string[] = [];
  const refuseUnless = (header: unknown) => {
    sent.push(String(header));
    return header !== 'Bearer fresh';
  };
  const unauthenticated = { code: grpc.status.UNAUTHENTICATED, details: 'the token is too old' };
  const address = await fakeService(t, {
    GetUnreadCount: (
      call: grpc.ServerUnaryCall<unknown, unknown>,
      done: grpc.sendUnaryData<{ unreadCount: number }>,
    ) => (refuseUnless(call.metadata.get('authorization')[0]) ? done(unauthenticated) : done(null, { unreadCount: 3 })),
    StreamAlerts: (call: StreamCall) => {
      if (refuseUnless(call.metadata.get('authorization')[0])) refuse(call, unauthenticated);
      else call.write({ changes: [], resumeToken: 'r1' });
    },
  });
  const token = (refused: boolean) => Promise.resolve(refused ? 'fresh' : 'stale');
  const client = closeAfter(t, createClient({ address, identity: { token } }));
  assert.equal((await client.getUnreadCount({})).unreadCount, 3);
  for await (const _ of client.streamAlerts({ reconnect: SOON })) break;
  assert.deepEqual(sent, ['Bearer stale', 'Bearer fresh', 'Bearer stale', 'Bearer fresh']);

  const nobody = closeAfter(t, createClient({ address, identity: { token: () => 'never-right' } }));
  await assert.rejects(nobody.getUnreadCount({}), { code: 'UNAUTHENTICATED' });
  await assert.rejects(
    async () => {
      for await (const _ of nobody.streamAlerts({ reconnect: SOON })) assert.fail('a response');
    },
    { code: 'UNAUTHENTICATED' },
  );
});

test('a stream that was lost is resumed at the next gateway', async (t) => {
  const visited: number[] = [];
  const tokens: string[] = [];
  const gateways = await Promise.all(
    [1, 2].map((number) =>
      fakeService(t, {
        StreamAlerts: (call: StreamCall) => {
          visited.push(number);
          tokens.push(call.request.resumeToken);
          call.write({ changes: [change(visited.length)], resumeToken: `r${visited.length}` });
          refuse(call, { code: grpc.status.UNAVAILABLE, details: 'shutting down' });
        },
      }),
    ),
  );
  const client = closeAfter(t, createClient({ address: gateways[0]!, streamAddress: gateways, identity }));
  for await (const _ of client.streamAlerts({ reconnect: SOON })) if (visited.length === 4) break;
  const [first, second] = visited;
  assert.notEqual(first, second);
  assert.deepEqual(visited, [first, second, first, second]);
  assert.deepEqual(tokens, ['', 'r1', 'r2', 'r3']);
});

test('a stream that is given up as it opens is not open at the service', async (t) => {
  let open = 0;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      open += 1;
      call.on('cancelled', () => (open -= 1));
      call.write({ changes: [], resumeToken: 'r' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  // The connection is made: what comes now is on the wire within the turn.
  for await (const response of client.streamAlerts()) if (response.changes.length === 0) break;
  for (let ticks = 0; ticks < 12; ticks += 1) {
    const abort = new AbortController();
    const stream = client.streamAlerts({ signal: abort.signal })[Symbol.asyncIterator]();
    const next = stream.next();
    for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
    abort.abort();
    assert.equal((await next).done, true);
  }
  // A later stream on the same connection: the service has heard of all that was before it.
  for await (const response of client.streamAlerts()) if (response.changes.length === 0) break;
  await untilTrue(() => open === 0, { what: () => `no stream is open; ${open} are` });
});
