import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { type AlertClient, type ClientOptions, createClient } from '../../../services/client/client.js';
import type { StreamOptions } from '../../../services/client/stream.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { InboxChange } from '../../../services/gen/types.js';
import { toStatus } from '../../../services/lib/grpc/status.js';
import { untilTrue } from '../../support/until-true.js';
import { closeAfter, fakeService, refuse, type StreamCall } from './fake-service.js';

/*
 * A signal that comes at any stage of a stream ends the iteration without an error, the call, and whatever would keep
 * the process alive.
 */

const identity = { userId: 'op01' };
const CHANGES: InboxChange[] = [{ type: 'INBOX_CHANGE_TYPE_CREATED', sequence: 1, alert: { alertId: 1 } }];

interface Stage {
  /** What the service does with a stream; nothing unless given. */
  readonly serve?: (call: StreamCall) => void;
  readonly client?: Partial<ClientOptions>;
  /** Told when its stage has come by calling `abort`. */
  readonly stream?: (abort: () => void) => StreamOptions;
  readonly onResponse?: (abort: () => void, count: number) => void;
  /** Aborts when the service has been called. */
  readonly onCall?: boolean;
  /** How many calls have to have reached the service; 1. */
  readonly calls?: number;
}

const never = () => new Promise<never>(() => undefined);

const STAGES: Record<string, Stage> = {
  'before it begins': { stream: (abort) => (abort(), {}), calls: 0 },
  'while the stored token is read': {
    stream: (abort) => ({ tokens: { load: async () => (abort(), 'r1'), save: never } }),
    calls: 0,
  },
  'whose stored token is never read': {
    stream: (abort) => ({ tokens: { load: (abort(), never), save: never } }),
    calls: 0,
  },
  'while its token is never saved': {
    serve: (call) => call.write({ changes: CHANGES, resumeToken: 'r1' }),
    stream: (abort) => ({ tokens: { load: async () => 'r0', save: () => (setImmediate(abort), never()) } }),
  },
  'while an event is never done with': {
    serve: (call) => call.write({ changes: [], resumeToken: 'r1' }),
    stream: (abort) => ({ onEvent: () => (setImmediate(abort), never()) }),
  },
  // The interval is also how long it would be waited for.
  'while its credentials are awaited': { stream: () => ({ checkpointIntervalMs: 300_000 }), calls: 0 },
  'before the first response': { onCall: true },
  'while it catches up': {
    serve: (call) => call.write({ changes: CHANGES, resumeToken: 'r1' }),
    onResponse: (abort) => abort(),
  },
  'while more waits to be taken': {
    serve: (call) => {
      for (let count = 0; count < 100; count += 1) call.write({ changes: CHANGES, resumeToken: 'r1' });
    },
    onResponse: (abort, count) => count === 3 && abort(),
  },
  'while it is live': {
    serve: (call) => call.write({ changes: [], resumeToken: 'r1' }),
    stream: (abort) => ({ onEvent: ({ type }) => type === 'live' && setImmediate(abort) }),
  },
  'while it waits to connect again': {
    serve: (call) => refuse(call, { code: grpc.status.UNAVAILABLE, details: 'away' }),
    stream: (abort) => ({ reconnect: { baseMs: 8e7, capMs: 8e7 }, onEvent: () => setImmediate(abort) }),
  },
  'while its user forgets the inbox': {
    serve: (call) => refuse(call, toStatus(new AlertError('OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED', 'too old'))),
    stream: (abort) => ({ onEvent: abort }),
  },
};

/** Timers, sockets and the like that keep the process alive; the service's sockets end with ours. */
async function untilNothingIsHeld(): Promise<void> {
  const held = () =>
    process.getActiveResourcesInfo().filter((name) => /^(Timeout|Immediate|TCPSocket|TLS|FSReq)/.test(name));
  await untilTrue(() => held().length === 0, { what: () => `nothing is held: ${held().join(' ')}` });
}

async function iterate(client: AlertClient, stage: Stage, controller: AbortController): Promise<void> {
  const abort = () => controller.abort();
  let count = 0;
  const stream = client.streamAlerts({ ...stage.stream?.(abort), signal: controller.signal });
  for await (const _ of stream) stage.onResponse?.(abort, (count += 1));
  assert.equal(stream.state, 'ended');
}

for (const [name, stage] of Object.entries(STAGES)) {
  test(`the signal ends a stream ${name}`, async (t) => {
    const controller = new AbortController();
    const ended: Promise<void>[] = [];
    const address = await fakeService(t, {
      StreamAlerts: (call: StreamCall) => {
        ended.push(new Promise((resolve) => call.on('close', resolve).on('cancelled', resolve)));
        stage.serve?.(call);
        if (stage.onCall) controller.abort();
      },
    });
    const awaited = name.includes('credentials');
    const token = () => (setImmediate(() => controller.abort()), never());
    const client = closeAfter(t, createClient({ address, identity: awaited ? { token } : identity }));
    await iterate(client, stage, controller);
    assert.equal(ended.length, stage.calls ?? 1);
    await Promise.all(ended);
    client.close();
    await untilNothingIsHeld();
  });
}

test('the signal ends a stream while it connects to one that says nothing', async (t) => {
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = closeAfter(
    t,
    createClient({ address: `127.0.0.1:${(server.address() as AddressInfo).port}`, identity }),
  );
  const controller = new AbortController();
  const stream = iterate(client, {}, controller);
  const [socket] = (await once(server, 'connection')) as [Socket];
  controller.abort();
  await stream;
  client.close();
  // grpc-js leaves a connection that is not made yet to itself, and does not let it keep the process alive.
  socket.destroy();
  await untilNothingIsHeld();
});

test('return() ends the call while next() waits', async (t) => {
  let ended: Promise<void> | undefined;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      ended = new Promise((resolve) => call.on('cancelled', resolve));
      call.write({ changes: CHANGES, resumeToken: 'r1' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const stream = client.streamAlerts({ checkpointIntervalMs: 300_000 });
  const responses = stream[Symbol.asyncIterator]();
  await responses.next();
  const next = responses.next();
  assert.equal((await responses.return!()).done, true);
  assert.equal((await next).done, true);
  assert.equal(stream.state, 'ended');
  await ended;
  client.close();
  await untilNothingIsHeld();
});

test('a stream is iterated once', async (t) => {
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => void call.write({ changes: CHANGES, resumeToken: 'r1' }),
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const stream = client.streamAlerts();
  for await (const _ of stream) break;
  assert.throws(() => stream[Symbol.asyncIterator](), { reason: 'STREAM_ITERATED_TWICE' });
});

test('a consumer that throws closes the call, and keeps its own error', async (t) => {
  let ended: Promise<void> | undefined;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      ended = new Promise((resolve) => call.on('cancelled', resolve));
      call.write({ changes: CHANGES, resumeToken: 'r1' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const saved: string[] = [];
  const tokens = { load: async () => undefined, save: async (token: string) => void saved.push(token) };
  await assert.rejects(async () => {
    for await (const { changes } of client.streamAlerts({ tokens })) throw new Error(`no place for ${changes.length}`);
  }, /^Error: no place for 1$/);
  await ended;
  assert.deepEqual(saved, []);
  client.close();
  await untilNothingIsHeld();
});
