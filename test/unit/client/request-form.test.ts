import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import test from 'node:test';
import protobuf from 'protobufjs';
import { createClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import { checkRequest } from '../../../services/client/request-form.js';
import { DEFINITIONS } from '../../../services/gen/definitions.js';
import { closeAfter, fakeService } from './fake-service.js';

const request = { kind: 'ALERT_KIND_OTHER', level: 'ALERT_LEVEL_INFO', appName: 'a', title: 't' } as const;

/** A client, and the alerts that the service was sent. */
async function service(t: TestContext) {
  const sent: { title: string; occurredAt: { seconds: number; nanos: number } | null }[] = [];
  const address = await fakeService(t, {
    CreateAlert: (call, callback) => {
      sent.push(call.request);
      callback(null, { alert: { alertId: 7 } });
    },
    BatchCreateAlerts: (call, callback) => {
      sent.push(...call.request.requests);
      const results = call.request.requests.map(({ title }) => ({ response: { alert: { alertId: 8, title } } }));
      callback(null, { results });
    },
  });
  return { sent, client: closeAfter(t, createClient({ address, identity: { caller: 'test' } })) };
}

test('a time is a Date, text of RFC 3339, or seconds and nanos', async (t) => {
  const { client, sent } = await service(t);
  const times = [
    new Date('2026-01-31T00:30:00.250Z'),
    '2026-01-31T09:30:00.25+09:00',
    { seconds: 1_769_819_400, nanos: 250_000_000 },
    { seconds: '1769819400', nanos: 250_000_000 },
  ];
  for (const occurredAt of times) {
    await client.createAlert({ ...request, occurredAt });
    await client.createAlert({ ...request, occurredAt }, { batch: true });
    await client.batchCreateAlerts({ requests: [{ ...request, occurredAt }] });
  }
  assert.equal(sent.length, 3 * times.length);
  for (const { occurredAt } of sent) assert.deepEqual(occurredAt, { seconds: 1_769_819_400, nanos: 250_000_000 });
  // As of a clock in nanoseconds: the service takes now instead.
  await client.createAlert({ ...request, occurredAt: { seconds: 1_769_819_400_000_000_000 } });
  assert.equal(sent.at(-1)!.occurredAt!.seconds, 1_769_819_400_000_000_000);
  // Before 1970, and half a millisecond that no Date has.
  await client.createAlert({ ...request, occurredAt: new Date(-250) });
  await client.createAlert({ ...request, occurredAt: '1969-12-31T23:59:59.7505Z' });
  assert.deepEqual(
    sent.slice(-2).map(({ occurredAt }) => occurredAt),
    [
      { seconds: -1, nanos: 750_000_000 },
      { seconds: -1, nanos: 750_500_000 },
    ],
  );
});

test('a number or a boolean is its text, and a label without a value none', async (t) => {
  const { client, sent } = await service(t);
  const labels = { code: 500, ok: false, pod: undefined, zone: null, app: 'a' };
  await client.createAlert({ ...request, requestId: 5, title: 5, labels } as never);
  const { requestId, title, labels: received } = sent[0] as unknown as Record<string, unknown>;
  assert.deepEqual([requestId, title, received], ['5', '5', { code: '500', ok: 'false', app: 'a' }]);
});

const TIME = /must be a Date, a string such as 2026-01-31T09:30:00\+09:00, or \{ seconds, nanos \}, not /;
/** What JavaScript lets one write: the field that is to be named, and what it must be. */
const WRONG: readonly [object, string, RegExp][] = [
  [{ occurredAt: new Date('x') }, 'occurredAt', TIME],
  [{ occurredAt: '2026-01-31 09:30' }, 'occurredAt', TIME],
  [{ occurredAt: '2026-02-30T09:30:00Z' }, 'occurredAt', TIME],
  [{ occurredAt: 1_769_819_400_000 }, 'occurredAt', TIME],
  [{ occurredAt: { ts: 1 } }, 'occurredAt', TIME],
  [{ occurredAt: { seconds: 'x' } }, 'occurredAt.seconds', /must be a whole number/],
  [{ occurredAt: { seconds: 1.5 } }, 'occurredAt.seconds', /must be a whole number/],
  [{ occurredAt: { seconds: '9223372036854775808' } }, 'occurredAt.seconds', /must be a whole number/],
  [{ occurredAt: { seconds: 1, nanos: 2 ** 31 } }, 'occurredAt.nanos', /must be a whole number of 32 bits/],
  [{ title: {} }, 'title', /must be a string, not /],
  [{ requestId: [] }, 'requestId', /must be a string, not /],
  [{ message: ['a', 'b'] }, 'message', /must be a string, not \[/],
  [{ kind: 'JENKINS' }, 'kind', /must be one of .*ALERT_KIND_JENKINS.*, not 'JENKINS'/],
  [{ kind: 'toString' }, 'kind', /must be one of/],
  [{ level: true }, 'level', /must be one of .*ALERT_LEVEL_WARNING.*, not true/],
  [{ labels: { a: ['b'] } }, 'labels["a"]', /must be a string, not \[/],
  [{ labels: new Map([['a', 'b']]) }, 'labels', /must be an object, not Map/],
  [{ labels: ['a'] }, 'labels', /must be an object, not \[/],
  [{ recipients: 'op01' }, 'recipients', /must be an object, not 'op01'/],
  [{ recipients: { userIds: 'op01' } }, 'recipients.userIds', /must be an array, not 'op01'/],
  [{ recipients: { userIds: ['op01', {}] } }, 'recipients.userIds[1]', /must be a string, not /],
];

function isRefusal(error: unknown, field: string, description: RegExp): void {
  assert.ok(error instanceof AlertClientError, String(error));
  assert.deepEqual([error.code, error.reason, error.canRetry], ['INVALID_ARGUMENT', 'INVALID_FIELDS', false]);
  assert.deepEqual(
    error.violations.map((violation) => violation.field),
    [field],
  );
  assert.match(error.violations[0]!.description, description);
  assert.equal(error.message, `${field} ${error.violations[0]!.description}`);
}

test('a value of the wrong type is refused by its field, and nothing is sent', async (t) => {
  const { client, sent } = await service(t);
  for (const [wrong, field, description] of WRONG) {
    for (const batch of [false, true]) {
      await client.createAlert({ ...request, ...wrong }, { batch }).then(
        () => assert.fail(`${field} was taken`),
        (error: unknown) => isRefusal(error, field, description),
      );
    }
  }
  assert.deepEqual(sent, []);
});

test('in a batch the wrong one is refused alone, in its place', async (t) => {
  const { client, sent } = await service(t);
  const wrong = WRONG.map(([each]) => ({ ...request, ...each }));
  const requests = [{ ...request, title: 'first' }, ...wrong, { ...request, title: 'last' }];
  const { results } = await client.batchCreateAlerts({ requests });
  assert.deepEqual(
    sent.map(({ title }) => title),
    ['first', 'last'],
  );
  assert.equal(results.length, requests.length);
  assert.deepEqual([results[0]!.response?.alert?.title, results.at(-1)!.response?.alert?.title], ['first', 'last']);
  for (const [index, [, field]] of WRONG.entries()) {
    const { error, outcome } = results[index + 1]!;
    assert.deepEqual([error?.code, error?.reason, outcome], [3, 'INVALID_FIELDS', 'error']);
    assert.deepEqual(
      error!.fieldViolations.map((violation) => violation.field),
      [field],
    );
  }
  // Nothing is left to send.
  sent.length = 0;
  assert.equal((await client.batchCreateAlerts({ requests: wrong })).results.length, wrong.length);
  assert.deepEqual(sent, []);
});

test('every call has its request checked', async (t) => {
  const { client } = await service(t);
  const refused: [Promise<unknown>, string, RegExp][] = [
    [client.getAlert({ alertId: '7x' }), 'alertId', /must be a whole number/],
    [client.markRead({ alertIds: 7 as never }), 'alertIds', /must be an array, not 7/],
    [client.markRead({ alertIds: [7, 7.5] }), 'alertIds[1]', /must be a whole number/],
    [client.listInbox({ pageSize: '7' as never }), 'pageSize', /must be a whole number of 32 bits, not '7'/],
    [client.listInbox({ unreadOnly: 'no' as never }), 'unreadOnly', /must be true or false, not 'no'/],
    [client.upsertUsers({ users: [{ userId: {} as never }] }), 'users[0].userId', /must be a string, not /],
    [client.getUnreadCount('op01' as never), 'request', /must be an object, not 'op01'/],
    [client.createAlert(undefined as never), 'request', /must be an object, not undefined/],
    [client.batchCreateAlerts([request] as never), 'request', /must be an object/],
    [client.batchCreateAlerts({ requests: request as never }), 'requests', /must be an array/],
  ];
  for (const [call, field, description] of refused) {
    await call.then(
      () => assert.fail(`${field} was taken`),
      (error: unknown) => isRefusal(error, field, description),
    );
  }
  assert.throws(
    () => client.streamAlerts({ userId: {} as never }),
    (error) => (isRefusal(error, 'userId', /must be a string/), true),
  );
});

test('every field of every request has a form', () => {
  const types = new Set<protobuf.Type>();
  const root = protobuf.Root.fromJSON(DEFINITIONS).resolveAll();
  const collect = (type: protobuf.Type): void => {
    if (types.has(type)) return;
    types.add(type);
    for (const { resolvedType } of type.fieldsArray) if (resolvedType instanceof protobuf.Type) collect(resolvedType);
  };
  for (const service of (root.lookup('ssom.alert.v1') as protobuf.Namespace).nestedArray) {
    if (service instanceof protobuf.Service)
      for (const method of service.methodsArray) collect(service.lookupType(method.requestType));
  }
  assert.ok(types.size > 15, `${types.size} types`);
  for (const type of types) {
    for (const { name } of type.fieldsArray) {
      // No field takes a function.
      assert.throws(() => checkRequest(type, { [name]: () => 1, seconds: name === 'nanos' ? 1 : () => 1 }), {
        code: 'INVALID_ARGUMENT',
      });
    }
  }
});
