import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import type { Database } from '../../../services/lib/postgres.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { StreamHub } from '../../../services/stream-gateway/stream-hub.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';
import { FakeCall, fakeContents, InboxModel, newStream, USER } from './inbox-model.js';

/** What the query of changesAfter answers for one of its cursors. */
function pageRows(inbox: InboxModel, place: number, after: number, limit: number): object[] {
  const { changes, lastSequence, prunedSequence, unreadCount } = inbox.page(after, limit);
  const { epoch } = inbox;
  const position = { place, last_seq: lastSequence, pruned_seq: prunedSequence, unread_count: unreadCount, epoch };
  const ranks = { CREATED: 1, READ: 2, UNREAD: 3, DELETED: 4 };
  const rows = changes.map((row) => ({
    ...position,
    alert_id: row.alertId,
    seq: row.sequence,
    created_seq: row.createdSequence,
    change: ranks[row.change],
    is_read: row.isRead,
  }));
  return rows.length === 0 ? [{ ...position, alert_id: null }] : rows;
}

/** What the query of lastSequences answers. */
function lastRows(inbox: InboxModel): object[] {
  return [{ epoch: inbox.epoch, user_id: USER, last_seq: inbox.lastSequence, active: true }];
}

/** A hub whose PostgreSQL is a model; `answer` is awaited before each page, which is read as of then. */
function hubOn(t: TestContext, inbox: InboxModel, answer: () => Promise<void>, config: Record<string, string> = {}) {
  let reading = 0;
  let overlapping = 0;
  const query = async ({ name, values }: { name: string; values: [string[], number[], number[]] }) => {
    if (name === 'last-sequences') {
      const last = lastRows(inbox);
      await answer();
      return { rows: last, rowCount: last.length };
    }
    reading += 1;
    overlapping = Math.max(overlapping, reading);
    const rows = values[1].flatMap((after, index) => pageRows(inbox, index + 1, after, values[2][index]!));
    await answer();
    reading -= 1;
    return { rows, rowCount: rows.length };
  };
  let cleared = 0;
  const contents = Object.assign(fakeContents(), { clear: () => (cleared += 1) });
  const metrics = new Metrics('test');
  const hub = new StreamHub({
    config: loadConfig(config),
    database: { query } as unknown as Database,
    contents,
    logger: silentLogger(),
    metrics,
    tracing: Tracing.off(),
  });
  defer(t, async () => {
    hub.close();
    await metrics.close();
  });
  return { hub, overlapping: () => overlapping, cleared: () => cleared };
}

test('one stream is never read for twice at a time, even if it falls behind as it goes live', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1, 2);
  const { hub, overlapping } = hubOn(t, inbox, () => sleep(5));
  const call = new FakeCall();
  call.on('error', () => undefined);
  const stream = newStream(call, hub);
  hub.add(stream);
  await turn();
  // While the first page is read, a bulk change arrives: it is buffered, and at going live it is a gap.
  inbox.create(3, 4, 5);
  stream.push(inbox.readAll());
  await untilTrue(() => stream.isLive && stream.cursor === inbox.lastSequence, { what: 'the stream has caught up' });
  await sleep(30);
  assert.deepEqual(call.folded.problems, []);
  assert.equal(overlapping(), 1);
  assert.deepEqual(call.folded.list(), inbox.list());
});

test('a buffer that overflows while the stream catches up does not make it see anything twice', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1);
  const { hub } = hubOn(t, inbox, () => sleep(5), { STREAM_BUFFER_MAX: '2' });
  const call = new FakeCall();
  call.on('error', () => undefined);
  const stream = newStream(call, hub);
  hub.add(stream);
  await turn();
  for (let alertId = 2; alertId <= 10; alertId += 1) stream.push(inbox.create(alertId));
  await untilTrue(() => stream.isLive && stream.cursor === inbox.lastSequence, { what: 'the stream has caught up' });
  await sleep(30);
  assert.deepEqual(call.folded.problems, []);
  assert.equal(call.folded.changes.length, 10);
});

test('at most so many catch-up queries at once, and everybody has a turn', async (t) => {
  const inbox = new InboxModel();
  for (let alertId = 1; alertId <= 20; alertId += 1) inbox.create(alertId);
  const settings = { STREAM_CATCH_UPS_MAX: '3', STREAM_PAGE_SIZE: '5' };
  const { hub, overlapping } = hubOn(t, inbox, () => sleep(2), settings);
  const calls = Array.from({ length: 10 }, () => new FakeCall());
  for (const call of calls) {
    call.on('error', () => undefined);
    hub.add(newStream(call, hub, { inboxEnd: inbox.lastSequence }));
  }
  await untilTrue(() => calls.every((call) => call.checkpoints === 1), { what: 'all streams are live' });
  assert.equal(overlapping(), 3);
  for (const call of calls) assert.deepEqual(call.folded.list(), inbox.list());
});

test('streams that have missed little share a query, within a page; one far behind has a page to itself', async (t) => {
  const inbox = new InboxModel();
  for (let alertId = 1; alertId <= 100; alertId += 1) inbox.create(alertId);
  const settings = { STREAM_CATCH_UPS_MAX: '1', STREAM_PAGE_SIZE: '20' };
  // A page for the one far behind, three for the others, and what comes then waits.
  let answers = 4;
  let goOn: () => void = () => undefined;
  const enough = new Promise<void>((resolve) => (goOn = resolve));
  const { hub } = hubOn(t, inbox, () => ((answers -= 1) >= 0 ? Promise.resolve() : enough), settings);
  const open = (cursor: number) => {
    const call = new FakeCall();
    call.on('error', () => undefined);
    hub.add(newStream(call, hub, { cursor, inboxEnd: inbox.lastSequence }));
    return call;
  };
  const far = open(0);
  // Each has missed one change and is read one more: ten make a page.
  const near = Array.from({ length: 30 }, () => open(99));
  await untilTrue(() => near.every((call) => call.checkpoints === 1), { what: 'those that missed little are live' });
  for (const call of near) assert.deepEqual(call.sequences, [100]);
  assert.equal(far.sequences.length, 20);
  goOn();
  await untilTrue(() => far.checkpoints === 1, { what: 'the one far behind is live' });
  assert.equal(far.sequences.length, 100);
});

test('a cursor below what was pruned ends the stream: RESUME_TOKEN_EXPIRED', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1, 2, 3);
  const { hub } = hubOn(t, inbox, () => Promise.resolve());
  const call = new FakeCall();
  let refusal = '';
  call.on('error', ({ details }: { details: string }) => (refusal = details));
  inbox.prunedSequence = 2;
  const stream = newStream(call, hub, { cursor: 1 });
  hub.add(stream);
  await untilTrue(() => refusal !== '', { what: 'the stream is refused' });
  assert.match(refusal, /too old/);
  assert.ok(stream.hasEnded);
  assert.deepEqual(call.responses, []);
});

test('a database that is away delays streams and loses nothing', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1, 2);
  let failures = 2;
  const { hub } = hubOn(t, inbox, () => {
    failures -= 1;
    return failures >= 0 ? Promise.reject(new Error('away')) : Promise.resolve();
  });
  const call = new FakeCall();
  call.on('error', () => undefined);
  hub.add(newStream(call, hub));
  await untilTrue(() => call.checkpoints === 1, { what: 'the stream is live' });
  assert.deepEqual(call.sequences, [1, 2]);
});

/** A live stream of a client, and how it was refused, if it was. */
async function liveStream(hub: StreamHub) {
  const call = new FakeCall();
  const refusals: string[] = [];
  call.on('error', ({ details }: { details: string }) => refusals.push(details));
  const stream = newStream(call, hub);
  hub.add(stream);
  await untilTrue(() => stream.isLive, { what: 'the stream is live' });
  return { stream, refusals };
}

const compare = (hub: StreamHub) => hub.compare(AbortSignal.timeout(5000));

test('a live stream that is further than its inbox ends: PostgreSQL has lost commits', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1, 2, 3);
  const { hub } = hubOn(t, inbox, () => Promise.resolve());
  const { stream, refusals } = await liveStream(hub);
  await compare(hub);
  assert.deepEqual(refusals, []);
  inbox.lastSequence = 2;
  await compare(hub);
  assert.match(refusals.join(), /too old to go on from/);
  assert.ok(stream.hasEnded);
});

test('an answer of before a stream came that far is no proof that commits were lost', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1);
  let answer = Promise.resolve();
  const { hub } = hubOn(t, inbox, () => answer);
  const { stream, refusals } = await liveStream(hub);
  let goOn!: () => void;
  answer = new Promise((resolve) => (goOn = resolve));
  const compared = compare(hub);
  stream.push(inbox.create(2));
  assert.equal(stream.cursor, 2);
  goOn();
  await compared;
  assert.deepEqual(refusals, []);
});

test('a stream that catches up from beyond its inbox ends, rather than to go live and to drop what comes', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1, 2, 3);
  const { hub } = hubOn(t, inbox, () => Promise.resolve());
  const { stream, refusals } = await liveStream(hub);
  inbox.lastSequence = 1;
  stream.resync(4);
  await untilTrue(() => refusals.length > 0, { what: 'the stream is refused' });
  assert.match(refusals.join(), /too old to go on from/);
});

test('records that a stream is beyond have its inbox looked at before the next comparison', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1, 2, 3);
  const { hub } = hubOn(t, inbox, () => Promise.resolve());
  const { stream, refusals } = await liveStream(hub);
  inbox.lastSequence = 1;
  stream.push(inbox.create(9));
  await untilTrue(() => refusals.length > 0, { what: 'the stream is refused' });
});

test('a renewed epoch ends the streams of the one before, and what was remembered goes', async (t) => {
  const inbox = new InboxModel();
  inbox.create(1);
  const { hub, cleared } = hubOn(t, inbox, () => Promise.resolve());
  const { refusals } = await liveStream(hub);
  await compare(hub);
  assert.deepEqual([refusals, cleared()], [[], 0]);
  inbox.epoch += 1;
  await compare(hub);
  assert.match(refusals.join(), /too old to go on from/);
  assert.equal(cleared(), 1);
  assert.equal(hub.epoch, inbox.epoch);
});
