import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { untilTrue } from '../../support/until-true.js';
import { bareLoop, sampleMessage } from './bare-loop.js';
import { type Fcm, startFcm } from './client.js';
import type { Rule } from './control-types.js';

const TOKEN = 'a-device-of-somebody-0001';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

interface Body {
  readonly name?: string;
  readonly error?: { readonly status: string; readonly details?: unknown };
}

function send(fcm: Fcm, accessToken: string | undefined, projectId = fcm.projectId): Promise<Response> {
  return fetch(`${fcm.url}/v1/projects/${projectId}/messages:send`, {
    method: 'POST',
    headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` },
    body: JSON.stringify({ message: { token: TOKEN, data: { a: '1' } } }),
  });
}

async function loop(fcm: Fcm, requests: number, concurrency: number) {
  const accessToken = await fcm.accessToken();
  return bareLoop({ ...fcm, accessToken, requests, concurrency, message: sampleMessage });
}

test('only an access token that is held good opens the door', async (t) => {
  const fcm = await startFcm(t);
  const good = await fcm.accessToken();
  assert.equal((await send(fcm, good)).status, 200);
  for (const token of [undefined, 'ya29.made-up']) {
    const answer = await send(fcm, token);
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer /);
    assert.equal(((await answer.json()) as Body).error?.status, 'UNAUTHENTICATED');
  }
  await fcm.revokeAccessTokens();
  assert.equal((await send(fcm, good)).status, 401, 'revoked');
  const shortLived = await startFcm(t, { tokenLifetimeS: 0 });
  assert.equal((await send(shortLived, await shortLived.accessToken())).status, 401, 'ended');
});

test("another project's messages are not taken", async (t) => {
  const fcm = await startFcm(t);
  const answer = await send(fcm, await fcm.accessToken(), 'another');
  assert.equal(answer.status, 403);
  const { error } = (await answer.json()) as Body;
  assert.deepEqual([error?.status, error?.details], ['PERMISSION_DENIED', undefined]);
  assert.equal((await fetch(`${fcm.url}/v1/projects/x/messages`)).status, 404);
});

test('an assertion needs the right key, sender, audience, scope and time', async (t) => {
  const fcm = await startFcm(t);
  const now = Math.floor(Date.now() / 1000);
  const right = {
    iss: fcm.serviceAccount.client_email,
    scope: 'a https://www.googleapis.com/auth/firebase.messaging',
    aud: 'https://oauth2.googleapis.com/token',
    iat: now,
    exp: now + 3600,
  };
  const ask = async (claims: object, key = fcm.serviceAccount.private_key, grantType = JWT_BEARER) => {
    const parts = [{ alg: 'RS256', typ: 'JWT' }, claims];
    const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const assertion = `${signed}.${createSign('RSA-SHA256').update(signed).sign(key, 'base64url')}`;
    const body = new URLSearchParams({ grant_type: grantType, assertion });
    const answer = await fetch(`${fcm.url}/token`, { method: 'POST', body });
    const { error = 'none' } = (await answer.json()) as { error?: string };
    return `${answer.status} ${error}`;
  };
  const { privateKey: other } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  assert.equal(await ask(right), '200 none');
  assert.equal(await ask(right, other.export({ type: 'pkcs8', format: 'pem' }) as string), '400 invalid_grant');
  assert.equal(await ask({ ...right, iss: 'somebody@else' }), '400 invalid_grant');
  assert.equal(await ask({ ...right, aud: 'https://example.com/token' }), '400 invalid_grant');
  assert.equal(await ask({ ...right, iat: now - 7200, exp: now - 3600 }), '400 invalid_grant');
  assert.equal(await ask({ ...right, exp: now + 7200 }), '400 invalid_grant');
  assert.equal(await ask({ ...right, scope: 'https://www.googleapis.com/auth/drive' }), '400 invalid_scope');
  assert.equal(await ask(right, undefined, 'password'), '400 unsupported_grant_type');
  const { given, refused } = (await fcm.counts()).grants;
  assert.deepEqual([given, refused], [1, 7]);
});

test('what a token received is kept in order, up to the limit, and counted beyond it', async (t) => {
  const fcm = await startFcm(t, { records: 100 });
  await loop(fcm, 300, 4);
  const { accepted, records, byStatus } = await fcm.counts();
  assert.deepEqual([accepted, byStatus], [300, { 200: 300 }]);
  assert.equal(records.kept + records.dropped, 300);
  assert.ok(records.kept >= 100 && records.kept <= 110, `${records.kept} kept`);
  const all = await fcm.received();
  const times = all.map(({ at }) => at);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  const last = all.at(-1)!;
  assert.deepEqual((await fcm.received(last.token)).at(-1), last);
  assert.equal((last.message as { token: string }).token, last.token);
  await fcm.reset();
  assert.deepEqual(await fcm.received(last.token), []);
});

test('without records or bodies there are still counts', async (t) => {
  const counting = await startFcm(t, { records: 0 });
  await loop(counting, 10, 1);
  assert.equal((await counting.counts()).accepted, 10);
  assert.deepEqual(await counting.received(), []);
  const bodiless = await startFcm(t, { bodies: false });
  await loop(bodiless, 1, 1);
  const [received] = await bodiless.received();
  assert.deepEqual([received?.message, received?.collapse.collapseKey], [undefined, '1000000']);
});

test('a rule applies to its token, so often, and can be taken back', async (t) => {
  const fcm = await startFcm(t);
  const access = await fcm.accessToken();
  const statuses = async (count: number) => {
    const seen: number[] = [];
    for (let sent = 0; sent < count; sent += 1) seen.push((await send(fcm, access)).status);
    return seen;
  };
  await fcm.rule({ token: 'another-device-00000001', error: 'INTERNAL' });
  await fcm.rule({ token: TOKEN, error: 'QUOTA_EXCEEDED', times: 2 });
  const standing = await fcm.rule({ error: 'UNAVAILABLE' });
  assert.deepEqual(await statuses(4), [429, 429, 503, 503]);
  await fcm.removeRule(standing);
  assert.deepEqual(await statuses(1), [200]);
});

test('the same seed gives the same share of failures, another seed another', async (t) => {
  const outcomes = async (seed: number) => {
    const fcm = await startFcm(t, { seed });
    await fcm.rule({ share: 0.3, error: 'INTERNAL' });
    await loop(fcm, 100, 1);
    return (await fcm.received()).map(({ status }) => status).join(' ');
  };
  const first = await outcomes(7);
  assert.equal(await outcomes(7), first);
  assert.notEqual(await outcomes(8), first);
  const failures = first.split(' ').filter((status) => status === '500').length;
  assert.ok(failures > 10 && failures < 60, `${failures} of 100`);
});

test('a share of connections fails always or never', async (t) => {
  const fcm = await startFcm(t);
  await fcm.rule({ share: 0.5, perConnection: true, error: 'INTERNAL' });
  await loop(fcm, 400, 20);
  const byConnection = new Map<number, Set<number>>();
  for (const { connection, status } of await fcm.received()) {
    byConnection.set(connection, (byConnection.get(connection) ?? new Set()).add(status));
  }
  const kinds = [...byConnection.values()];
  assert.ok(kinds.every(({ size }) => size === 1));
  assert.equal(new Set(kinds.map((kind) => [...kind][0])).size, 2, 'some fail and some do not');
});

test('delays add up; the message is accepted before them', async (t) => {
  const fcm = await startFcm(t, { latencyMs: 100 });
  const access = await fcm.accessToken();
  await fcm.rule({ delayMs: 100 });
  await fcm.rule({ delayMs: 100, error: 'INTERNAL', times: 1 });
  const started = performance.now();
  assert.equal((await send(fcm, access)).status, 500);
  const waited = performance.now() - started;
  assert.ok(waited >= 295, `answered after ${waited} ms`);
  await fcm.reset();
  await fcm.rule({ delayMs: 60_000 });
  const controller = new AbortController();
  const request = fetch(`${fcm.url}/v1/projects/${fcm.projectId}/messages:send`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access}` },
    body: JSON.stringify({ message: { token: TOKEN } }),
    signal: controller.signal,
  });
  await untilTrue(async () => (await fcm.counts()).accepted === 1, { what: 'the message is accepted' });
  assert.equal((await fcm.counts()).concurrent.now, 1);
  controller.abort();
  await assert.rejects(request);
  await untilTrue(async () => (await fcm.counts()).concurrent.now === 0, { what: 'the request has ended' });
});

/** What the record says of a damaged answer, and what a plain client hears. */
const DAMAGES: readonly [Rule, boolean, number, RegExp][] = [
  [{ cut: 'before' }, false, 0, /fetch failed/],
  [{ cut: 'unheard' }, true, 0, /fetch failed/],
  [{ cut: 'middle' }, true, 200, /terminated/],
  [{ cut: 'after' }, true, 200, /"name":/],
  [{ malformed: 'not-json' }, true, 200, /^upstream/],
  [{ malformed: 'empty' }, true, 200, /^$/],
  [{ malformed: 'html' }, false, 502, /^<!DOCTYPE html>/],
  [{ malformed: 'half' }, true, 200, /^\{"name":"[^"]*$/],
  [{ malformed: 'length-too-short' }, true, 200, /^\{"name":"[^"]*$/],
];

test('cut and malformed answers are what they say, and recorded as such', async (t) => {
  const fcm = await startFcm(t);
  const access = await fcm.accessToken();
  for (const [rule, accepted, status, heard] of DAMAGES) {
    await fcm.reset();
    await fcm.rule({ ...rule, times: 1 });
    const text = await send(fcm, access).then(
      (answer) => answer.text().catch((error: Error) => error.message),
      (error: Error) => error.message,
    );
    assert.match(text, heard, JSON.stringify(rule));
    const [received] = await fcm.received(TOKEN);
    assert.deepEqual([received?.accepted, received?.status], [accepted, status], JSON.stringify(rule));
    assert.equal((await fcm.counts()).accepted, accepted ? 1 : 0);
  }
});

test('an answer that is shorter than it promised leaves the client waiting', async (t) => {
  const fcm = await startFcm(t);
  await fcm.rule({ malformed: 'length-too-long' });
  const answer = await send(fcm, await fcm.accessToken());
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  const length = Number(answer.headers.get('content-length'));
  assert.ok(value !== undefined && value.length < length);
  const rest = reader.read();
  await assert.rejects(Promise.race([rest, rejectAfter(300)]), /nothing more came/);
  await reader.cancel();
});

function rejectAfter(ms: number): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new Error('nothing more came')), ms));
}

test('the bare loop keeps its connections and gives a rate', async (t) => {
  const fcm = await startFcm(t);
  const { perSecond, failed } = await loop(fcm, 200, 4);
  assert.equal(failed, 0);
  assert.ok(perSecond > 0);
  const { connections, accepted } = await fcm.counts();
  assert.equal(accepted, 200);
  const used = connections.requests.filter((requests) => requests > 0);
  assert.ok(used.length <= 4, `${used.length} connections`);
});

test('a rule with a mistake is refused', async (t) => {
  const fcm = await startFcm(t);
  const mistakes: [unknown, RegExp][] = [
    [{ eror: 'INTERNAL' }, /a rule has no eror/],
    [{ error: 'BROKEN' }, /error must be one of/],
    [{ cut: 'sometimes' }, /cut must be one of/],
    [{ delayMs: '5' }, /delayMs must be a number/],
  ];
  for (const [rule, message] of mistakes) await assert.rejects(fcm.rule(rule as Rule), message);
});

test('the server ends with the process that started it', async (t) => {
  const client = new URL('./client.js', import.meta.url).href;
  const script = `const { launchFcm } = await import('${client}'); console.log((await launchFcm()).url);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => parent.kill('SIGKILL'));
  const [url] = (await once(createInterface(parent.stdout), 'line')) as [string];
  assert.equal((await fetch(url)).status, 404);
  parent.kill('SIGKILL');
  const isGone = () =>
    fetch(url).then(
      () => false,
      () => true,
    );
  await untilTrue(isGone, { what: 'the server is gone' });
});
