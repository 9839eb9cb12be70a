import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import test from 'node:test';
import { toClientError } from '../../../services/client/errors.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { AlertStream } from '../../../services/stream-gateway/alert-stream.js';
import { FakeCall, FakeHost, InboxModel, newStream, position } from './inbox-model.js';

/** The status that a stream ended with, as a client would see it. */
function endingOf(call: FakeCall) {
  let status: unknown;
  call.on('error', (error: unknown) => {
    status = error;
  });
  return () => toClientError(status);
}

const take = (stream: AlertStream, inbox: InboxModel) => {
  const page = inbox.page(stream.cursor, 100);
  stream.applyPage(page.changes, true, page);
};

test('a client that takes nothing of what waits for it is ended, with the token of what it took', () => {
  const inbox = new InboxModel();
  inbox.create(1, 2);
  const call = new FakeCall();
  const host = new FakeHost();
  host.limits.streamStallMs = 1000;
  const ending = endingOf(call);
  const stream = newStream(call, host);
  call.reads = false;
  take(stream, inbox);
  call.take();
  stream.push(inbox.create(3));
  assert.ok(host.waiting > 0);
  stream.tick(performance.now() + host.limits.streamStallMs - 100);
  assert.equal(stream.hasEnded, false);
  stream.tick(performance.now() + host.limits.streamStallMs + 100);
  assert.equal(stream.hasEnded, true);
  const { code, reason, retryAfterMs, metadata } = ending();
  assert.deepEqual([code, reason], ['RESOURCE_EXHAUSTED', 'STREAM_STALLED']);
  assert.ok(retryAfterMs! > 0);
  assert.equal(position(metadata['resume_token']!), 2);
});

test('a client for whom nothing waits may be silent for as long as it likes', () => {
  const inbox = new InboxModel();
  const call = new FakeCall();
  const host = new FakeHost();
  host.limits.streamStallMs = 1000;
  const stream = newStream(call, host);
  call.reads = false;
  take(stream, inbox);
  call.take();
  stream.tick(performance.now() + 100 * host.limits.streamStallMs - 1);
  assert.equal(stream.hasEnded, false);
});

test('an old stream is ended in a way that clients resume from, behind a last checkpoint', () => {
  const inbox = new InboxModel();
  inbox.create(1);
  const call = new FakeCall();
  const ending = endingOf(call);
  const endsAt = performance.now() + 5000;
  const stream = newStream(call, new FakeHost(), { endsAt });
  take(stream, inbox);
  stream.tick(endsAt - 1);
  assert.equal(stream.hasEnded, false);
  const { checkpoints } = call;
  stream.tick(endsAt);
  assert.equal(call.checkpoints, checkpoints + 1);
  const error = ending();
  assert.deepEqual([error.code, error.reason, error.canRetry], ['UNAVAILABLE', 'STREAM_MAX_AGE', true]);
  assert.equal(position(error.metadata['resume_token']!), 1);
});

test('a response says how much comes after it, and nothing does when the stream is live', () => {
  const inbox = new InboxModel();
  inbox.create(1, 2, 3, 4, 5);
  const call = new FakeCall();
  const stream = newStream(call, new FakeHost());
  const page = inbox.page(0, 2);
  stream.applyPage(page.changes, false, page);
  take(stream, inbox);
  stream.push(inbox.create(6));
  assert.deepEqual(
    call.responses.map(({ changes, behind }) => [changes.length, behind]),
    [
      [2, 3],
      [3, 0],
      [0, 0],
      [1, 0],
    ],
  );
});

/** What a call that is over the wire would be cut off by. */
function resets(call: FakeCall): number[] {
  const codes: number[] = [];
  Object.assign(call, { call: { stream: { destroyed: false, close: (code: number) => codes.push(code) } } });
  return codes;
}

const LEAVING: Record<string, (stream: AlertStream) => void> = {
  'for its age': (stream) => stream.leave('STREAM_MAX_AGE', 'this stream is old enough; connect again'),
  'as its user is inactive': (stream) => stream.end(new AlertError('PERMISSION_DENIED', 'USER_INACTIVE', 'inactive')),
};

for (const [why, leave] of Object.entries(LEAVING)) {
  test(`a stream that ends ${why} is cut off if its client does not read, and counts until then`, (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const inbox = new InboxModel();
    inbox.create(1);
    const call = new FakeCall();
    const codes = resets(call);
    call.on('error', () => undefined);
    call.reads = false;
    const host = new FakeHost();
    const stream = newStream(call, host);
    take(stream, inbox);
    leave(stream);
    assert.ok(host.waiting > 0);
    t.mock.timers.tick(4999);
    assert.deepEqual(codes, []);
    t.mock.timers.tick(1);
    assert.deepEqual(codes, [constants.NGHTTP2_ENHANCE_YOUR_CALM]);
    call.emit('cancelled');
    assert.equal(host.waiting, 0);
    // What was dropped with the call may still be reported.
    call.take();
    assert.equal(host.waiting, 0);
  });
}

test('a stream whose client took its status is not cut off', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const call = new FakeCall();
  const codes = resets(call);
  call.on('error', () => call.emit('cancelled'));
  const stream = newStream(call, new FakeHost());
  take(stream, new InboxModel());
  stream.leave('STREAM_MAX_AGE', 'this stream is old enough; connect again');
  t.mock.timers.tick(100_000);
  assert.deepEqual(codes, []);
});
