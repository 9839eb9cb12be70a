import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { readServiceRules } from '../../../../services/lib/auth/claims.js';
import { type JwtOptions, JwtVerifier } from '../../../../services/lib/auth/jwt.js';
import { KeySet, KeysUnavailable } from '../../../../services/lib/auth/key-set.js';
import type { Identity } from '../../../../services/lib/grpc/identity.js';
import { type Logger, silentLogger } from '../../../../services/lib/logging.js';
import { defer } from '../../../support/defer.js';
import { AUDIENCE, ISSUER, KeyServer, type SigningKey, signingKey, token } from '../../../support/tokens.js';
import { untilTrue } from '../../../support/until-true.js';

const SCOPES = new Set(['alerts:create', 'inbox']);

class Verifying {
  readonly #verifier: JwtVerifier;

  constructor(options: Partial<JwtOptions> & Pick<JwtOptions, 'jwks'>) {
    const usual = {
      issuers: [ISSUER],
      audiences: [AUDIENCE],
      subjectClaims: ['sub'],
      scopeClaims: ['scope'],
      serviceRules: readServiceRules('client_id=@sub'),
      scopes: SCOPES,
      refreshMs: 3_600_000,
    };
    this.#verifier = new JwtVerifier({ ...usual, ...options }, silentLogger());
  }

  /** At once, or later: whichever it is. */
  raw(text: string, caller = 'somebody'): Identity | Promise<Identity> {
    return this.#verifier.verify(text, caller);
  }

  async of(text: string): Promise<{ kind: string; subject: string; scopes: string[] }> {
    const { kind, subject, scopes } = await this.raw(text);
    return { kind, subject, scopes: [...scopes] };
  }

  async refuses(text: string, reason: string, message: RegExp): Promise<void> {
    await assert.rejects(async () => this.raw(text), { code: 'UNAUTHENTICATED', reason, message });
  }
}

async function published(t: TestContext, options: Partial<JwtOptions> = {}) {
  const key = await signingKey('k1');
  const keys = await KeyServer.start(t, key);
  return { key, keys, verifying: new Verifying({ jwks: keys.url, ...options }) };
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowS = () => Math.floor(Date.now() / 1000);

test('a token of each algorithm speaks for its subject, with the scopes that mean something here', async (t) => {
  const keys = await Promise.all(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'].map((alg) => signingKey(alg, alg)));
  const server = await KeyServer.start(t, ...keys);
  const verifying = new Verifying({ jwks: server.url });
  for (const key of keys) {
    const identity = await verifying.of(await token(key, 'op01', 'openid inbox profile'));
    assert.deepEqual(identity, { kind: 'user', subject: 'op01', scopes: ['inbox'] }, key.alg);
  }
  const service = await token(keys[0]!, 'payments', 'alerts:create', { claims: { client_id: 'payments' } });
  assert.deepEqual(await verifying.of(service), { kind: 'service', subject: 'payments', scopes: ['alerts:create'] });
  assert.equal(server.asked, 1);
});

test('what is wrong with a token is said, and it is refused', async (t) => {
  const { key, verifying } = await published(t);
  const wrong = (claims: Record<string, unknown>) => token(key, 'op01', 'inbox', { claims });
  const stranger = await signingKey('k1');
  await verifying.refuses(await token(stranger, 'op01', 'inbox'), 'TOKEN_SIGNATURE', /that its key did not make/);
  const unknown = await signingKey('k2');
  await verifying.refuses(await token(unknown, 'op01', 'inbox'), 'TOKEN_SIGNATURE', /that its issuer does not publish/);
  await verifying.refuses(await wrong({ iss: 'https://evil.example' }), 'TOKEN_ISSUER', /"iss"/);
  await verifying.refuses(await wrong({ aud: 'another' }), 'TOKEN_AUDIENCE', /"aud"/);
  await verifying.refuses(await wrong({ aud: undefined }), 'TOKEN_AUDIENCE', /"aud"/);
  await verifying.refuses(await wrong({ exp: undefined }), 'TOKEN_MALFORMED', /"exp"/);
  await verifying.refuses(await wrong({ exp: String(nowS() + 600) }), 'TOKEN_MALFORMED', /"exp"/);
  await verifying.refuses(await wrong({ nbf: nowS() + 120 }), 'TOKEN_NOT_YET_VALID', /not valid yet/);
  for (const sub of ['', 'a\nb', 'x'.repeat(129), undefined, 7])
    await verifying.refuses(await wrong({ sub }), 'TOKEN_SUBJECT', /1 to 128 printable/);
  const expired = await token(key, 'op01', 'inbox', { expiresInS: -120 });
  await verifying.refuses(expired, 'TOKEN_EXPIRED', /send a fresh one/);
  for (const text of ['x', 'a.b.c', `${part({ alg: 'ES256', kid: 'k1' })}.${part([])}.AAAA`, '..'])
    await verifying.refuses(text, text.startsWith('ey') ? 'TOKEN_SIGNATURE' : 'TOKEN_MALFORMED', /the token/);
  await verifying.refuses('x'.repeat(1_000_000), 'TOKEN_MALFORMED', /1000000 characters, of at most 16384/);
  // A token in a token: what is inside is for somebody else to open.
  const inner = Buffer.from(await token(key, 'op01', 'inbox')).toString('base64url');
  await verifying.refuses(`${part({ alg: 'ES256', kid: 'k1', cty: 'JWT' })}.${inner}.AAAA`, 'TOKEN_SIGNATURE', /key/);
  const critical = `${part({ alg: 'ES256', kid: 'k1', crit: ['exp'], exp: 1 })}.${part({})}.AAAA`;
  await verifying.refuses(critical, 'TOKEN_MALFORMED', /the token/);
});

test('a token that needs no secret of its issuer is no token', async (t) => {
  const { key, verifying } = await published(t);
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'op01', scope: 'inbox', exp: nowS() + 600 };
  for (const alg of ['none', 'None', 'NONE'])
    await verifying.refuses(`${part({ alg, kid: 'k1' })}.${part(claims)}.`, 'TOKEN_ALGORITHM', /must be signed with/);
  // Signed with the public key, as if it were a shared secret.
  const pem = createPublicKey({ key: key.jwk as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const body = `${part({ alg: 'HS256', kid: 'k1' })}.${part(claims)}`;
  const mac = createHmac('sha256', pem).update(body).digest('base64url');
  await verifying.refuses(`${body}.${mac}`, 'TOKEN_ALGORITHM', /must be signed with/);
  // The keys that a token brings are not looked at, and where it says that they are nobody goes.
  const own = await signingKey('own');
  const elsewhere = await KeyServer.start(t, own);
  const header = { jku: elsewhere.url, jwk: own.jwk, x5u: elsewhere.url };
  await verifying.refuses(await token(own, 'op01', 'inbox', { header }), 'TOKEN_SIGNATURE', /does not publish/);
  assert.equal(elsewhere.asked, 0);
});

test('clocks may differ by 30 s', async (t) => {
  const { key, verifying } = await published(t);
  const behind = await token(key, 'op01', 'inbox', { expiresInS: -20 });
  assert.equal((await verifying.of(behind)).subject, 'op01');
  const ahead = await token(key, 'op02', 'inbox', { claims: { nbf: nowS() + 20 } });
  assert.equal((await verifying.of(ahead)).subject, 'op02');
});

test('where clocks differ by an hour, it is said by how much', async (t) => {
  const { key, verifying } = await published(t);
  const expired = await token(key, 'op01', 'inbox', { expiresInS: -3600 });
  await verifying.refuses(
    expired,
    'TOKEN_EXPIRED',
    /has expired \(360\d s ago by the service's clock; .*wrong\?\); send/,
  );
  const early = await token(key, 'op01', 'inbox', { expiresInS: 7200, claims: { nbf: nowS() + 3600 } });
  await verifying.refuses(
    early,
    'TOKEN_NOT_YET_VALID',
    /is not valid yet \(in 3(600|59\d) s only by the service's clock/,
  );
});

test('a source of keys that stays away is complained of once, and says why', async (t) => {
  const complaints: string[] = [];
  const logger = { info: () => undefined, error: ({ err }: { err: Error }) => complaints.push(err.message) };
  const key = await signingKey('k1');
  const server = await KeyServer.start(t, key);
  const keys = new KeySet({ source: server.url, refreshMs: 1000, timeoutMs: 1500 }, logger as unknown as Logger);
  const answers = [
    [undefined, /timeout/],
    [{ status: 200, body: '<!DOCTYPE html><html>Sign in</html>' }, /it is a page \(HTML\), not JSON/],
    [{ status: 200, body: 'x'.repeat(10_000_000) }, /it has more than 1048576 bytes/],
  ] as const;
  let later = 0;
  const ask = async () => {
    t.mock.restoreAll();
    t.mock.method(performance, 'now', laterBy((later += 10_000)));
    return keys.ready();
  };
  for (const [answer, reason] of answers) {
    server.answer = answer;
    await assert.rejects(ask(), (error: Error) => error instanceof KeysUnavailable && reason.test(error.message));
  }
  assert.equal(complaints.length, 1, complaints.join());
  server.publish(key);
  await ask();
});

test('a token that was verified is believed at once, until it expires', async (t) => {
  const { key, verifying } = await published(t);
  const text = await token(key, 'op01', 'inbox', { expiresInS: 600 });
  assert.ok(verifying.raw(text) instanceof Promise);
  await verifying.of(text);
  assert.equal((verifying.raw(text) as Identity).subject, 'op01');
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 700_000 });
  await verifying.refuses(text, 'TOKEN_EXPIRED', /send a fresh one/);
});

test('a new key is found when a token names it, and one that is gone counts no more', async (t) => {
  const { key, keys, verifying } = await published(t);
  const old = await token(key, 'op01', 'inbox');
  await verifying.of(old);
  const next = await signingKey('k2');
  keys.publish(next);
  t.mock.method(performance, 'now', laterBy(10_000));
  assert.equal((await verifying.of(await token(next, 'op02', 'inbox'))).subject, 'op02');
  assert.equal(keys.asked, 2);
  await verifying.refuses(old, 'TOKEN_SIGNATURE', /does not publish/);
  // Those who make keys up do not have the issuer asked for each.
  for (let count = 0; count < 20; count += 1) {
    const forger = await signingKey(`forged-${count}`);
    await verifying.refuses(await token(forger, 'op01', 'inbox'), 'TOKEN_SIGNATURE', /does not publish/);
  }
  assert.ok(keys.asked <= 3, `asked ${keys.asked} times`);
});

test('a key that is withdrawn counts no more, also where nobody comes with another', async (t) => {
  const { key, keys, verifying } = await published(t, { refreshMs: 60_000 });
  const text = await token(key, 'op01', 'inbox');
  await verifying.of(text);
  keys.publish(await signingKey('k2'));
  t.mock.method(performance, 'now', laterBy(61_000));
  assert.equal((verifying.raw(text) as Identity).subject, 'op01', 'until the keys are read');
  await untilTrue(() => keys.asked === 2, { what: 'the keys are asked for' });
  const isAskedAgain = async () => {
    const answer = verifying.raw(text);
    if (!(answer instanceof Promise)) return false;
    await answer.catch(() => undefined);
    return true;
  };
  await untilTrue(isAskedAgain, { what: 'it is verified again' });
  await verifying.refuses(text, 'TOKEN_SIGNATURE', /does not publish/);
});

/** With its keys in a file, and with timers that end when told: an HTTP client would not stand that. */
async function timed(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'ssom-keys-'));
  defer(t, () => rm(folder, { recursive: true }));
  const key = await signingKey('k1');
  await writeFile(join(folder, 'jwks.json'), JSON.stringify({ keys: [key.jwk] }));
  t.mock.timers.enable({ apis: ['setTimeout'] });
  return { key, verifying: new Verifying({ jwks: join(folder, 'jwks.json') }) };
}

/** Lets timers end until it is settled. @returns how many times 20 ms that took */
async function hastened(t: TestContext, promise: Promise<unknown>): Promise<number> {
  let settled = false;
  let ticks = 0;
  void promise.finally(() => (settled = true));
  for (; !settled; ticks += 1) {
    t.mock.timers.tick(20);
    await new Promise(setImmediate);
  }
  return ticks;
}

test('an address has few tokens a second that are refused, and another waits for none of them', async (t) => {
  const { key, verifying } = await timed(t);
  await verifying.raw(await token(key, 'op01', 'inbox'), '10.0.0.9:1');
  const made = (count: number, kid: string) =>
    `${part({ alg: 'ES256', kid })}.${part({ iss: ISSUER })}.${part({ count })}`;
  const noSubject = await Promise.all(
    Array.from({ length: 100 }, (_, count) => token(key, '', 'inbox', { claims: { count } })),
  );
  const bad: Record<string, readonly [(count: number) => string, reason: string]> = {
    'a forged signature': [(count) => made(count, 'k1'), 'TOKEN_SIGNATURE'],
    'an unknown key': [(count) => made(count, 'another'), 'TOKEN_SIGNATURE'],
    'what is no token': [(count) => `x${count}`, 'TOKEN_MALFORMED'],
    'more than any token': [(count) => `${count}`.padEnd(17_000, 'x'), 'TOKEN_MALFORMED'],
    'a subject that is none': [(count) => noSubject[count]!, 'TOKEN_SUBJECT'],
  };
  for (const [what, [text, reason]] of Object.entries(bad)) {
    const flood = Array.from({ length: 100 }, (_, count) =>
      assert.rejects(async () => verifying.raw(text(count), '10.0.0.1:1'), { reason }, what),
    );
    assert.equal(
      (await verifying.raw(await token(key, `of ${what}`.replaceAll(' ', '-'), 'inbox'), '10.0.0.2:1')).kind,
      'user',
    );
    const ticks = await hastened(t, Promise.all(flood));
    assert.ok(ticks >= 24, `${what}: 100 were refused within ${ticks * 20} ms`);
  }
});

test('an address that has many tokens verified is told to come later, and others are served meanwhile', async (t) => {
  const { key, verifying } = await timed(t);
  const proven = '10.0.0.1:5000';
  await verifying.raw(await token(key, 'op01', 'inbox'), proven);
  const [good, other] = await Promise.all([token(key, 'op02', 'inbox'), token(key, 'op03', 'inbox')]);
  const body = part({ iss: ISSUER });
  const head = part({ alg: 'ES256', kid: 'k1' });
  const flood: Promise<unknown>[] = [];
  let refused = 0;
  for (let count = 0; count < 12_000; count += 1) {
    try {
      // A thousand connections of one address have no more than one.
      const peer = `10.0.0.1:${10_000 + (count % 1000)}`;
      flood.push(Promise.resolve(verifying.raw(`${head}.${body}.${count}`, peer)).catch(() => undefined));
    } catch (error) {
      assert.equal((error as { reason: string }).reason, 'TOO_MANY_TOKENS');
      refused += 1;
    }
  }
  assert.equal(refused, 2000, 'it has half of the room');
  assert.throws(() => verifying.raw(good, '10.0.0.1:6000'), { reason: 'TOO_MANY_TOKENS' });
  assert.equal((await verifying.raw(good, proven)).subject, 'op02', 'a connection on which a token was good');
  assert.equal((await verifying.raw(other, '10.0.0.2:6000')).subject, 'op03');
  await hastened(t, Promise.all(flood));
});

test('who names unknown keys locks nobody of the same address out, and waits in a room of their own', async (t) => {
  const { key, keys, verifying } = await published(t);
  await verifying.of(await token(key, 'op01', 'inbox'));
  // The source hangs, so that whoever names an unknown key waits.
  keys.answer = undefined;
  t.mock.method(performance, 'now', laterBy(60_000));
  const head = part({ alg: 'ES256', kid: 'another' });
  const reasons: Promise<string>[] = [];
  for (let count = 0; count < 3000; count += 1) {
    const answer = verifying.raw(`${head}.${part({ iss: ISSUER })}.${count}`, `10.0.0.1:${10_000 + count}`);
    reasons.push(Promise.resolve(answer).then(String, ({ reason }: { reason: string }) => reason));
    if (count % 1000 === 0) await new Promise(setImmediate);
  }
  await new Promise(setImmediate);
  assert.equal((await verifying.raw(await token(key, 'op02', 'inbox'), '10.0.0.1:6000')).subject, 'op02');
  const all = await Promise.all(reasons);
  assert.deepEqual(
    [all.filter((reason) => reason === 'TOO_MANY_TOKENS').length, new Set(all)],
    [2000, new Set(['TOKEN_SIGNATURE', 'TOO_MANY_TOKENS'])],
  );
});

test('a connection waits for one token of each other connection of its address, not for all of them', async (t) => {
  const { key, verifying } = await timed(t);
  await verifying.raw(await token(key, 'op01', 'inbox'), '10.0.0.9:1');
  const good = await token(key, 'op02', 'inbox');
  const head = part({ alg: 'ES256', kid: 'k1' });
  let done = 0;
  const flood = Array.from({ length: 5000 }, async (_, count) => {
    await Promise.resolve(verifying.raw(`${head}.${part({ iss: ISSUER })}.${count}`, '10.0.0.1:1')).catch(
      () => undefined,
    );
    done += 1;
  });
  const found = Promise.resolve(verifying.raw(good, '10.0.0.1:2'));
  await hastened(t, found);
  assert.equal((await found).subject, 'op02');
  assert.ok(done < 500, `${done} of the other connection came first`);
  await hastened(t, Promise.all(flood));
});

test('while the source of the keys hangs, tokens of known keys are verified', async (t) => {
  const { key, keys, verifying } = await published(t);
  await verifying.of(await token(key, 'op01', 'inbox'));
  keys.answer = undefined;
  t.mock.method(performance, 'now', laterBy(60_000));
  const unknown = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => token(await signingKey(`u${n}`), 'op01', 'inbox')),
  );
  const waiting = unknown.map((text) => assert.rejects(async () => verifying.raw(text), { reason: 'TOKEN_SIGNATURE' }));
  assert.equal((await verifying.of(await token(key, 'op02', 'inbox'))).subject, 'op02');
  await Promise.all(waiting);
});

test('calls that bring the same token share its verification', async (t) => {
  const { key, verifying } = await published(t);
  const text = await token(key, 'op01', 'inbox');
  const first = verifying.raw(text);
  assert.equal(verifying.raw(text), first);
  assert.equal((await first).subject, 'op01');
});

test('keys that are no public ones, or too short, are left out', async (t) => {
  const [good, open] = [await signingKey('k1'), await signingKey('k2')];
  const server = await KeyServer.start(t);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  const leaked = { ...privateKey.export({ format: 'jwk' }), kid: 'k2', alg: 'ES256' };
  const keys = [good.jwk, leaked, { ...short, kid: 'k3' }];
  server.answer = { status: 200, body: JSON.stringify({ keys }) };
  const verifying = new Verifying({ jwks: server.url });
  assert.equal((await verifying.of(await token(good, 'op01', 'inbox'))).subject, 'op01');
  await verifying.refuses(await token(open, 'op01', 'inbox'), 'TOKEN_SIGNATURE', /does not publish/);
});

function laterBy(ms: number): () => number {
  const now = performance.now.bind(performance);
  return () => now() + ms;
}

test('while the issuer is away its keys of before are used', async (t) => {
  const { key, keys, verifying } = await published(t, { refreshMs: 1000 });
  await verifying.of(await token(key, 'op01', 'inbox'));
  keys.answer = { status: 503, body: 'away' };
  t.mock.method(performance, 'now', laterBy(3_600_000));
  assert.equal((await verifying.of(await token(key, 'op02', 'inbox'))).subject, 'op02');
  assert.equal((await verifying.of(await token(key, 'op03', 'inbox'))).subject, 'op03');
  await untilTrue(() => keys.asked === 2, { what: 'the keys were asked for' });
});

test('without keys nobody is believed, and everybody may try again', async (t) => {
  const key = await signingKey('k1');
  const keys = await KeyServer.start(t, key);
  const verifying = new Verifying({ jwks: keys.url });
  const answers: [string, { status: number; body: string }][] = [
    ['HTML', { status: 200, body: '<html><body>Sign in</body></html>' }],
    ['a refusal', { status: 403, body: '' }],
    ['no set', { status: 200, body: '[]' }],
    ['10 MB', { status: 200, body: JSON.stringify({ keys: [], padding: 'x'.repeat(10_000_000) }) }],
    ['a secret', { status: 200, body: JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'k1' }] }) }],
    ['many', { status: 200, body: JSON.stringify({ keys: Array.from({ length: 101 }, () => key.jwk) }) }],
  ];
  for (const [index, [what, answer]] of answers.entries()) {
    keys.answer = answer;
    t.mock.restoreAll();
    t.mock.method(performance, 'now', laterBy(10_000 * (index + 1)));
    const unavailable = { code: 'UNAVAILABLE', reason: 'KEYS_UNAVAILABLE' };
    await assert.rejects(async () => verifying.raw(await token(key, 'op01', 'inbox')), unavailable, what);
  }
  keys.publish(key);
  t.mock.restoreAll();
  t.mock.method(performance, 'now', laterBy(1_000_000));
  assert.equal((await verifying.of(await token(key, 'op01', 'inbox'))).subject, 'op01');
});

test('keys may be in a file, which is read again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ssom-keys-'));
  defer(t, () => rm(folder, { recursive: true }));
  const jwks = join(folder, 'jwks.json');
  const write = (...keys: SigningKey[]) => writeFile(jwks, JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  const [first, second] = [await signingKey('k1'), await signingKey('k2')];
  await write(first);
  const verifying = new Verifying({ jwks });
  assert.equal((await verifying.of(await token(first, 'op01', 'inbox'))).subject, 'op01');
  await write(first, second);
  t.mock.method(performance, 'now', laterBy(10_000));
  assert.equal((await verifying.of(await token(second, 'op02', 'inbox'))).subject, 'op02');
});

test('claims are found where Keycloak, Entra and Google put them', async (t) => {
  const key = await signingKey('k1');
  const { url } = await KeyServer.start(t, key);
  const as = async (options: Partial<JwtOptions>, claims: Record<string, unknown>) =>
    new Verifying({ jwks: url, ...options }).of(
      await token(key, 'a-uuid', '', { claims: { scope: undefined, ...claims } }),
    );
  const keycloak = {
    subjectClaims: ['preferred_username'],
    scopeClaims: ['resource_access.ssom-alert.roles', 'scope'],
    serviceRules: readServiceRules('client_id'),
  };
  const roles = { 'ssom-alert': { roles: ['inbox', 'other'] } };
  assert.deepEqual(await as(keycloak, { preferred_username: 'op01', resource_access: roles }), {
    kind: 'user',
    subject: 'op01',
    scopes: ['inbox'],
  });
  assert.deepEqual(
    await as(keycloak, { preferred_username: 'service-account-pay', client_id: 'pay', scope: 'alerts:create email' }),
    { kind: 'service', subject: 'service-account-pay', scopes: ['alerts:create'] },
  );
  const entra = {
    subjectClaims: ['oid'],
    scopeClaims: ['scp', 'roles'],
    serviceRules: readServiceRules('idtyp=app'),
  };
  assert.deepEqual(await as(entra, { oid: '33-44', scp: 'inbox User.Read' }), {
    kind: 'user',
    subject: '33-44',
    scopes: ['inbox'],
  });
  assert.deepEqual(await as(entra, { oid: '11-22', idtyp: 'app', roles: ['alerts:create'] }), {
    kind: 'service',
    subject: '11-22',
    scopes: ['alerts:create'],
  });
  const google = {
    subjectClaims: ['email'],
    scopeClaims: ['scope'],
    serviceRules: readServiceRules('email=*.gserviceaccount.com'),
  };
  const email = 'pay@ssom.iam.gserviceaccount.com';
  assert.deepEqual(await as(google, { email, email_verified: true }), { kind: 'service', subject: email, scopes: [] });
  await assert.rejects(as(google, { email }), { reason: 'TOKEN_SUBJECT' }, 'anybody may claim an address');
});

test('10,000 scopes are as many as are known', async (t) => {
  const { key, verifying } = await published(t);
  const many = Array.from({ length: 1500 }, (_, n) => `s${n}`).join(' ');
  assert.deepEqual((await verifying.of(await token(key, 'op01', `inbox ${many}`))).scopes, ['inbox']);
  const more = Array.from({ length: 10_000 }, (_, n) => `s${n}`).join(' ');
  await verifying.refuses(await token(key, 'op01', more), 'TOKEN_MALFORMED', /characters, of at most/);
});

test('a token is named by its issuer and number, in what can be printed, and never by itself', async (t) => {
  const { key, verifying } = await published(t);
  const credential = async (claims: object) =>
    (await verifying.raw(await token(key, 'op01', 'inbox', { claims: { ...claims } }))).credential;
  assert.equal(await credential({ jti: 'a-1' }), `jwt iss=${ISSUER} jti=a-1`);
  assert.equal(await credential({ jti: undefined }), `jwt iss=${ISSUER}`);
  assert.equal(await credential({ jti: 'a\n b' }), `jwt iss=${ISSUER} jti=a??b`);
  assert.equal((await credential({ jti: 'x'.repeat(4000) })).length, `jwt iss=${ISSUER} jti=`.length + 128);
});
