import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import { main } from '../../../services/cli/cli.js';
import type { RoleState } from '../../../services/cli/io/roles.js';
import { problemsOf } from '../../../services/cli/views/system.js';
import { stepsOf, verdictOf } from '../../../services/cli/views/trace.js';
import { reasonsOf } from '../../../services/cli/views/trace-reasons.js';
import type { Alert__Output, AlertProgress__Output } from '../../../services/gen/types.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeService } from '../client/fake-service.js';
import { fakeContext } from './fake-context.js';
import { closedAddress, roleState, serveHttp, serveRole } from './fake-roles.js';

const NOON = Date.UTC(2026, 0, 31, 12, 0, 0);
/** Seconds after noon, as protobuf has it. */
const at = (seconds: number) => ({
  seconds: NOON / 1000 + Math.floor(seconds),
  nanos: Math.round((seconds % 1) * 1000) * 1e6,
});
const now = NOON + 60_000;

const alert: Alert__Output = {
  alertId: 17,
  kind: 'ALERT_KIND_GRAFANA',
  level: 'ALERT_LEVEL_ERROR',
  appName: 'ssok-bank-api',
  title: '5xx',
  message: '',
  occurredAt: at(0),
  createdAt: at(0),
  sourceId: '',
  labels: {},
};

const DELIVERED: AlertProgress__Output = {
  publishedAt: at(0.1),
  fannedOutAt: at(0.2),
  recipients: 3,
  delivered: 3,
  read: 0,
  completedAt: null,
  traceId: 'ab'.repeat(16),
  traceSampled: true,
  pushCounts: [],
  pushes: [],
  firstDeliveredAt: at(0.25),
  lastDeliveredAt: at(0.3),
  lastReadAt: null,
  firstPushSentAt: null,
  lastPushSentAt: null,
  missingUserIds: [],
  deadLetters: [],
  deadLetterCount: 0,
  deadLettered: false,
  nextCheckAt: at(90),
  checks: 0,
  closed: false,
  unplannedPushes: 0,
  unreached: [],
  unreachedCount: 0,
};

const NOT_PUBLISHED: AlertProgress__Output = {
  ...DELIVERED,
  publishedAt: null,
  fannedOutAt: null,
  delivered: 0,
  firstDeliveredAt: null,
  lastDeliveredAt: null,
  missingUserIds: ['op1', 'op2', 'op3'],
};
const NOT_FANNED_OUT: AlertProgress__Output = { ...NOT_PUBLISHED, publishedAt: at(0.1) };
const PARTLY: AlertProgress__Output = { ...DELIVERED, delivered: 1, missingUserIds: ['op2', 'op3'] };

const lag = (group: string, records: number) =>
  `ssom_kafka_consumer_lag{group="${group}",topic="some-topic",partition="2"} ${records}`;

/** Every role, well and with nothing before it, except these. */
function system(...others: RoleState[]): RoleState[] {
  const well = (['alert-api', 'fanout', 'delivery', 'push', 'stream-gateway'] as const).map((name) => roleState(name));
  return well.map((role) => others.find(({ name }) => name === role.name) ?? role);
}

const away = (name: 'fanout' | 'delivery' | 'push' | 'stream-gateway') =>
  roleState(name, [], { away: 'nothing listens there', ready: false });

test('an alert that is in every inbox: how long each step took, and where it took its time', () => {
  const slow = { ...DELIVERED, fannedOutAt: at(63.1), firstDeliveredAt: at(63.2), lastDeliveredAt: at(63.4) };
  assert.equal(verdictOf(alert, DELIVERED), 'it is in the inbox of every recipient, 300 ms after it was created');
  assert.equal(
    verdictOf(alert, slow),
    'it is in the inbox of every recipient, 1 min 3 s after it was created; 1 min 3 s of it until it was fanned out',
  );
  assert.deepEqual(
    stepsOf(alert, slow).map(({ name, afterMs, done, of, slow: isSlow }) => [name, afterMs, done, of, isSlow]),
    [
      ['created', null, 1, 1, false],
      ['published', 100, 1, 1, false],
      ['fanned out', 63_000, 3, 3, true],
      ['in inboxes', 300, 3, 3, false],
      ['pushed', null, 0, 0, false],
      ['read', null, 0, 3, false],
    ],
  );
  assert.deepEqual(reasonsOf(slow, system(), now), []);
  // What is noted late tells of no time below nothing.
  assert.equal(stepsOf(alert, { ...DELIVERED, fannedOutAt: at(5) })[3]!.afterMs, 0);
});

test('the end of a fan-out is noted late: its step is never behind that of the inboxes', () => {
  const late = { ...DELIVERED, fannedOutAt: at(0.4) };
  const times = stepsOf(alert, late).map(({ name, at: time, afterMs }) => [name, time! - NOON, afterMs]);
  assert.deepEqual(times.slice(2, 4), [
    ['fanned out', 300, 200],
    ['in inboxes', 300, 0],
  ]);
});

test('an alert that was published once more after a crash is not said to have waited for that', () => {
  const repeated = { ...DELIVERED, publishedAt: at(12.6) };
  const [, published, ...later] = stepsOf(alert, repeated);
  assert.deepEqual([published!.afterMs, published!.slow], [null, false]);
  assert.equal(published!.note, 'once more: it was in an inbox before');
  assert.ok(later.every(({ slow }) => !slow));
  assert.equal(verdictOf(alert, repeated), 'it is in the inbox of every recipient, 300 ms after it was created');
  assert.equal(stepsOf(alert, { ...DELIVERED, publishedAt: at(1) })[1]!.afterMs, 1000, 'a note that is late is none');
});

test('who does not get it is named', async (t) => {
  const unreached = [
    { list: 'RECIPIENT_LIST_GITHUB_LOGINS', name: 'Copilot', reason: 'UNREACHED_REASON_UNKNOWN' },
    { list: 'RECIPIENT_LIST_DEPARTMENTS', name: 'NIGHT', reason: 'UNREACHED_REASON_NO_ACTIVE_USER' },
  ] as const;
  const address = await fakeService(t, {
    GetAlert: (_call, callback) =>
      callback(null, { alert, progress: { ...DELIVERED, unreached: [...unreached], unreachedCount: 3 } }),
  });
  const context = fakeContext({ environment: { SSOM_ADDRESS: address, SSOM_ROLES: await closedAddress() } });
  assert.equal(await main(['alerts', 'trace', '17'], context), 0);
  assert.match(
    context.out(),
    /\nnot reached\n {2}GitHub login 'Copilot' does not exist\n {2}department 'NIGHT' has no active user\n {2}and 1 more name reach nobody\n/,
  );
});

test('no recipients, and an alert behind the retention, are said so', () => {
  assert.match(verdictOf(alert, { ...DELIVERED, recipients: 0, delivered: 0 }), /no recipients: the routing rules/);
  const closed = { ...PARTLY, closed: true, missingUserIds: [], nextCheckAt: null };
  assert.match(verdictOf(alert, closed), /older than ALERT_RETENTION_DAYS/);
  assert.deepEqual(reasonsOf(closed, system(away('delivery')), now), []);
});

test('not published: what the alert-api lacks, and the outbox', () => {
  assert.equal(verdictOf(alert, NOT_PUBLISHED), 'it waits to be published to Kafka');
  const api = roleState('alert-api', ['ssom_outbox_depth 2', 'ssom_outbox_age 75'], {
    checks: [{ name: 'kafka', ok: false, required: false, reason: 'no broker answered' }],
  });
  const reasons = reasonsOf(NOT_PUBLISHED, system(api, away('fanout')), now);
  assert.match(reasons[0]!, /^alert-api at alert-api:9464 is ready, but kafka: no broker answered$/);
  assert.match(reasons[1]!, /^2 alerts wait in the outbox, the oldest for 1 min 15 s/);
  assert.equal(reasons.length, 2);
  assert.match(reasonsOf(NOT_PUBLISHED, system(), now)[0]!, /the sweeper of the alert-api publishes it/);
});

test('not fanned out: the role is away, behind, paused, not ready, or its circuit breaker is open', () => {
  assert.equal(verdictOf(alert, NOT_FANNED_OUT), 'it waits to be fanned out');
  const [, published] = stepsOf(alert, NOT_FANNED_OUT);
  assert.deepEqual([published!.at, published!.done], [null, 1], 'that it was published is known, and not when');
  const reasons = (fanout: RoleState) => reasonsOf(NOT_FANNED_OUT, system(fanout), now).join('\n');
  assert.match(reasons(away('fanout')), /^no fanout answers \(fanout:9464: nothing listens there\)\n.*reconcile/);
  assert.match(
    reasons(roleState('fanout', [lag('g-fanout', 1234)])),
    /^g-fanout is 1,234 records behind, in some-topic-2\n/,
  );
  assert.match(reasons(roleState('fanout', [lag('g-fanout', 1)])), /^g-fanout is 1 record behind, in some-topic-2\n/);
  const other = lag('g-fanout', 1000).replace('"2"', '"0"');
  assert.match(
    reasons(roleState('fanout', [lag('g-fanout', 1234), other])),
    /^g-fanout is 2,234 records behind, most of them in some-topic-2 \(1,234\)\n/,
  );
  assert.match(
    reasons(roleState('fanout', [lag('g-fanout', 0), 'ssom_kafka_consumer_paused{group="g-fanout"} 1'])),
    /paused/,
  );
  assert.match(
    reasons(roleState('fanout', ['ssom_kafka_consumer_parked{group="g-fanout"} 2'])),
    /^2 of the partitions of g-fanout wait for/,
  );
  assert.match(
    reasons(roleState('fanout', ['ssom_triage_waiting{group="g-fanout"} 20', 'ssom_triage_age{group="g-fanout"} 90'])),
    /^20 records of g-fanout wait apart, the oldest for 1 min 30 s: /,
  );
  assert.match(
    reasons(roleState('fanout', ['ssom_breaker_state{name="postgresql"} 2'])),
    /breaker to postgresql is open/,
  );
  const joining = {
    ready: false,
    checks: [{ name: 'consumer group g-fanout', ok: false, required: true, reason: 'joi\nning' }],
  };
  assert.match(
    reasons(roleState('fanout', [], joining)),
    /^fanout at fanout:9464 is not ready: consumer group g-fanout: joi\\nning\n/,
  );
  // The nearest cause alone, unless some of it is delivered already.
  const both = system(away('fanout'), away('delivery'));
  assert.doesNotMatch(reasonsOf(NOT_FANNED_OUT, both, now).join(), /no delivery/);
  const underWay = { ...NOT_FANNED_OUT, delivered: 1 };
  assert.match(reasonsOf(underWay, both, now).join(), /no fanout.*no delivery/);
  assert.match(reasons(roleState('fanout')), /^the roles before it are well.*\nreconcile looks at it in 30\.0 s/);
});

test('missing in some inboxes: dead letters by name, the role behind, or reconcile', () => {
  assert.equal(verdictOf(alert, PARTLY), 'it is missing in 2 inboxes of 3');
  const reason = 'user op2 does\nnot exist';
  const letter = { name: 'user-alert-topic-3@7', userId: 'op2', reason, purged: false, waitsFor: '' };
  const held = { ...PARTLY, deadLetters: [letter], deadLetterCount: 22, deadLettered: true };
  assert.equal(verdictOf(alert, held), 'it waits in the dead letters: it is missing in 2 inboxes of 3');
  const reasons = reasonsOf(held, system(), now);
  assert.deepEqual(reasons, [
    'dead letter user-alert-topic-3@7 (op2): user op2 does\\nnot exist',
    'and 21 dead letters more',
    "'ssom-alert dlq show user-alert-topic-3@7' shows it; mend the cause, then 'ssom-alert dlq redrive'",
  ]);
  // One of two: the other is to be found elsewhere.
  assert.equal(verdictOf(alert, { ...held, deadLetterCount: 1 }), 'it is missing in 2 inboxes of 3');
  const waiting = { ...held, deadLetters: [{ ...letter, waitsFor: 'no such topic' }], deadLetterCount: 1 };
  assert.match(
    reasonsOf(waiting, system(), now)[0]!,
    /not exist; it waits in PostgreSQL, as its topic does not take it: no such topic$/,
  );
  const due = { ...PARTLY, nextCheckAt: at(10), checks: 2 };
  assert.match(reasonsOf(due, system(), now).at(-1)!, /^reconcile looks at it at its next run.*incomplete 2 times$/);
  // The lag of another group is not why.
  assert.doesNotMatch(reasonsOf(PARTLY, system(roleState('push', [lag('g-push', 9)])), now).join(), /behind/);
});

test('an alert that could not be published waits in the dead letters, not for the sweeper', () => {
  const letter = { name: 'alert-created-topic--1@17', userId: '', reason: 'too large', purged: false, waitsFor: '' };
  const refused = { ...NOT_PUBLISHED, deadLetters: [letter], deadLetterCount: 1, deadLettered: true };
  assert.equal(verdictOf(alert, refused), 'it waits in the dead letters: it is missing in 3 inboxes of 3');
  assert.deepEqual(reasonsOf(refused, system(), now), [
    'dead letter alert-created-topic--1@17 (the whole alert): too large',
    "'ssom-alert dlq show alert-created-topic--1@17' shows it; mend the cause, then 'ssom-alert dlq redrive'",
    'reconcile looks at it in 30.0 s and sends what is missing',
  ]);
});

test('in one process of all roles only what concerns a role is its problem', () => {
  const checks = [{ name: 'consumer group g-fanout', ok: false, required: false, reason: 'joining' }];
  const all = roleState('standalone', [lag('g', 4), lag('g-fanout', 0), 'ssom_breaker_state{name="fcm"} 2'], {
    checks,
  });
  assert.match(problemsOf('delivery', [all]).join(), /^g is 4 records behind/);
  assert.match(problemsOf('fanout', [all]).join(), /^standalone at .* is ready, but consumer group g-fanout: joining$/);
  assert.match(problemsOf('push', [all]).join(), /^standalone at .* breaker to fcm is open/);
  assert.deepEqual(problemsOf('alert-api', [all]), []);
});

test('the gateways read the same records: their lags are not added', () => {
  const gateways = [1, 2].map(() => roleState('stream-gateway', [lag('g-broadcast', 5)]));
  assert.match(problemsOf('stream-gateway', gateways).join(), /^g-broadcast is 5 records behind/);
});

test('the lag of a group whose consumers have all stopped is known to the alert-api', () => {
  const told = ['ssom_kafka_group_lag{group="g",topic="some-topic",partition="2"} 7', lag('g-fanout', 1)];
  const states = system(roleState('alert-api', told), away('delivery'));
  assert.match(problemsOf('delivery', states).join('\n'), /^no delivery answers .*\ng is 7 records behind/);
  // Told of by both it is no more.
  const both = system(roleState('alert-api', told), roleState('delivery', [lag('g', 6)]));
  assert.match(problemsOf('delivery', both).join('\n'), /^g is 7 records behind/);
});

test('pushes that wait: for their time, for FCM, for the role, or because push is off', () => {
  const push = {
    userId: 'op1',
    deviceId: 5,
    state: 'PUSH_STATE_WAITING' as const,
    attempts: 0,
    sentAt: null,
    dueAt: at(70),
    fcmMessageName: '',
    error: '',
  };
  const waiting: AlertProgress__Output = {
    ...DELIVERED,
    pushCounts: [
      { state: 'PUSH_STATE_WAITING', count: 1 },
      { state: 'PUSH_STATE_FAILED', count: 1 },
    ],
    pushes: [{ ...push, deviceId: 4, state: 'PUSH_STATE_FAILED', dueAt: null, error: 'messaging/x: no' }, push],
  };
  const reasons = (role: RoleState, progress = waiting) => reasonsOf(progress, system(role), now).join('\n');
  const sender = (...metrics: string[]) => roleState('push', ['ssom_push_limit 100', ...metrics]);
  assert.equal(
    reasons(sender()),
    'push to op1, device 4: messaging/x: no\n' +
      `'ssom-alert dlq list --reason "push to device 4:"' lists it, 'ssom-alert dlq show NAME' shows it; ` +
      "mend the cause, then 'ssom-alert dlq redrive'\n" +
      'push to op1, device 5, waits 10.0 s, as its user holds a stream (PUSH_GRACE_MS)',
  );
  const dead = { ...waiting.pushes[0]!, deviceId: 3, error: 'messaging/registration-token-not-registered: gone' };
  const deviceGone = (...more: typeof waiting.pushes) => reasons(sender(), { ...waiting, pushes: [dead, ...more] });
  assert.equal(
    deviceGone(),
    'push to op1, device 3: messaging/registration-token-not-registered: gone',
    'such a one is no dead letter',
  );
  assert.match(deviceGone(...waiting.pushes), /device 3: .*\npush to op1, device 4: .*\n'.*"push to device 4:"/);
  const again = { ...waiting, pushes: [{ ...push, attempts: 2, error: 'messaging/unavailable' }] };
  const failed = /device 5, failed and is tried again in at most 10\.0 s: messaging\/unavailable/;
  assert.match(reasons(sender(), again), failed);
  const [waits] = again.pushes;
  // What FCM may have accepted all the same is called sending until it is known.
  const sending = (error: string) => ({
    ...waiting,
    pushes: [{ ...waits!, state: 'PUSH_STATE_SENDING' as const, error }],
  });
  assert.match(reasons(sender(), sending('messaging/unavailable')), failed);
  assert.equal(reasons(sender(), sending('')), '');
  assert.match(reasons(sender('ssom_push_paused 12')), /FCM has asked to wait 12\.0 s/);
  assert.match(reasons(sender('ssom_breaker_state{name="fcm"} 2')), /breaker to fcm is open/);
  assert.match(reasons(sender('ssom_push_due 2')), /2 pushes of all alerts are due/);
  assert.match(reasons(away('push')), /no push answers/);
  const unplanned = { ...DELIVERED, unplannedPushes: 2 };
  assert.match(reasons(roleState('push', ['ssom_push_skipped_total 7']), unplanned), /pushes nothing: FCM_CREDENTIALS/);
  assert.equal(stepsOf(alert, unplanned)[4]!.note, '2 users not planned for yet');
  assert.equal(reasons(away('push'), DELIVERED), '', 'nobody waits for a push');
});

test('streams are not noted for each alert: what keeps the gateways from it is said', () => {
  assert.match(reasonsOf(DELIVERED, system(away('stream-gateway')), now).join(), /^no stream-gateway answers/);
  const behind = roleState('stream-gateway', [lag('g-broadcast', 3)]);
  assert.match(reasonsOf(DELIVERED, system(behind), now).join(), /^g-broadcast is 3 records behind/);
});

test('trace prints the way, who is missing, why, and the address of the trace; JSON has the same', async (t) => {
  const address = await fakeService(t, {
    GetAlert: (_call, callback) => callback(null, { alert, progress: { ...PARTLY, recipients: 30 } }),
  });
  const roles = await serveRole(t, 'alert-api');
  const environment = { SSOM_ADDRESS: address, SSOM_ROLES: roles, SSOM_JAEGER_URL: 'https://jaeger/ui/' };
  const context = fakeContext({ environment });
  assert.equal(await main(['alerts', 'trace', '17'], context), 0);
  const out = context.out();
  assert.match(out, /^alert 17: 5xx\nit is missing in 29 inboxes of 30\n/);
  assert.match(out, /\n {2}published {3}\S+ \S+ +\+100 ms\n/);
  assert.match(out, /\n {2}fanned out .* \+100 ms +to 30 recipients\n/);
  assert.match(out, /\n {2}in inboxes .* \+100 ms +1 of 30, the first at \d\d:\d\d:00\.250\n/);
  assert.match(out, /\nmissing in 29 inboxes: op2, op3, and 27 more\n/);
  assert.match(out, /\nwhy\n {2}no delivery answers: none of the addresses asked is one\n/);
  assert.match(out, new RegExp(`\ntrace {2}https://jaeger/ui/trace/${'ab'.repeat(16)}\n$`));
  assert.ok(!out.includes('\u001b'));

  const unsampled = await fakeService(t, {
    GetAlert: (_call, callback) => callback(null, { alert, progress: { ...DELIVERED, traceSampled: false } }),
  });
  const untraced = fakeContext({ environment: { ...environment, SSOM_ADDRESS: unsampled } });
  assert.equal(await main(['alerts', 'trace', '17'], untraced), 0);
  assert.match(untraced.out(), /\ntrace {2}none: (ab){16} was not recorded/);

  // The longest that the third column can be.
  const took = { ...PARTLY, fannedOutAt: at(23 * 3600 + 59 * 60 + 0.1), recipients: 30 };
  const slow = await fakeService(t, { GetAlert: (_call, callback) => callback(null, { alert, progress: took }) });
  const columns = fakeContext({ environment: { ...environment, SSOM_ADDRESS: slow } });
  assert.equal(await main(['alerts', 'trace', '17'], columns), 0);
  assert.match(columns.out(), /\n {2}fanned out .* \+23 h 59 min slow {2}to 30 recipients\n/);

  // Asked where no role is, it says that of them, and nothing of what they might be doing.
  const stopped = await closedAddress();
  const alone = fakeContext({ environment: { ...environment, SSOM_ROLES: stopped } });
  assert.equal(await main(['alerts', 'trace', '17'], alone), 0);
  assert.match(alone.out(), new RegExp(`\nno role answers, .*\\(${stopped}: nothing listens there\\); --roles`));
  assert.doesNotMatch(alone.out(), /no delivery|are well/);

  const json = fakeContext({ environment });
  assert.equal(await main(['alerts', 'trace', '17', '--json', '--jaeger', 'http://j'], json), 0);
  const trace = JSON.parse(json.out()) as Record<string, unknown> & { steps: { name: string; at: string | null }[] };
  assert.equal(trace['traceUrl'], `http://j/trace/${'ab'.repeat(16)}`);
  assert.deepEqual(trace['missing'], { count: 29, userIds: ['op2', 'op3'] });
  assert.equal(trace.steps[3]!.at, '2026-01-31T12:00:00.300Z');
  assert.deepEqual(trace['roles'], [{ address: roles, name: 'alert-api', away: null, ready: true }]);
});

test('trace that is interrupted while it asks the roles blames none of them', async (t) => {
  const address = await fakeService(t, {
    GetAlert: (_call, callback) => callback(null, { alert, progress: DELIVERED }),
  });
  let asked = false;
  const silent = await serveHttp(t, () => (asked = true));
  const context = fakeContext({ environment: { SSOM_ADDRESS: address, SSOM_ROLES: silent } });
  const ended = main(['alerts', 'trace', '17'], context);
  await untilTrue(() => asked, { what: 'the role is asked' });
  // The alert is answered meanwhile, and the role has two seconds.
  await sleep(100);
  context.interrupt();
  assert.deepEqual([await ended, context.out(), context.err()], [130, '', '']);
});

test('what trace cannot answer is one clear message', async (t) => {
  const refusal = { code: grpc.status.NOT_FOUND, details: 'there is no alert 99' };
  const address = await fakeService(t, {
    GetAlert: ({ request }, callback) => {
      if (request.alertId === 99) callback(refusal);
      else callback(null, { alert, progress: null });
    },
  });
  const stopped = await closedAddress();
  const trace = async (args: readonly string[], more: Record<string, string> = {}) => {
    const context = fakeContext({ environment: { SSOM_ADDRESS: address, SSOM_ROLES: stopped, ...more } });
    const code = await main(['alerts', 'trace', ...args], context);
    assert.equal(context.out(), '');
    return [code, context.err()] as const;
  };
  assert.deepEqual(await trace(['99']), [1, 'NOT_FOUND: there is no alert 99\n']);
  const [code, forbidden] = await trace(['17']);
  assert.equal(code, 1);
  assert.match(
    forbidden,
    /^alert 17 is there; how far it has come is told to callers with the scope alerts:read only\n$/,
  );
  for (const wrong of ['abc', '0', '1.5', '9007199254740993']) {
    const [usage, said] = await trace([wrong]);
    assert.equal(usage, 2);
    assert.match(said, /whole number from 1 to 9007199254740991/);
  }
  assert.match((await trace(['17', '--jaeger', 'j']))[1], /'j' is no address of Jaeger's page/);
  const [failed, said] = await trace(['17'], { SSOM_ADDRESS: stopped });
  assert.equal(failed, 75);
  assert.match(said, new RegExp(`^${stopped}: nothing listens there\nUNAVAILABLE: `));
});

test('the alert-api answers and cannot ask its database: what the roles say of it is said', async (t) => {
  const details = 'the database does not answer at the moment; try again';
  const address = await fakeService(t, {
    GetAlert: (_call, callback) => callback({ code: grpc.status.UNAVAILABLE, details }),
  });
  const gone = { ok: false, required: true, reason: 'connect ECONNREFUSED' };
  const api = await serveRole(t, 'alert-api', () => [], {
    postgresql: gone,
    kafka: { ...gone, required: false, reason: 'no broker' },
    'circuit breaker postgresql': gone,
  });
  const delivery = await serveRole(t, 'delivery', () => [], { kafka: { ...gone, required: false } });
  const well = await serveRole(t, 'push', () => [], { postgresql: { ok: true, required: true } });
  const environment = { SSOM_ADDRESS: address, SSOM_ROLES: [api, delivery, well].join() };
  const context = fakeContext({ environment });
  assert.equal(await main(['alerts', 'trace', '17'], context), 75);
  const [postgresql, kafka, theirs, ...rest] = context.err().trimEnd().split('\n');
  assert.equal(postgresql, `alert-api at ${api} is not ready: postgresql: connect ECONNREFUSED`);
  assert.equal(kafka, `alert-api at ${api} is not ready: kafka: no broker`);
  assert.equal(theirs, `delivery at ${delivery} is ready, but kafka: connect ECONNREFUSED`);
  assert.equal(rest[0], `UNAVAILABLE: ${details}`, 'and nothing of the role that is well');
});
