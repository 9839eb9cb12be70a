import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import grpc from '@grpc/grpc-js';
import { context, trace } from '@opentelemetry/api';
import { createClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import type { ClientIdentity } from '../../../services/client/identity.js';
import { AlertError, invalidArgument } from '../../../services/domain/errors.js';
import { toStatus } from '../../../services/lib/grpc/status.js';
import { closeAfter, fakeService } from './fake-service.js';

const identity = { caller: 'test' };
const request = { kind: 'ALERT_KIND_OTHER', level: 'ALERT_LEVEL_INFO', appName: 'a', title: 't' } as const;

test('an error carries its code, reason, violations and waiting time', async (t) => {
  const address = await fakeService(t, {
    GetAlert: (_call, callback) => {
      callback(toStatus(invalidArgument([{ field: 'alert_id', description: 'must be greater than 0' }])));
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  await assert.rejects(client.getAlert({ alertId: 0 }), (error: unknown) => {
    assert.ok(error instanceof AlertClientError);
    assert.equal(error.code, 'INVALID_ARGUMENT');
    assert.equal(error.reason, 'INVALID_FIELDS');
    assert.deepEqual(error.violations, [{ field: 'alert_id', description: 'must be greater than 0' }]);
    assert.equal(error.message, 'alert_id must be greater than 0');
    assert.equal(error.canRetry, false);
    return true;
  });
});

test('half of a character is replaced in what people read, and refused in what is compared', async (t) => {
  const sent: { title: string; message: string; labels: Record<string, string>; recipients: unknown }[] = [];
  const address = await fakeService(t, {
    CreateAlert: (call, callback) => {
      sent.push(call.request);
      callback(null, { alert: { alertId: 7 } });
    },
    BatchCreateAlerts: (call, callback) => {
      sent.push(...call.request.requests);
      callback(null, { results: call.request.requests.map(() => ({ response: { alert: { alertId: 8 } } })) });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const half = 'ends in half \ud83d';
  const recipients = { userIds: ['a', half], githubLogins: [half] };
  const texts = { title: half, message: `${'m'.repeat(100)}${half}`, labels: { a: half }, recipients };
  await client.createAlert({ ...request, ...texts });
  await client.batchCreateAlerts({ requests: [{ ...request, ...texts }] });
  for (const { title, message, labels, recipients: named } of sent) {
    assert.equal(title, 'ends in half \ufffd');
    assert.equal(message, `${'m'.repeat(100)}ends in half \ufffd`);
    assert.deepEqual(labels, { a: 'ends in half \ufffd' });
    // Nobody's name, so the service tells it as unknown.
    assert.deepEqual(named, {
      userIds: ['a', 'ends in half \ufffd'],
      departments: [],
      githubLogins: ['ends in half \ufffd'],
    });
  }
  const refusedFor = (field: string) => (error: unknown) => {
    assert.ok(error instanceof AlertClientError);
    assert.deepEqual([error.code, error.violations[0]!.field], ['INVALID_ARGUMENT', field]);
    return true;
  };
  await assert.rejects(client.createAlert({ ...request, requestId: half }), refusedFor('requestId'));
  await assert.rejects(client.getUnreadCount({ userId: half }), refusedFor('userId'));
  // One of a batch does not take the others with it.
  const both = [request, { ...request, requestId: half }].map((each) => client.createAlert(each, { batch: true }));
  assert.deepEqual(
    (await Promise.allSettled(both)).map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

test('a call is tried again whose connection broke as a thousand others were given up on it', async (t) => {
  const held: (() => void)[] = [];
  const address = await fakeService(t, {
    CreateAlert: (_call, callback) => {
      held.push(() => callback(null, { alert: { alertId: 7 } }));
      if (held.length > 1) held.at(-1)!();
    },
    // Never answered.
    GetAlert: () => undefined,
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const created = client.createAlert(request);
  const giveUp = () => client.getAlert({ alertId: 1 }, { timeoutMs: 20 });
  for (let round = 0; round < 40 && held.length < 2; round += 1)
    await Promise.allSettled(Array.from({ length: 100 }, giveUp));
  assert.equal((await created).alert!.alertId, 7);
  assert.equal(held.length, 2);
});

test('createAlert is repeated under one request id, not before the RetryInfo', async (t) => {
  const ids: string[] = [];
  const times: number[] = [];
  const address = await fakeService(t, {
    CreateAlert: (call, callback) => {
      ids.push(call.request.requestId);
      times.push(performance.now());
      if (ids.length === 1) {
        const busy = new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY', 'too many requests wait', { retryAfterMs: 120 });
        return callback(toStatus(busy));
      }
      if (ids.length === 2) return callback({ code: grpc.status.UNAVAILABLE, details: 'restarting' });
      callback(null, { alert: { alertId: 7 }, replayed: false });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const { alert } = await client.createAlert(request);
  assert.equal(alert?.alertId, 7);
  assert.equal(new Set(ids).size, 1);
  assert.match(ids[0]!, /^[0-9a-f-]{36}$/);
  // More than the backoff alone could be; a timer may be 1 ms early.
  assert.ok(times[1]! - times[0]! > 118, `repeated after ${times[1]! - times[0]!} ms`);
});

test('an attempt that takes too long is repeated under the same request id', async (t) => {
  const ids: string[] = [];
  const address = await fakeService(t, {
    CreateAlert: (call, callback) => {
      ids.push(call.request.requestId);
      // The first may have been stored all the same: its answer never comes.
      if (ids.length > 1) callback(null, { alert: { alertId: 7 }, replayed: true });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const { replayed } = await client.createAlert(request, { timeoutMs: 500 });
  assert.equal(replayed, true);
  assert.ok(ids.length >= 2);
  assert.equal(new Set(ids).size, 1);
});

test('createAlert gives up after its attempts, and at once where trying again does not help', async (t) => {
  let calls = 0;
  let status: { code: grpc.status; details: string; metadata?: grpc.Metadata } = {
    code: grpc.status.UNAVAILABLE,
    details: 'away',
  };
  const address = await fakeService(t, {
    CreateAlert: (call, callback) => {
      calls += 1;
      assert.equal(call.request.requestId, 'mine');
      callback(status);
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  const mine = { ...request, requestId: 'mine' };
  await assert.rejects(client.createAlert(mine, { attempts: 3 }), { code: 'UNAVAILABLE' });
  assert.equal(calls, 3);
  // Without a RetryInfo the alert is too large and will be so tomorrow.
  status = toStatus(new AlertError('RESOURCE_EXHAUSTED', 'EVENT_TOO_LARGE', 'the event is larger than 512 KiB'));
  await assert.rejects(client.createAlert(mine), { code: 'RESOURCE_EXHAUSTED', reason: 'EVENT_TOO_LARGE' });
  assert.equal(calls, 4);
});

test('createAlert goes on for as long as a restart takes, and no longer than it was told to', async (t) => {
  let calls = 0;
  let refusals = 6;
  let retryAfterMs = 0;
  const address = await fakeService(t, {
    CreateAlert: (_call, callback) => {
      calls += 1;
      if (calls > refusals) return callback(null, { alert: { alertId: 7 }, replayed: false });
      callback(toStatus(new AlertError('UNAVAILABLE', 'STARTING', 'not yet', { retryAfterMs })));
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  await client.createAlert(request);
  assert.equal(calls, refusals + 1);

  [calls, refusals] = [0, Infinity];
  await assert.rejects(client.createAlert(request, { retryForMs: 0 }), { reason: 'STARTING' });
  assert.equal(calls, 1);
  // It would have to wait for longer than it may: rather the error now.
  retryAfterMs = 60_000;
  await assert.rejects(client.createAlert(request), { reason: 'STARTING' });
  assert.equal(calls, 2);
});

test('an alert that may or may not be stored fails with the request id under which it can be sent again', async (t) => {
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
  const failure = async (call: Promise<unknown>) => {
    const error: unknown = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof AlertClientError);
    return error.requestIds;
  };
  const mine = { ...request, requestId: 'mine' };
  const options = { attempts: 2, batch: true };
  const ids = await Promise.all([
    failure(client.createAlert(request, { attempts: 1 })),
    failure(client.createAlert(request, options)),
    failure(client.createAlert(request, options)),
    failure(client.createAlert(mine, options)),
    failure(client.batchCreateAlerts({ requests: [mine, request] }, { attempts: 1 })),
    failure(client.createAlert(mine, { signal: AbortSignal.abort() })),
  ]);
  assert.deepEqual(
    ids.map((of) => of.length),
    [1, 1, 1, 1, 2, 1],
  );
  assert.deepEqual([ids[3][0], ids[4][0], ids[5][0]], ['mine', 'mine', 'mine']);
  assert.equal(new Set(ids.flat()).size, 5);
  for (const id of new Set(ids.flat())) if (id !== 'mine') assert.match(id, /^[0-9a-f-]{36}$/);
});

test('a time that no deadline and no timer takes is refused before anything is sent', async (t) => {
  const address = await fakeService(t, {
    GetUnreadCount: () => assert.fail('a call'),
    CreateAlert: () => assert.fail(),
  });
  const token = () => Promise.reject(new Error('asked for a token'));
  const client = closeAfter(t, createClient({ address, identity: { token } }));
  const wrong = [NaN, 0, -1, 1.5, 1e10, 1e300, Infinity, '10' as unknown as number, null as unknown as number];
  for (const timeoutMs of wrong) {
    const message = `timeoutMs must be a whole number from 1 to 86400000, not ${inspect(timeoutMs)}`;
    const refused = { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS', message };
    assert.throws(() => createClient({ address, identity, timeoutMs }), refused);
    await assert.rejects(client.getUnreadCount({}, { timeoutMs }), refused);
    await assert.rejects(client.createAlert(request, { timeoutMs }), refused);
  }
  for (const attempts of [NaN, 0, 1.5]) {
    await assert.rejects(client.createAlert(request, { attempts }), { code: 'INVALID_ARGUMENT' });
  }
  for (const retryForMs of [NaN, -1, Infinity]) {
    await assert.rejects(client.createAlert(request, { retryForMs }), { code: 'INVALID_ARGUMENT' });
  }
});

test('every item of a batch gets a request id of its own unless it has one', async (t) => {
  const ids: string[][] = [];
  const address = await fakeService(t, {
    BatchCreateAlerts: (call, callback) => {
      ids.push(call.request.requests.map(({ requestId }) => requestId));
      if (ids.length === 1) return callback({ code: grpc.status.UNAVAILABLE, details: 'restarting' });
      callback(null, { results: [] });
    },
  });
  const client = closeAfter(t, createClient({ address, identity }));
  await client.batchCreateAlerts({ requests: [request, { ...request, requestId: 'mine' }, request] });
  assert.deepEqual(ids[0], ids[1]);
  assert.equal(ids[0]![1], 'mine');
  assert.equal(new Set(ids[0]).size, 3);
});

test('a call ends at its deadline and by its signal', async (t) => {
  let arrived: (() => void) | undefined;
  const address = await fakeService(t, { GetUnreadCount: () => arrived?.() });
  const client = closeAfter(t, createClient({ address, identity }));
  await assert.rejects(client.getUnreadCount({}, { timeoutMs: 50 }), { code: 'DEADLINE_EXCEEDED' });

  const controller = new AbortController();
  const inHand = new Promise<void>((resolve) => (arrived = resolve));
  const cancelled = assert.rejects(client.getUnreadCount({}, { signal: controller.signal }), { code: 'CANCELLED' });
  await inHand;
  controller.abort();
  await cancelled;
  await assert.rejects(client.getUnreadCount({}, { signal: controller.signal }), { reason: 'ABORTED' });
});

for (const stepMs of [3_600_000, -3_600_000]) {
  test(`a call has its whole time though the clock steps by ${stepMs / 1000} s while its token is fetched`, async (t) => {
    const left: number[] = [];
    const address = await fakeService(t, {
      GetAlert: (call, callback) => {
        left.push(Number(call.getDeadline()) - Number(new Date()));
        callback(null, { alert: { alertId: 7 } });
      },
    });
    t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
    const token = () => {
      t.mock.timers.setTime(1_700_000_000_000 + stepMs);
      return Promise.resolve('t');
    };
    const client = closeAfter(t, createClient({ address, identity: { token } }));
    await client.getAlert({ alertId: 7 }, { timeoutMs: 5000 });
    assert.ok(left[0]! > 1000 && left[0]! <= 5000, `${left[0]} ms were left`);
  });
}

test('identity and trace travel as metadata', async (t) => {
  let metadata = new grpc.Metadata();
  const address = await fakeService(t, {
    GetUnreadCount: (call, callback) => {
      metadata = call.metadata;
      callback(null, { unreadCount: 1 });
    },
  });
  const service = closeAfter(t, createClient({ address, identity }));
  await service.getUnreadCount({ userId: 'op01' });
  assert.deepEqual(metadata.get('x-caller'), ['test']);
  assert.deepEqual(metadata.get('traceparent'), []);

  const spanContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
  const active = trace.setSpan(context.active(), trace.wrapSpanContext(spanContext));
  // A context manager of ten lines: the SDK's is a package that we would need for this alone.
  t.after(() => context.disable());
  context.setGlobalContextManager({
    active: () => active,
    with: (_context, run, self, ...args) => run.call(self as never, ...args),
    bind: (_context, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
  const user = closeAfter(t, createClient({ address, identity: { userId: 'op01' } }));
  await user.getUnreadCount({});
  assert.deepEqual(metadata.get('x-user-id'), ['op01']);
  assert.deepEqual(metadata.get('traceparent'), ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']);
});

test('an identity that metadata cannot carry is refused by name', () => {
  for (const userId of ['', ' op01', '김서연', 'x'.repeat(129), 'a\nb']) {
    assert.throws(() => createClient({ address: '127.0.0.1:1', identity: { userId } }), { reason: 'IDENTITY_INVALID' });
  }
});

test('what is no identity is refused at once, and said what it should be', () => {
  const wrong: [identity: unknown, message: RegExp][] = [
    [null, /one of { userId }, { caller } and { token }, not null$/],
    [undefined, /not undefined$/],
    ['op01', /not 'op01'$/],
    [{}, /not {}$/],
    [{ userid: 'op01' }, /one of { userId }/],
    [{ userId: 'op01', caller: 'jenkins' }, /not userId and caller$/],
    [{ token: undefined }, /identity.token must be a token or a function that gives one, not undefined$/],
    [{ token: null }, /a function that gives one/],
    [{ userId: undefined }, /identity.userId must be 1 to 128 printable ASCII characters, not undefined$/],
    [{ caller: 7 }, /identity.caller/],
  ];
  for (const [given, message] of wrong) {
    const options = { address: '127.0.0.1:1', identity: given as ClientIdentity };
    assert.throws(() => createClient(options), { code: 'INVALID_ARGUMENT', reason: 'IDENTITY_INVALID', message });
  }
});

test('a token source with a mistake in it is not asked again; one whose network is away is', async (t) => {
  const failing = async (token: () => unknown) => {
    const identity = { token: token as () => string };
    const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
    const error: unknown = await client.streamAlerts({ reconnect: false })[Symbol.asyncIterator]().next().catch(String);
    return assert.rejects(client.getUnreadCount({}), (thrown: AlertClientError) => {
      assert.ok(String(error).includes(thrown.message));
      const permanent = thrown.reason === 'IDENTITY_INVALID' && !thrown.canRetry;
      const passing = thrown.reason === 'TOKEN_SOURCE_FAILED' && thrown.canRetry;
      return token.name.startsWith('mistake') ? permanent : passing;
    });
  };
  await failing(function mistakeNothing() {
    return undefined;
  });
  await failing(function mistakeThrown() {
    throw new TypeError("Cannot read properties of undefined (reading 'token')");
  });
  await failing(function networkAway() {
    throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
  });
  await failing(function providerAway() {
    throw new Error('503');
  });
});

test('a kind or a level that there is not is refused, with those that there are', async (t) => {
  const address = await fakeService(t, { CreateAlert: () => assert.fail('a call') });
  const client = closeAfter(t, createClient({ address, identity }));
  const wrong = { kind: 'JENKINS', level: 'LOUD' };
  for (const [field, value] of Object.entries(wrong)) {
    const refused = client.createAlert({ ...request, [field]: value });
    await assert.rejects(refused, (error: AlertClientError) => {
      assert.equal(error.reason, 'INVALID_FIELDS');
      assert.deepEqual(
        error.violations.map((violation) => violation.field),
        [field],
      );
      return error.message.includes(field === 'kind' ? 'ALERT_KIND_JENKINS' : 'ALERT_LEVEL_WARNING');
    });
  }
});

test('a token source that never answers holds up neither the deadline nor the signal', async (t) => {
  const token = () => new Promise<never>(() => undefined);
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity: { token } }));
  await assert.rejects(client.getUnreadCount({}, { timeoutMs: 20 }), {
    code: 'DEADLINE_EXCEEDED',
    reason: 'TOKEN_SOURCE_SLOW',
  });
  const controller = new AbortController();
  const cancelled = assert.rejects(client.getUnreadCount({}, { signal: controller.signal }), { reason: 'ABORTED' });
  controller.abort();
  await cancelled;
});

test('a token that no header carries is refused, and not shown', async (t) => {
  const secret = 'a secret\n';
  const refused = (error: Error) =>
    'reason' in error && error.reason === 'IDENTITY_INVALID' && !error.message.includes('secret');
  assert.throws(() => createClient({ address: '127.0.0.1:1', identity: { token: secret } }), refused);
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity: { token: () => secret } }));
  await assert.rejects(client.getUnreadCount({}), refused);
});

test('an address that would be looked up for ever is refused', () => {
  for (const address of ['', 'http://localhost:50051', 'https://alerts:443', 'localhost', 'localhost:', '::1:50051']) {
    assert.throws(() => createClient({ address, identity }), { reason: 'ADDRESS_INVALID' });
    assert.throws(() => createClient({ address: 'localhost:1', streamAddress: [address], identity }), {
      reason: 'ADDRESS_INVALID',
    });
  }
  assert.throws(() => createClient({ address: 'localhost:1', streamAddress: [], identity }), {
    reason: 'ADDRESS_INVALID',
  });
  for (const address of ['alerts.example:443', '[::1]:50051', '10.0.0.7:50051', 'dns:///alerts:50051', 'unix:/tmp/a']) {
    createClient({ address, identity }).close();
  }
});

test('closing the client ends the wait for another attempt', async (t) => {
  let closeIt: (() => void) | undefined;
  const address = await fakeService(t, {
    CreateAlert: (_call, callback) => {
      if (closeIt !== undefined) setImmediate(closeIt);
      callback(toStatus(new AlertError('UNAVAILABLE', 'OUTBOX_FULL', 'later', { retryAfterMs: 10_000 })));
    },
  });
  for (const options of [{}, { signal: new AbortController().signal }]) {
    const client = createClient({ address, identity });
    closeIt = () => client.close();
    await assert.rejects(client.createAlert(request, options), { reason: 'CLIENT_CLOSED' });
  }
});

test('a closed client says so', async () => {
  const client = createClient({ address: '127.0.0.1:1', identity });
  client.close();
  await assert.rejects(client.createAlert(request), { code: 'CANCELLED', reason: 'CLIENT_CLOSED' });
});

test('a service that is not there is UNAVAILABLE', async (t) => {
  const client = closeAfter(t, createClient({ address: '127.0.0.1:1', identity }));
  await assert.rejects(client.getAlert({ alertId: 1 }), { code: 'UNAVAILABLE', reason: '' });
});
