import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import test from 'node:test';
import { api } from '../../../../services/api/protos.js';
import { AlertError } from '../../../../services/domain/errors.js';
import {
  LargeRequests,
  leavingLargeUnread,
  UndecodableRequest,
  UnreadRequest,
} from '../../../../services/lib/grpc/large-requests.js';

const MIB = 1024 * 1024;
const { CreateAlert } = api.AlertService.service;
const { requestDeserialize } = leavingLargeUnread(CreateAlert);

test('a small request is decoded at once, a large one when it is read; what cannot be decoded fails then', async () => {
  const small = CreateAlert.requestSerialize({ title: 'small' });
  assert.equal((requestDeserialize(small) as { title: string }).title, 'small');
  const large = CreateAlert.requestSerialize({ title: 'x'.repeat(20_000) });
  const unread = requestDeserialize(large) as UnreadRequest;
  assert.ok(unread instanceof UnreadRequest);
  const requests = new LargeRequests(() => undefined);
  const read = (request: UnreadRequest) =>
    requests.run('one', request, new AbortController().signal, (message) =>
      Promise.resolve((message as { title: string }).title.length),
    );
  assert.equal(await read(unread), 20_000);
  // There is no wire type 7.
  const broken = requestDeserialize(Buffer.concat([large, Buffer.from([0x0f])])) as UnreadRequest;
  await assert.rejects(read(broken), UndecodableRequest);
  assert.equal(requests.bytes.taken, 0);
});

test('beyond its share of the room a caller is refused; what nobody waits for leaves it', async () => {
  let refused = 0;
  const requests = new LargeRequests(() => (refused += 1));
  const gone = new AbortController();
  setMaxListeners(0, gone.signal);
  let decoded = 0;
  const unread = () => new UnreadRequest(8 * MIB, () => (decoded += 1));
  const release: (() => void)[] = [];
  const run = (caller: string) =>
    requests.run(caller, unread(), gone.signal, () => new Promise<void>((resolve) => release.push(resolve)));
  const calls = Array.from({ length: 5 }, () => run('one'));
  const outcomes = Promise.allSettled(calls);
  const refusal = await calls[4]!.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(refusal instanceof AlertError && refusal.canRetry);
  assert.equal(refusal.reason, 'TOO_MANY_CALLS');
  assert.equal(refused, 1);
  const other = run('other');
  while (release.length < 2) await new Promise(setImmediate);
  assert.equal(decoded, 2);
  gone.abort(new Error('gone'));
  for (const each of release) each();
  await other;
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected'],
  );
  assert.equal(requests.bytes.taken, 0);
});

test('however large those of others are, a newcomer with a small one is served', async () => {
  const requests = new LargeRequests(() => undefined);
  const gone = new AbortController();
  const run = (caller: string, bytes: number) =>
    requests.run(
      caller,
      new UnreadRequest(bytes, () => undefined),
      gone.signal,
      () => new Promise<never>(() => undefined),
    );
  const others = Array.from({ length: 8 }, (_, caller) => [run(`${caller}`, 16 * MIB), run(`${caller}`, 16 * MIB)]);
  void Promise.allSettled(others.flat());
  const work = () => Promise.resolve('served');
  const newcomer = requests.run('newcomer', new UnreadRequest(20_000, () => undefined), gone.signal, work);
  assert.equal(await newcomer, 'served');
});

test('while what they need is away those that wait are refused without being decoded', async () => {
  const requests = new LargeRequests(() => undefined);
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  let away: Error | undefined;
  let decoded = 0;
  const unread = () => new UnreadRequest(200_000, () => (decoded += 1));
  const work = () =>
    new Promise<void>((resolve) => {
      away = new Error('away');
      setImmediate(resolve);
    });
  const run = () => requests.run('one', unread(), signal, work, () => away);
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, run));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', ...Array.from({ length: 19 }, () => 'rejected')],
  );
  assert.equal(decoded, 1);
});
