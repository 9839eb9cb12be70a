import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Backpressure } from '../../../services/push/backpressure.js';
import type { PushJob } from '../../../services/push/push-jobs.js';
import { PushTracing } from '../../../services/push/push-trace.js';
import type { ClaimedPush } from '../../../services/store/pushes.js';
import { callersTrace, startTracing } from '../../support/traced.js';

const SLOW_MS = 5000;
const SEND = 'send fcm';
const WAIT = 'wait in push';

async function startPushTracing(t: TestContext) {
  const { tracing, receiver } = await startTracing(t);
  const backpressure = new Backpressure();
  const traces = new PushTracing({ tracing, host: 'fcm', slowMs: SLOW_MS, backpressure });
  return { tracing, receiver, backpressure, traces };
}

function claimOf(traceparent: string, rest: Partial<ClaimedPush> = {}): ClaimedPush {
  return {
    deviceId: 1,
    alertId: 17,
    userId: 'op1',
    claimedUntil: 0,
    attempts: 1,
    strikes: 0,
    dismiss: false,
    plannedFor: Date.now(),
    lastError: null,
    expiresAt: Date.now(),
    now: Date.now(),
    device: { token: 'token', platform: 'ANDROID', refreshedAt: 0, refusals: 0, inRow: 0, ownInRow: 0, waitsMs: 0 },
    alert: { kind: 'OTHER', level: 'INFO', appName: 'a', title: 't', message: '', createdAt: 0, traceparent },
    entry: { sequence: 1, isRead: false, isDeleted: false },
    unreadCount: 0,
    ...rest,
  };
}

const jobOf = (claim: ClaimedPush): PushJob => ({
  deviceId: claim.deviceId,
  dismiss: claim.dismiss,
  claims: [claim],
  message: {} as PushJob['message'],
});

test('a push that was sent much later than planned has a span of its wait, which says why', async (t) => {
  const { tracing, receiver, backpressure, traces } = await startPushTracing(t);
  const planned = Date.now() - 60_000;
  const late = { plannedFor: planned };
  backpressure.note('all_places_taken');
  backpressure.note('fcm_asked_to_wait', planned - 1);
  const cases = [
    { why: 'all_places_taken', claim: late },
    { why: 'messaging/server-unavailable', claim: { ...late, lastError: 'messaging/server-unavailable: a secret' } },
    { why: 'nothing', claim: { plannedFor: Date.now() } },
    { why: 'nothing', claim: { plannedFor: null } },
    { why: 'nothing', claim: { ...late, dismiss: true } },
  ].map((each) => ({ ...each, ...callersTrace() }));
  for (const { traceparent, claim } of cases) traces.begin(jobOf(claimOf(traceparent, claim)))!.end();
  const expired = callersTrace();
  traces.expired(claimOf(expired.traceparent, late));
  const failing = callersTrace();
  traces.begin(jobOf(claimOf(failing.traceparent, late)))!.end(new Error('not now'));
  const unknown = callersTrace();
  const before = { plannedFor: Date.now() + 1000 - 60_000 };
  new PushTracing({ ...traces.options, backpressure: new Backpressure() })
    .begin(jobOf(claimOf(unknown.traceparent, before)))!
    .end();
  await tracing.close();

  for (const { why, claim, traceId, traceparent } of cases) {
    const [waited, ...more] = receiver.named(WAIT, traceId);
    assert.deepEqual(more, []);
    if (why === 'nothing') {
      assert.equal(waited, undefined);
      continue;
    }
    const { attributes, startedAt, endedAt, parentId } = waited!;
    assert.deepEqual(attributes, { 'ssom.alert.id': 17, 'ssom.slow': true, 'ssom.wait.reason': why });
    assert.equal(parentId, traceparent.split('-')[2]);
    assert.ok(Math.abs(startedAt - claim.plannedFor!) < 1, 'from when it was to be sent');
    const [sent] = receiver.named(SEND, traceId);
    assert.ok(Math.abs(endedAt - sent!.startedAt) < 1, 'until FCM was asked');
  }
  assert.equal(receiver.named(WAIT, expired.traceId).length, 1, 'one that became too old waited as well');
  assert.equal(receiver.named(WAIT, failing.traceId).length, 0, 'the wait goes on');
  assert.equal(receiver.named(SEND, failing.traceId)[0]!.failed, true);
  assert.equal('ssom.wait.reason' in receiver.named(WAIT, unknown.traceId)[0]!.attributes, false);
});

test('a push that FCM refuses for hours has a dozen spans, and tells how many were left out', async (t) => {
  const { tracing, receiver, traces } = await startPushTracing(t);
  const { traceId, traceparent } = callersTrace();
  const attempt = (attempts: number) => traces.begin(jobOf(claimOf(traceparent, { attempts })))!;
  for (let attempts = 1; attempts <= 400; attempts += 1) attempt(attempts).end(new Error('503'));
  attempt(401).end();
  await tracing.close();
  const spans = receiver.named(SEND, traceId).map(({ attributes, failed }) => ({
    failed,
    attempt: attributes['ssom.push.attempt'],
    leftOut: attributes['ssom.attempts.unrecorded'] ?? 0,
  }));
  assert.deepEqual(
    spans.map((span) => span.attempt),
    [1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 401],
  );
  assert.deepEqual(spans.at(-1), { failed: false, attempt: 401, leftOut: 390 });
  assert.ok(spans.slice(0, -1).every(({ failed }) => failed));
});
