import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { messageType } from '../../../services/api/protos.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { AlertContents } from '../../../services/stream-gateway/alert-contents.js';
import type { AlertStream } from '../../../services/stream-gateway/alert-stream.js';
import { StreamFilter } from '../../../services/stream-gateway/stream-filter.js';
import {
  EPOCH,
  FakeCall,
  fakeContents,
  FakeHost,
  type InboxChangedEvent,
  InboxModel,
  newStream,
  position,
} from './inbox-model.js';

/** Reads pages for the stream until it wants no more, as the hub does. */
function catchUp(stream: AlertStream, inbox: InboxModel, limit = 100): void {
  while (stream.wantsPage) {
    const page = inbox.page(stream.cursor, limit);
    stream.applyPage(page.changes, page.changes.length < limit, page);
  }
}

const MESSAGE = Buffer.from(
  messageType('ssom.alert.v1.Alert')
    .encode({ message: 'x'.repeat(16_000) })
    .finish(),
);

/** Five of them are more than a response has room for. */
function largeContents(): AlertContents {
  const contents = fakeContents();
  const plain = contents.get.bind(contents);
  const get = (alertId: number) => {
    const content = plain(alertId)!;
    return { ...content, bytes: Buffer.concat([content.bytes, MESSAGE]) };
  };
  return Object.assign(contents, { get });
}

function opened(
  options: { bufferMax?: number; filter?: StreamFilter; missing?: Set<number>; contents?: AlertContents } = {},
) {
  const inbox = new InboxModel();
  const call = new FakeCall();
  const host = new FakeHost(options.bufferMax, options.contents ?? fakeContents(options.missing));
  const stream = newStream(call, host, options.filter === undefined ? {} : { filter: options.filter });
  return { inbox, call, host, stream };
}

test('first the page, then a checkpoint that says that the stream is live, then live changes', () => {
  const { inbox, call, host, stream } = opened();
  inbox.create(1, 2, 3);
  catchUp(stream, inbox);
  assert.deepEqual(
    call.responses.map(({ changes, resumeToken, unreadCount }) => [changes.length, position(resumeToken), unreadCount]),
    [
      [3, 3, 3],
      [0, 3, 3],
    ],
  );
  assert.ok(stream.isLive);
  stream.push(inbox.create(4));
  stream.push(inbox.change('READ', 2));
  stream.push(inbox.change('DELETED', 1));
  assert.deepEqual(call.sequences, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(call.folded.list(), inbox.list());
  assert.equal(call.folded.unreadCount, 2);
  assert.equal(position(call.folded.resumeToken), 6);
  assert.equal(host.changes, 6);
  assert.deepEqual(call.folded.problems, []);
});

test('nothing is sent before the first page, not even a checkpoint', () => {
  const { inbox, call, stream } = opened();
  inbox.create(1);
  stream.tick(performance.now() + 100_000);
  stream.push(inbox.create(2));
  // A checkpoint now would say "caught up", with an unread count of 0.
  assert.deepEqual(call.responses, []);
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [1, 2]);
});

test('what arrives while the stream catches up is sent behind the page, once', () => {
  const { inbox, call, stream } = opened();
  inbox.create(1);
  const page = inbox.page(0, 100);
  const live = [inbox.create(2), inbox.create(3)];
  for (const event of live) stream.push(event);
  stream.applyPage(page.changes, true, page);
  assert.deepEqual(call.sequences, [1, 2, 3]);
  // Kafka delivers at least once.
  for (const event of live) stream.push(event);
  assert.deepEqual(call.sequences, [1, 2, 3]);
});

test('a gap is noticed, nothing behind it is sent, and PostgreSQL fills it', () => {
  const { inbox, call, host, stream } = opened();
  catchUp(stream, inbox);
  inbox.create(1);
  stream.push(inbox.create(2));
  assert.deepEqual(call.sequences, []);
  assert.equal(host.gaps, 1);
  assert.equal(host.asked, 1);
  assert.ok(!stream.isLive);
  stream.push(inbox.create(3));
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [1, 2, 3]);
  assert.equal(call.checkpoints, 1);
  assert.deepEqual(call.folded.list(), inbox.list());
});

test('a gap inside a record, too', () => {
  const { inbox, call, stream } = opened();
  catchUp(stream, inbox);
  const event = inbox.create(1, 2, 3);
  stream.push({ ...event, changes: event.changes.filter(({ sequence }) => sequence !== 2) });
  assert.ok(!stream.isLive);
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [1, 2, 3]);
  assert.deepEqual(call.folded.problems, []);
});

test('a bulk change carries no rows: they are read', () => {
  const { inbox, call, stream } = opened();
  inbox.create(1, 2);
  catchUp(stream, inbox);
  stream.push(inbox.readAll());
  assert.ok(stream.wantsPage);
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [1, 2, 3, 4]);
  assert.equal(call.folded.unreadCount, 0);
});

test('a change whose alert could not be loaded is read later rather than sent empty', () => {
  const missing = new Set([2]);
  const { inbox, call, stream } = opened({ missing });
  catchUp(stream, inbox);
  stream.push(inbox.create(1, 2));
  assert.deepEqual(call.sequences, []);
  missing.clear();
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [1, 2]);
  assert.deepEqual(call.folded.problems, []);
});

test('a blocked client gets nothing more until it drains, then everything in order', () => {
  const { inbox, call, host, stream } = opened();
  catchUp(stream, inbox);
  call.room = false;
  stream.push(inbox.create(1));
  for (let alertId = 2; alertId <= 5; alertId += 1) stream.push(inbox.create(alertId));
  stream.tick(performance.now() + 1_000_000);
  assert.deepEqual(call.sequences, [1]);
  call.drain();
  assert.deepEqual(call.sequences, [1, 2, 3, 4, 5]);
  assert.equal(host.asked, 0);
  assert.equal(call.checkpoints, 1);
});

test('beyond its bound the buffer is dropped and the rest is read from PostgreSQL', () => {
  const { inbox, call, host, stream } = opened({ bufferMax: 3 });
  catchUp(stream, inbox);
  call.room = false;
  for (let alertId = 1; alertId <= 50; alertId += 1) stream.push(inbox.create(alertId));
  call.drain();
  assert.ok(host.asked > 0);
  assert.ok(stream.wantsPage);
  catchUp(stream, inbox);
  assert.deepEqual(call.folded.list(), inbox.list());
  assert.deepEqual(call.folded.problems, []);
  assert.equal(new Set(call.sequences).size, 50);
});

test('a buffer that is dropped with its last change is not forgotten', () => {
  const { inbox, call, stream } = opened({ bufferMax: 3 });
  catchUp(stream, inbox);
  call.room = false;
  for (let alertId = 1; alertId <= 5; alertId += 1) stream.push(inbox.create(alertId));
  call.drain();
  assert.ok(stream.wantsPage);
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [1, 2, 3, 4, 5]);
});

test('a client that blocks while it catches up is read for at its own pace', () => {
  const { inbox, call, stream } = opened();
  inbox.create(...Array.from({ length: 10 }, (_, index) => index + 1));
  call.room = false;
  catchUp(stream, inbox, 3);
  assert.equal(call.responses.length, 1);
  assert.ok(!stream.wantsPage);
  stream.push(inbox.create(11));
  call.drain();
  catchUp(stream, inbox, 3);
  assert.deepEqual(
    call.sequences,
    Array.from({ length: 11 }, (_, index) => index + 1),
  );
});

test('a page that two readers read is sent once', () => {
  // The hub may ask twice when a stream falls behind again in the very moment in which it went live.
  const { inbox, call, stream } = opened();
  inbox.create(1, 2);
  const page = inbox.page(0, 100);
  stream.applyPage(page.changes, true, page);
  stream.push(inbox.create(3));
  stream.applyPage(page.changes, true, page);
  assert.deepEqual(call.sequences, [1, 2, 3]);
  assert.equal(stream.cursor, 3);
});

test('heal: only a live stream that is behind asks to be read for', () => {
  const { inbox, host, stream } = opened();
  inbox.create(1);
  stream.resync(1);
  assert.equal(host.asked, 0);
  catchUp(stream, inbox);
  stream.resync(1);
  assert.equal(host.asked, 0);
  inbox.create(2);
  stream.resync(2);
  assert.equal(host.asked, 1);
});

test('checkpoints come when nothing was sent for the interval, with the last token', () => {
  const inbox = new InboxModel();
  const call = new FakeCall();
  const stream = newStream(call, new FakeHost(), { checkpointMs: 1000 });
  catchUp(stream, inbox);
  assert.equal(call.checkpoints, 1);
  const now = performance.now();
  stream.tick(now);
  assert.equal(call.checkpoints, 1);
  stream.tick(now + 1100);
  assert.equal(call.checkpoints, 2);
  stream.push(inbox.create(1));
  stream.tick(performance.now() + 900);
  assert.equal(call.checkpoints, 2);
  stream.tick(performance.now() + 1100);
  assert.equal(call.checkpoints, 3);
  assert.equal(position(call.responses.at(-1)!.resumeToken), 1);
  assert.equal(call.responses.at(-1)!.unreadCount, 1);
});

test('a filter decides what is sent, the token covers what was examined', () => {
  const { inbox, call, stream } = opened({ filter: new StreamFilter(['ISSUE'], 0, false) });
  inbox.create(1, 2);
  catchUp(stream, inbox);
  stream.push(inbox.create(3));
  assert.deepEqual(call.sequences, []);
  stream.checkpoint();
  assert.equal(position(call.folded.resumeToken), 3);
  assert.equal(call.folded.unreadCount, 3);
});

test('unread only: a row that is read leaves with one message', () => {
  const { inbox, call, stream } = opened({ filter: new StreamFilter([], 0, true) });
  inbox.create(1, 2);
  inbox.change('READ', 1);
  catchUp(stream, inbox);
  assert.deepEqual(
    call.folded.list().map(({ alertId }) => alertId),
    [2],
  );
  stream.push(inbox.change('READ', 2));
  assert.equal(call.folded.changes.at(-1)!.type, 'INBOX_CHANGE_TYPE_READ');
  assert.equal(call.folded.unreadCount, 0);
});

test('deleted rows: only the id is sent, and only to those who can have seen the alert', () => {
  const { inbox, call, stream } = opened();
  inbox.create(1, 2);
  inbox.change('DELETED', 1);
  catchUp(stream, inbox);
  assert.deepEqual(call.sequences, [2]);
  stream.push(inbox.change('DELETED', 2));
  const last = call.folded.changes.at(-1)!;
  assert.deepEqual([last.type, last.alert!.alertId, last.alert!.title], ['INBOX_CHANGE_TYPE_DELETED', 2, '']);
});

test('a row that was shown and is deleted while the stream is behind is deleted for the client too', () => {
  const { inbox, call, stream } = opened();
  catchUp(stream, inbox);
  stream.push(inbox.create(1));
  inbox.change('DELETED', 1);
  stream.resync(inbox.lastSequence);
  catchUp(stream, inbox);
  assert.deepEqual(call.folded.list(), []);
});

test('a row of an earlier page that is deleted before the last page is deleted for the client too', () => {
  const { inbox, call, stream } = opened();
  inbox.create(1, 2, 3);
  const page = inbox.page(0, 2);
  stream.applyPage(page.changes, false, page);
  inbox.change('DELETED', 1);
  catchUp(stream, inbox, 2);
  assert.deepEqual(call.folded.list(), inbox.list());
});

test('unread only: a row that was shown and is read while the stream is behind leaves', () => {
  const { inbox, call, stream } = opened({ filter: new StreamFilter([], 0, true) });
  catchUp(stream, inbox);
  stream.push(inbox.create(1));
  stream.push(inbox.readAll());
  catchUp(stream, inbox);
  assert.deepEqual(call.folded.list(), inbox.list());
});

test('an ended stream is silent', () => {
  const { inbox, call, host, stream } = opened();
  catchUp(stream, inbox);
  const errors: { code: number }[] = [];
  call.on('error', (error: { code: number }) => errors.push(error));
  stream.end(new AlertError('UNAVAILABLE', 'SHUTTING_DOWN', 'bye'));
  stream.end();
  stream.push(inbox.create(1));
  stream.tick(performance.now() + 1_000_000);
  call.drain();
  assert.equal(call.responses.length, 1);
  assert.equal(errors.length, 1);
  assert.equal(host.endings, 1);
  assert.ok(!stream.wantsPage);
});

test('a client that goes away ends the stream', () => {
  const { call, host, stream } = opened();
  call.emit('cancelled');
  assert.ok(stream.hasEnded);
  assert.ok(call.ended);
  assert.equal(host.endings, 1);
});

test('in any order of losses, repeats, slowness and pages the folded stream is the inbox', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    let state = seed;
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const { inbox, call, host, stream } = opened({ bufferMax: 1 + random(6) });
    const limit = 1 + random(4);
    const known: InboxChangedEvent[] = [];
    for (let step = 0, next = 1; step < 60; step += 1) {
      const alertId = 1 + random(next);
      const event = [
        () => inbox.create(next++),
        () => inbox.create(next++, next++),
        () => inbox.change('READ', alertId),
        () => inbox.change('UNREAD', alertId),
        () => inbox.change('DELETED', alertId),
        () => inbox.readAll(),
      ][random(6)]!();
      known.push(event);
      if (random(5) > 0) stream.push(event);
      if (random(6) === 0) stream.push(known[random(known.length)]!);
      if (random(4) === 0) call.room = false;
      if (random(4) === 0) call.drain();
      if (random(3) === 0 && stream.wantsPage) {
        const page = inbox.page(stream.cursor, limit);
        stream.applyPage(page.changes, page.changes.length < limit, page);
      }
      if (random(8) === 0) stream.resync(inbox.lastSequence);
    }
    call.drain();
    catchUp(stream, inbox, limit);
    stream.resync(inbox.lastSequence);
    catchUp(stream, inbox, limit);
    stream.checkpoint();
    assert.deepEqual(call.folded.problems, [], `seed ${seed}`);
    assert.deepEqual(call.folded.list(), inbox.list(), `seed ${seed}`);
    assert.equal(call.folded.unreadCount, inbox.unreadCount, `seed ${seed}`);
    assert.equal(position(call.folded.resumeToken), inbox.lastSequence, `seed ${seed}`);
    assert.equal(host.changes, call.folded.changes.length);
  }
});

test('a badge is of the changes it comes with: a response that ends within an event says how many come after it', async () => {
  // Alerts of 16,000 bytes: five of them fill a response.
  const { inbox, call, stream } = opened({ contents: largeContents() });
  catchUp(stream, inbox);
  stream.push(inbox.create(...Array.from({ length: 16 }, (_, index) => index + 1)));
  // The client takes the first one, and the rest comes.
  await turn();
  const cut = call.responses.filter(({ changes }) => changes.length > 0);
  assert.ok(cut.length > 1, 'the event is several responses');
  assert.deepEqual(
    cut.map(({ resumeToken, behind, unreadCount }) => [position(resumeToken) + behind, unreadCount]),
    cut.map(() => [16, 16]),
  );
});

test('a record of another epoch is not shown, and has the inbox looked at', () => {
  const { inbox, call, host, stream } = opened();
  catchUp(stream, inbox);
  stream.push({ ...inbox.create(1), epoch: EPOCH + 1 });
  assert.deepEqual([call.sequences, host.suspicions, stream.cursor], [[], 1, 0]);
  // An older writer does not know it.
  stream.push({ ...inbox.create(2), epoch: 0, changes: [] });
  assert.equal(host.asked, 1);
});
