import assert from 'node:assert/strict';
import test from 'node:test';
import type { AlertContents } from '../../../services/stream-gateway/alert-contents.js';
import { FakeCall, FakeHost, InboxModel, newStream } from './inbox-model.js';

const CONTENT_BYTES = 16_384;
const ALERTS = 500;
const PAGE = 100;

/** Alerts as large as they may be. */
function largeContents(): AlertContents {
  const content = { bytes: Buffer.alloc(CONTENT_BYTES), kind: 'GRAFANA' as const, rank: 2, createdAt: 0 };
  return { get: () => content, load: () => Promise.resolve(), size: 0 } as unknown as AlertContents;
}

test('a client that does not read holds some 128 KiB of responses, however far behind it is, and goes on when it does', () => {
  const inbox = new InboxModel();
  inbox.create(...Array.from({ length: ALERTS }, (_, index) => index + 1));
  const call = new FakeCall();
  call.reads = false;
  const host = new FakeHost(1000, largeContents());
  const stream = newStream(call, host);
  const readOn = () => {
    while (stream.wantsPage) {
      const page = inbox.page(stream.cursor, PAGE);
      stream.applyPage(page.changes, page.changes.length < PAGE, page);
    }
  };
  let most = 0;
  for (let turns = 0; !stream.isLive; turns += 1) {
    assert.ok(turns < ALERTS, 'the stream goes on when its client reads');
    readOn();
    // gRPC has room for 16 responses, and says so.
    most = Math.max(most, host.waiting);
    call.take();
  }
  assert.ok(most > 0 && most < 12 * CONTENT_BYTES, `${most} bytes wait for a client who does not read`);
  assert.equal(stream.cursor, ALERTS);
  assert.equal(new Set(call.sequences).size, ALERTS);
  call.take();
  assert.equal(host.waiting, 0);
});

test('changes that come together while it is live are held to the same bound, and all arrive', () => {
  const inbox = new InboxModel();
  const call = new FakeCall();
  const host = new FakeHost(1000, largeContents());
  const stream = newStream(call, host);
  const page = () => inbox.page(stream.cursor, PAGE);
  call.reads = false;
  stream.applyPage(page().changes, true, page());
  call.take();
  // One record, as one batch of delivery writes it.
  stream.push(inbox.create(...Array.from({ length: PAGE }, (_, index) => index + 1)));
  stream.push(inbox.create(PAGE + 1));
  let most = 0;
  for (let turns = 0; host.waiting > 0; turns += 1) {
    assert.ok(turns < ALERTS, 'the stream goes on when its client reads');
    most = Math.max(most, host.waiting);
    call.take();
  }
  assert.ok(most < 12 * CONTENT_BYTES, `${most} bytes wait for a client who does not read`);
  assert.deepEqual(
    call.sequences,
    Array.from({ length: PAGE + 1 }, (_, index) => index + 1),
  );
  // Nothing had to be read again.
  assert.equal(host.asked, 0);
});

test('a stream that ends gives back what waited for its client', () => {
  const inbox = new InboxModel();
  inbox.create(1, 2, 3);
  const call = new FakeCall();
  call.reads = false;
  const host = new FakeHost(1000, largeContents());
  const stream = newStream(call, host);
  stream.applyPage(inbox.page(0, PAGE).changes, true, inbox.page(0, PAGE));
  assert.ok(host.waiting > 0);
  stream.end();
  assert.equal(host.waiting, 0);
  call.take();
  assert.equal(host.waiting, 0);
});
