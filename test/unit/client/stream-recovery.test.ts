import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { createClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import type { StreamEvent } from '../../../services/client/stream.js';
import { fileTokenStore } from '../../../services/client/token-store.js';
import { AlertError } from '../../../services/domain/errors.js';
import { resetCall } from '../../../services/lib/grpc/reset-call.js';
import { toStatus } from '../../../services/lib/grpc/status.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { closeAfter, fakeService, refuse, type StreamCall } from './fake-service.js';

const SOON = { baseMs: 1, capMs: 5 };
const identity = { userId: 'op01' };
const EXPIRED = toStatus(new AlertError('OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED', 'too old'));

test('a connection that died without a word is noticed by its missed checkpoints, and the stream goes on', async (t) => {
  const asked: string[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      asked.push(call.request.resumeToken);
      const checkpoint = () => call.write({ changes: [], resumeToken: `r${asked.length}` });
      checkpoint();
      const timer = setInterval(checkpoint, 100);
      call.on('cancelled', () => clearInterval(timer)).on('close', () => clearInterval(timer));
    },
  });
  const proxy = await TcpProxy.listen(Number(address.split(':')[1]));
  t.after(() => proxy.close());
  const client = closeAfter(t, createClient({ address: proxy.address, identity }));
  const lost: string[] = [];
  const stream = client.streamAlerts({
    checkpointIntervalMs: 1000,
    reconnect: SOON,
    onEvent: (event) => event.type === 'lost' && lost.push(event.error.reason),
  });
  for await (const { resumeToken } of stream) {
    if (asked.length === 1 && lost.length === 0) proxy.halfOpen();
    if (resumeToken === 'r2') break;
  }
  assert.deepEqual(lost, ['CHECKPOINTS_MISSED']);
  assert.deepEqual(asked, ['', 'r1']);
});

test('credentials that are refused in the middle of a stream are exchanged, and it goes on behind the last response', async (t) => {
  const asked: string[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      const sent = String(call.metadata.get('authorization')[0]);
      asked.push(`${sent} ${call.request.resumeToken}`);
      call.write({ changes: [], resumeToken: `r${asked.length}` });
      if (asked.length < 3) refuse(call, { code: grpc.status.UNAUTHENTICATED, details: 'the token is too old' });
    },
  });
  let made = 0;
  const token = (refused: boolean) => `t${refused ? (made += 1) : made}`;
  const client = closeAfter(t, createClient({ address, identity: { token } }));
  for await (const { resumeToken } of client.streamAlerts({ reconnect: SOON })) if (resumeToken === 'r3') break;
  assert.deepEqual(asked, ['Bearer t0 ', 'Bearer t1 r1', 'Bearer t2 r2']);
});

test('a place that expired is told once; a service that says so again and again is no endless loop', async (t) => {
  let calls = 0;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      calls += 1;
      refuse(call, EXPIRED);
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const events: StreamEvent['type'][] = [];
  const stream = client.streamAlerts({ resumeToken: 'old', onEvent: ({ type }) => events.push(type) });
  await assert.rejects(stream[Symbol.asyncIterator]().next(), { reason: 'RESUME_TOKEN_EXPIRED' });
  assert.deepEqual(events, ['expired']);
  assert.equal(calls, 2);
});

test('whoever dies between an expired place and the first response of the reload is told again', async (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'token');
  const asked: string[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      asked.push(`${call.request.start} ${call.request.resumeToken}`);
      if (call.request.resumeToken === 'old') refuse(call, EXPIRED);
      else call.write({ changes: [], resumeToken: 'new' });
    },
  });
  writeFileSync(file, 'old\n');
  const client = closeAfter(t, createClient({ address, identity }));
  for (let process = 1; process <= 2; process += 1) {
    const events: StreamEvent['type'][] = [];
    const stream = client.streamAlerts({ tokens: fileTokenStore(file), onEvent: ({ type }) => events.push(type) });
    // Leaving here is what a crash is: the response was not followed by the next.
    for await (const _ of stream) break;
    assert.equal(events[0], 'expired');
  }
  assert.deepEqual(asked, Array(2).fill(['STREAM_START_NOW old', 'STREAM_START_BEGINNING ']).flat());
});

test('a stored place that the service cannot read is thrown, and not tried again', async (t) => {
  let calls = 0;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      calls += 1;
      refuse(call, toStatus(new AlertError('INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID', 'resume_token is not a token')));
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const tokens = { name: 'op01.token', load: async () => 'garbage', save: async () => undefined };
  const stream = client.streamAlerts({ tokens });
  await assert.rejects(stream[Symbol.asyncIterator]().next(), {
    code: 'INVALID_ARGUMENT',
    reason: 'RESUME_TOKEN_INVALID',
    message: 'resume_token is not a token (the token is from op01.token)',
  });
  assert.equal(calls, 1);
});

test('a token store that fails ends the iteration with its own error, and the call', async (t) => {
  const disk = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  let ended: Promise<void> | undefined;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      ended = new Promise((resolve) => call.on('cancelled', resolve));
      call.write({ changes: [], resumeToken: 'r1' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const failed = (error: unknown) =>
    error instanceof AlertClientError &&
    error.reason === 'TOKEN_STORE_FAILED' &&
    error.cause === disk &&
    !error.canRetry &&
    error.message.includes('no space left');
  const full = { load: async () => undefined, save: () => Promise.reject(disk) };
  let responses = 0;
  await assert.rejects(async () => {
    for await (const _ of client.streamAlerts({ tokens: full, reconnect: SOON })) responses += 1;
  }, failed);
  assert.equal(responses, 1);
  await ended;

  const gone = { load: () => Promise.reject(disk), save: async () => undefined };
  await assert.rejects(client.streamAlerts({ tokens: gone })[Symbol.asyncIterator]().next(), failed);
});

test('a token store may throw anything, and at once', async (t) => {
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
  const failing = (load: () => never) => client.streamAlerts({ tokens: { load, save: async () => undefined } });
  for (const thrown of ['the disk is full', undefined, null]) {
    const load = () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- that is what stores of others may do
      throw thrown;
    };
    await assert.rejects(failing(load)[Symbol.asyncIterator]().next(), {
      reason: 'TOKEN_STORE_FAILED',
      message: `the token store failed: ${thrown}`,
    });
  }
});

test('what onEvent throws is thrown as it is, and taken for no lost connection', async (t) => {
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => void call.write({ changes: [], resumeToken: 'r1' }),
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const own = new AlertClientError('UNAVAILABLE', 'MINE', 'my own service is away');
  const stream = client.streamAlerts({ reconnect: SOON, onEvent: () => Promise.reject(own) });
  await assert.rejects(stream[Symbol.asyncIterator]().next(), (error) => error === own);
});

test('an interval that the service would not take is refused', (t) => {
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
  for (const checkpointIntervalMs of [NaN, 0, -5, Infinity, 999, 1000.5, 300_001, 859_000_000]) {
    assert.throws(() => client.streamAlerts({ checkpointIntervalMs }), {
      code: 'INVALID_ARGUMENT',
      message: `checkpointIntervalMs must be a whole number from 1000 to 300000, not ${checkpointIntervalMs}`,
    });
  }
});

test('options that there are not are refused, and said what they should be', (t) => {
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
  const wrong: [options: object, message: RegExp][] = [
    [{ start: 'BEGINNING' }, /^start must be 'now' or 'beginning', not 'BEGINNING'$/],
    [{ filter: 'unread' }, /^filter must be an object/],
    [{ filter: { unread: true } }, /^filter has kinds, minimumLevel, unreadOnly, and no 'unread'$/],
    [{ filter: { minimumLevel: 'LOUD' } }, /^filter.minimumLevel must be one of .*ALERT_LEVEL_INFO.*, not 'LOUD'$/],
    [{ filter: { kinds: ['NOPE'] } }, /^filter.kinds\[0\] must be one of .*ALERT_KIND_GRAFANA.*, not 'NOPE'$/],
    [{ filter: { kinds: 'ALERT_KIND_ISSUE' } }, /^filter.kinds must be an array/],
    [{ filter: { unreadOnly: 'yes' } }, /^filter.unreadOnly must be true or false/],
    [{ reconnect: { baseMs: NaN, capMs: 1 } }, /^reconnect.baseMs/],
    [{ reconnect: { baseMs: 1, capMs: 1e10 } }, /^reconnect.capMs/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => client.streamAlerts(options), { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS', message });
  }
  const minimumLevel = 'ALERT_LEVEL_UNSPECIFIED';
  client.streamAlerts({ start: 'now', filter: { kinds: ['ALERT_KIND_ISSUE'], minimumLevel, unreadOnly: false } });
});

test('what keeps a stream away is logged once, with what is wrong', async (t) => {
  const statuses = [
    ...Array.from(
      { length: 3 },
      () => new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS', 'full', { retryAfterMs: 1 }),
    ),
    new AlertError('UNAVAILABLE', 'SHUTTING_DOWN', 'bye'),
  ];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      const status = statuses.shift();
      if (status === undefined) call.write({ changes: [], resumeToken: 'r1' });
      else refuse(call, toStatus(status));
    },
  });
  const logged: object[] = [];
  const logger = { info: (fields: object) => void logged.push(fields) };
  const client = closeAfter(t, createClient({ address, identity, logger }));
  for await (const _ of client.streamAlerts({ reconnect: SOON })) break;
  assert.deepEqual(
    logged.map((fields) => ({ ...fields, retryInMs: 0 })),
    [
      { code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_STREAMS', problem: 'full', retryInMs: 0 },
      { code: 'UNAVAILABLE', reason: 'SHUTTING_DOWN', problem: 'bye', retryInMs: 0 },
    ],
  );
});

test('a stream that was cut off because nobody read it goes on behind the last response', async (t) => {
  const asked: string[] = [];
  let cutOff: (() => void) | undefined;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      asked.push(call.request.resumeToken);
      call.write({ changes: [], resumeToken: `r${asked.length}` });
      cutOff = () => resetCall(call);
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const lost: string[] = [];
  const onEvent = (event: StreamEvent) => event.type === 'lost' && lost.push(event.error.code);
  for await (const { resumeToken } of client.streamAlerts({ reconnect: SOON, onEvent })) {
    if (resumeToken === 'r2') break;
    cutOff?.();
  }
  assert.deepEqual(lost, ['RESOURCE_EXHAUSTED']);
  assert.deepEqual(asked, ['', 'r1']);
});

test('streams that were sent away together do not come back together, nor too early', async (t) => {
  const retryAfterMs = 300;
  const streams = 40;
  const refusedAt = new Map<string, number>();
  const waited: number[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      const { userId } = call.request;
      const before = refusedAt.get(userId);
      if (before === undefined) {
        refusedAt.set(userId, performance.now());
        const full = new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS', 'full', { retryAfterMs });
        return refuse(call, toStatus(full));
      }
      waited.push(performance.now() - before);
      call.write({ changes: [], resumeToken: 'r1' });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const announced: number[] = [];
  const open = async (userId: string) => {
    const onEvent = (event: StreamEvent) => event.type === 'lost' && announced.push(event.retryInMs);
    for await (const _ of client.streamAlerts({ userId, reconnect: SOON, onEvent })) return;
  };
  await Promise.all(Array.from({ length: streams }, (_, index) => open(`user${index}`)));
  // A timer may be 1 ms early.
  assert.ok(Math.min(...waited) >= retryAfterMs - 1, `one came back after ${Math.min(...waited)} ms`);
  assert.ok(Math.min(...announced) >= retryAfterMs);
  // Of 40 evenly spread over 300 ms, so few in each half happen once in 10 million times.
  const late = announced.filter((ms) => ms >= retryAfterMs * 1.5).length;
  assert.ok(late >= 4 && late <= streams - 4, `${late} of ${streams} in the later half: ${announced.join(' ')}`);
});
