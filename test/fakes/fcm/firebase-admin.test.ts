// How the real firebase-admin behaves against the server, in what the push role depends on. An upgrade that changes it
// fails here.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Message } from 'firebase-admin/messaging';
import { connectAdmin } from './admin.js';
import { startFcm } from './client.js';
import type { ErrorName, Rule } from './control-types.js';

const TOKEN = 'a-device-of-somebody-0001';
const MESSAGE: Message = { token: TOKEN, notification: { title: 'Disk full', body: 'db-1' } };

interface AdminError extends Error {
  readonly code: string;
}

function codeOf(result: Promise<string>): Promise<string> {
  return result.then(
    () => 'sent',
    (error: AdminError) => error.code,
  );
}

test('a message arrives as it was given, in the names of the API', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  const name = await messaging.send({
    ...MESSAGE,
    data: { alert_id: '7' },
    android: { priority: 'high', ttl: 90_500, collapseKey: '7', notification: { tag: '7', channelId: 'alerts' } },
    apns: { headers: { 'apns-collapse-id': '7' }, payload: { aps: { badge: 3, contentAvailable: true } } },
    webpush: { headers: { Topic: '7' }, notification: { tag: '7' } },
    fcmOptions: { analyticsLabel: 'alerts' },
  });
  const [received, ...more] = await fcm.received(TOKEN);
  assert.ok(received !== undefined && more.length === 0);
  assert.equal(received.name, name);
  assert.match(name, /^projects\/ssom-test\/messages\/.+/);
  assert.deepEqual(received.collapse, {
    collapseKey: '7',
    androidTag: '7',
    apnsCollapseId: '7',
    webpushTopic: '7',
    webpushTag: '7',
  });
  const { android, apns } = received.message as { android: Record<string, unknown>; apns: { payload: unknown } };
  assert.deepEqual([android['ttl'], android['priority']], ['90.500000000s', 'HIGH']);
  assert.deepEqual(android['notification'], { tag: '7', channel_id: 'alerts' });
  assert.deepEqual(apns.payload, { aps: { badge: 3, 'content-available': 1 } });
});

/** The code that firebase-admin makes of each documented condition. */
const CODES: Readonly<Record<Exclude<ErrorName, 'UNAVAILABLE'>, string>> = {
  UNSPECIFIED_ERROR: 'messaging/unknown-error',
  INVALID_ARGUMENT: 'messaging/invalid-argument',
  // Not messaging/authentication-error, which is left for answers without JSON.
  UNAUTHENTICATED: 'messaging/third-party-auth-error',
  THIRD_PARTY_AUTH_ERROR: 'messaging/third-party-auth-error',
  // Of a service account without permission: no difference to a token of another sender.
  PERMISSION_DENIED: 'messaging/mismatched-credential',
  SENDER_ID_MISMATCH: 'messaging/mismatched-credential',
  UNREGISTERED: 'messaging/registration-token-not-registered',
  QUOTA_EXCEEDED: 'messaging/message-rate-exceeded',
  INTERNAL: 'messaging/internal-error',
};

test('every documented error has its code, and is not tried again', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  for (const [error, code] of Object.entries(CODES) as [ErrorName, string][]) {
    await fcm.rule({ error, times: 1 });
    assert.equal(await codeOf(messaging.send(MESSAGE)), code, error);
  }
  assert.equal((await fcm.counts()).requests, Object.keys(CODES).length);
});

test('tokens that are dead, of another sender or malformed have their codes', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  const [dead, others] = ['a-dead-device-000000001', 'a-device-of-others-0001'];
  await fcm.setTokens('dead', [dead]);
  await fcm.setTokens('other-sender', [others]);
  assert.equal(await codeOf(messaging.send({ token: dead })), 'messaging/registration-token-not-registered');
  assert.equal(await codeOf(messaging.send({ token: others })), 'messaging/mismatched-credential');
  assert.equal(await codeOf(messaging.send({ token: 'too-short' })), 'messaging/invalid-argument');
  await fcm.setTokens('known', [dead]);
  assert.equal(await codeOf(messaging.send({ token: dead })), 'sent');
});

/** Answers that are no JSON have codes by their status. */
const MALFORMED: readonly [Rule, string][] = [
  [{ malformed: 'not-json' }, 'messaging/unknown-error'],
  [{ malformed: 'empty' }, 'messaging/unknown-error'],
  [{ malformed: 'half' }, 'messaging/unknown-error'],
  [{ malformed: 'html' }, 'messaging/unknown-error'],
  [{ malformed: 'html', status: 401 }, 'messaging/authentication-error'],
  [{ malformed: 'html', status: 403 }, 'messaging/authentication-error'],
  [{ malformed: 'html', status: 404 }, 'messaging/unknown-error'],
  [{ malformed: 'html', status: 429 }, 'messaging/unknown-error'],
  [{ malformed: 'html', status: 500 }, 'messaging/internal-error'],
  [{ malformed: 'length-too-short' }, 'app/network-error'],
];

test('every malformed answer has a code, and is not tried again', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  for (const [rule, code] of MALFORMED) {
    await fcm.rule({ ...rule, times: 1 });
    assert.equal(await codeOf(messaging.send(MESSAGE)), code, JSON.stringify(rule));
  }
  assert.equal((await fcm.counts()).requests, MALFORMED.length);
});

test('a 503 is tried again at once; the agent sees each answer', async (t) => {
  const fcm = await startFcm(t);
  const { messaging, agent } = connectAdmin(t, fcm);
  await messaging.send(MESSAGE);
  await fcm.rule({ error: 'UNAVAILABLE', times: 1 });
  const { result, attempts } = agent.watch(() => messaging.send(MESSAGE));
  await result;
  assert.deepEqual(
    attempts.map(({ status }) => status),
    [503, 200],
  );
});

test('the Retry-After of a 503 is waited for', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  await fcm.rule({ error: 'UNAVAILABLE', retryAfter: 1, times: 1 });
  await messaging.send(MESSAGE);
  const [first, second] = await fcm.received(TOKEN);
  const waited = second!.at - first!.at;
  assert.ok(waited > 950, `tried again after ${waited} ms`);
});

test('a Retry-After above a minute is not waited for, and the agent knows when to come back', async (t) => {
  const fcm = await startFcm(t);
  const { messaging, agent } = connectAdmin(t, fcm);
  await messaging.send(MESSAGE);
  const givenUp = async (retryAfter: string) => {
    await fcm.rule({ error: 'UNAVAILABLE', retryAfter, times: 1 });
    const { result, attempts } = agent.watch(() => messaging.send(MESSAGE));
    assert.equal(await codeOf(result), 'messaging/server-unavailable');
    assert.deepEqual(attempts, [{ status: 503, retryAfter }]);
  };
  await givenUp('61');
  await givenUp(new Date(Date.now() + 3_600_000).toUTCString());
});

test("the agent tells concurrent sends' answers apart", async (t) => {
  const fcm = await startFcm(t);
  const { messaging, agent } = connectAdmin(t, fcm);
  await messaging.send(MESSAGE);
  const tokens = Array.from({ length: 20 }, (_, at) => `a-device-with-number-${at}`);
  for (const [at, token] of tokens.entries()) await fcm.rule({ token, error: 'QUOTA_EXCEEDED', retryAfter: at + 1 });
  const watches = tokens.map((token) => agent.watch(() => messaging.send({ token })));
  await Promise.allSettled(watches.map(({ result }) => result));
  assert.deepEqual(
    watches.map(({ attempts }) => attempts),
    tokens.map((_, at) => [{ status: 429, retryAfter: String(at + 1) }]),
  );
});

test('a connection cut before the answer: sent again at once, so an accepted message arrives twice', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  await fcm.rule({ cut: 'before', times: 1 });
  await messaging.send(MESSAGE);
  const outcomes = async () => (await fcm.received(TOKEN)).map(({ accepted, status }) => [accepted, status]);
  assert.deepEqual(await outcomes(), [
    [false, 0],
    [true, 200],
  ]);
  await fcm.reset();
  await fcm.rule({ cut: 'unheard', times: 1 });
  await messaging.send(MESSAGE);
  assert.deepEqual(await outcomes(), [
    [true, 0],
    [true, 200],
  ]);
});

test('an answer cut in its middle, of which firebase-admin never says anything, is seen by the agent', async (t) => {
  const fcm = await startFcm(t);
  const { messaging, agent } = connectAdmin(t, fcm);
  await fcm.rule({ cut: 'middle', times: 1 });
  assert.equal(await codeOf(agent.watch(() => messaging.send(MESSAGE)).result), 'ANSWER_CUT');
  assert.equal((await fcm.counts()).accepted, 1);
  assert.equal(await codeOf(messaging.send(MESSAGE)), 'sent');
});

test('an agent can keep it to one attempt, and to a time of ours', async (t) => {
  const fcm = await startFcm(t);
  const { messaging, agent } = connectAdmin(t, fcm, 10, 1000);
  await messaging.send(MESSAGE);
  const outcome = async (rule: Rule) => {
    await fcm.reset();
    await fcm.rule(rule);
    const error = await agent
      .watch(() => messaging.send(MESSAGE))
      .result.then(
        () => new Error('sent'),
        (reason: AdminError) => reason,
      );
    const { requests } = await fcm.counts();
    return `${requests} ${(error as AdminError).code} ${/Error code: \w+/.exec(error.message)?.[0] ?? ''}`.trim();
  };
  assert.equal(await outcome({ error: 'UNAVAILABLE' }), '1 messaging/server-unavailable');
  assert.equal(await outcome({ error: 'UNAVAILABLE', retryAfter: 1 }), '1 messaging/server-unavailable');
  assert.equal(await outcome({ cut: 'unheard' }), '1 app/network-error Error code: ONCE_ECONNRESET');
  assert.equal(await outcome({ delayMs: 60_000 }), '1 app/network-error Error code: SEND_TIMEOUT');
  assert.equal(await outcome({ malformed: 'length-too-long' }), '1 app/network-error Error code: SEND_TIMEOUT');
  assert.equal(await outcome({ cut: 'middle' }), '1 ANSWER_CUT');
});

test('a connection that ends after its answer costs nothing', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  await fcm.rule({ cut: 'after', times: 10 });
  for (let count = 0; count < 10; count += 1) await messaging.send(MESSAGE);
  assert.equal((await fcm.counts()).accepted, 10);
});

test('connections are kept and bounded by the agent', async (t) => {
  const fcm = await startFcm(t, { latencyMs: 20 });
  const { messaging } = connectAdmin(t, fcm, 5);
  await Promise.all(Array.from({ length: 50 }, () => messaging.send(MESSAGE)));
  for (let count = 0; count < 5; count += 1) await messaging.send(MESSAGE);
  const { concurrent, connections, grants } = await fcm.counts();
  assert.ok(concurrent.peak <= 5, `${concurrent.peak} at once`);
  const used = connections.requests.filter((requests) => requests > 0);
  assert.ok(used.length <= 5, `${used.length} connections`);
  assert.equal(grants.given, 1, 'one access token for all');
});

test('a revoked access token is not renewed: all fails until it would have ended', async (t) => {
  const fcm = await startFcm(t);
  const { messaging } = connectAdmin(t, fcm);
  await messaging.send(MESSAGE);
  await fcm.revokeAccessTokens();
  for (let count = 0; count < 2; count += 1) {
    assert.equal(await codeOf(messaging.send(MESSAGE)), 'messaging/third-party-auth-error');
  }
  assert.equal((await fcm.counts()).grants.given, 1);
});

test('an access token that ends within five minutes is renewed for every message', async (t) => {
  const fcm = await startFcm(t, { tokenLifetimeS: 200 });
  const { messaging } = connectAdmin(t, fcm);
  for (let count = 0; count < 3; count += 1) await messaging.send(MESSAGE);
  assert.equal((await fcm.counts()).grants.given, 3);
});

test('a service account with a key that Google does not know fails by a code of its own', async (t) => {
  const fcm = await startFcm(t);
  const { serviceAccount } = await startFcm(t);
  const { messaging } = connectAdmin(t, { url: fcm.url, serviceAccount });
  assert.equal(await codeOf(messaging.send(MESSAGE)), 'app/invalid-credential');
  assert.equal((await fcm.counts()).grants.refused, 1);
});
