import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { createClient } from '../../../services/client/client.js';
import { AlertClientError } from '../../../services/client/errors.js';
import type { BatchCreateAlertsRequest__Output, BatchCreateAlertsResponse } from '../../../services/gen/types.js';
import { closeAfter, fakeService } from './fake-service.js';

const identity = { caller: 'jenkins' };

/** A service that answers batches; what it was sent is in `batches`, by title. */
async function service(
  t: TestContext,
  answer: (title: string, requestId: string) => NonNullable<BatchCreateAlertsResponse['results']>[number],
) {
  const batches: string[][] = [];
  const address = await fakeService(t, {
    BatchCreateAlerts: (
      call: grpc.ServerUnaryCall<BatchCreateAlertsRequest__Output, BatchCreateAlertsResponse>,
      done: grpc.sendUnaryData<BatchCreateAlertsResponse>,
    ) => {
      const { requests } = call.request;
      batches.push(requests.map(({ title }) => title));
      done(null, { results: requests.map(({ title, requestId }) => answer(title, requestId)) });
    },
  });
  return { batches, client: closeAfter(t, createClient({ address, identity })) };
}

const stored = (title: string) => ({ response: { alert: { alertId: Number(title) }, replayed: false } });

test('alerts that are created together travel together, and each gets its own answer', async (t) => {
  const { batches, client } = await service(t, stored);
  const answers = await Promise.all(
    Array.from({ length: 1200 }, (_, index) => client.createAlert({ title: String(index) }, { batch: true })),
  );
  assert.deepEqual(
    answers.map(({ alert }) => alert!.alertId),
    Array.from({ length: 1200 }, (_, index) => index),
  );
  assert.equal(batches.flat().length, 1200);
  assert.ok(batches.length <= 4, `${batches.length} calls`);
  assert.ok(batches.every(({ length }) => length <= 500));
});

test('a batch stays below what one gRPC message may hold', async (t) => {
  const { batches, client } = await service(t, stored);
  const message = 'x'.repeat(16_384);
  await Promise.all(
    Array.from({ length: 100 }, (_, index) => client.createAlert({ title: String(index), message }, { batch: true })),
  );
  assert.equal(batches.flat().length, 100);
  assert.ok(batches.every(({ length }) => length * message.length < 1024 * 1024));
});

test('one bad alert fails alone, with its field violations', async (t) => {
  const { client } = await service(t, (title) =>
    title === '7'
      ? {
          error: {
            code: 3,
            reason: 'INVALID_ALERT',
            message: 'level: is required',
            fieldViolations: [{ field: 'level', description: 'is required' }],
          },
        }
      : stored(title),
  );
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, index) => client.createAlert({ title: String(index) }, { batch: true })),
  );
  const failed = results.filter((result) => result.status === 'rejected');
  assert.equal(failed.length, 1);
  const error = failed[0]!.reason as AlertClientError;
  assert.ok(error instanceof AlertClientError);
  assert.equal(error.code, 'INVALID_ARGUMENT');
  assert.deepEqual(error.violations, [{ field: 'level', description: 'is required' }]);
});

test('an alert that the service asks for again is sent again under the same request id', async (t) => {
  const ids: string[] = [];
  const { client } = await service(t, (title, requestId) => {
    ids.push(requestId);
    return ids.length === 1
      ? { error: { code: 14, reason: 'OUTBOX_FULL', message: 'later', retryAfterMs: 5 } }
      : stored(title);
  });
  const { alert } = await client.createAlert({ title: '1' }, { batch: true });
  assert.equal(alert!.alertId, 1);
  assert.equal(ids.length, 2);
  assert.ok(ids[0] !== '' && ids[0] === ids[1]);
});

/** A service that refuses a whole call for what it holds. */
async function strictService(t: TestContext, refuses: (titles: string[], bytes: number) => grpc.status | undefined) {
  const calls: number[] = [];
  const address = await fakeService(t, {
    BatchCreateAlerts: (
      call: grpc.ServerUnaryCall<BatchCreateAlertsRequest__Output, BatchCreateAlertsResponse>,
      done: grpc.sendUnaryData<BatchCreateAlertsResponse>,
    ) => {
      const { requests } = call.request;
      calls.push(requests.length);
      const titles = requests.map(({ title }) => title);
      const code = refuses(
        titles,
        requests.reduce((sum, { message }) => sum + message.length, 0),
      );
      if (code !== undefined) return done({ code, details: 'the whole of it' });
      done(null, { results: titles.map(stored) });
    },
  });
  return { calls, client: closeAfter(t, createClient({ address, identity })) };
}

async function titlesRefused(creating: readonly Promise<unknown>[]): Promise<Map<number, AlertClientError>> {
  const results = await Promise.allSettled(creating);
  return new Map(
    results.flatMap((result, index) =>
      result.status === 'rejected' ? [[index, result.reason as AlertClientError] as const] : [],
    ),
  );
}

for (const code of ['INTERNAL', 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED'] as const) {
  test(`a batch that fails as a whole with ${code} is halved: the one that is to blame fails alone`, async (t) => {
    const { calls, client } = await strictService(t, (titles) =>
      titles.includes('77') ? grpc.status[code] : undefined,
    );
    const refused = await titlesRefused(
      Array.from({ length: 200 }, (_, index) => client.createAlert({ title: String(index) }, { batch: true })),
    );
    assert.deepEqual([...refused.keys()], [77]);
    assert.equal(refused.get(77)!.code, code);
    assert.ok(calls.length <= 20, `${calls.length} calls`);
  });
}

test('a batch that is too large for this service is halved until it fits', async (t) => {
  const { client } = await strictService(t, (_, bytes) =>
    bytes > 100_000 ? grpc.status.RESOURCE_EXHAUSTED : undefined,
  );
  const message = 'x'.repeat(16_384);
  const refused = await titlesRefused(
    Array.from({ length: 60 }, (_, index) => client.createAlert({ title: String(index), message }, { batch: true })),
  );
  assert.equal(refused.size, 0);
});

test('where everything is refused the search ends, and each alert has the error', async (t) => {
  const { calls, client } = await strictService(t, () => grpc.status.INTERNAL);
  const refused = await titlesRefused(
    Array.from({ length: 500 }, (_, index) => client.createAlert({ title: String(index) }, { batch: true })),
  );
  assert.equal(refused.size, 500);
  assert.ok(calls.length <= 65, `${calls.length} calls`);
});

test('what has no form in the protocol fails alone and at once, and the others are sent', async (t) => {
  const { batches, client } = await service(t, stored);
  const malformed = { title: '1', labels: 7 as unknown as Record<string, string> };
  const refused = await titlesRefused([
    client.createAlert({ title: '0' }, { batch: true }),
    client.createAlert(malformed, { batch: true }),
    client.createAlert({ title: '2' }, { batch: true }),
  ]);
  assert.deepEqual([...refused.keys()], [1]);
  const error = refused.get(1)!;
  assert.deepEqual([error.code, error.reason, error.canRetry], ['INVALID_ARGUMENT', 'INVALID_FIELDS', false]);
  assert.deepEqual(batches, [['0', '2']]);
});
