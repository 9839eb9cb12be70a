import assert from 'node:assert/strict';
import test from 'node:test';
import { CompactSign, SignJWT } from 'jose';
import { type As, failureOf } from '../../support/api.js';
import { entriesOf } from '../../support/audit.js';
import { startTestCluster } from '../../support/in-process.js';
import { startJwtCluster } from '../../support/jwt-cluster.js';
import type { LogLine } from '../../support/log-lines.js';
import type { TestDatabase } from '../../support/postgres.js';
import { AUDIENCE, ISSUER, KeyServer, type SigningKey, signingKey, token } from '../../support/tokens.js';

const HOUR_S = 3600;
const REPEATS = 1000;

const bearer = (text: string): As => ({ metadata: { authorization: `Bearer ${text}` } });
const nowS = () => Math.floor(Date.now() / 1000);

/** Bad tokens with the reason and the words that they are refused with. */
function badTokens(key: SigningKey): readonly [what: string, text: Promise<string>, reason: string, message: RegExp][] {
  const having = (claims: Record<string, unknown>) => token(key, 'op1', 'inbox', { claims });
  const scopes = 's '.repeat(10_000);
  const nested = having({}).then((inner) =>
    new CompactSign(new TextEncoder().encode(inner))
      .setProtectedHeader({ alg: key.alg, kid: key.kid, cty: 'JWT' })
      .sign(key.privateKey),
  );
  const expAsText = new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'op1', exp: String(nowS() + 600) as never })
    .setProtectedHeader({ alg: key.alg, kid: key.kid })
    .sign(key.privateKey);
  return [
    ['larger than any', Promise.resolve('x'.repeat(17_000)), 'TOKEN_MALFORMED', /17000 characters, of at most 16384/],
    ['10,000 scopes', having({ scope: scopes }), 'TOKEN_MALFORMED', /characters, of at most 16384/],
    ['a token in a token', nested, 'TOKEN_MALFORMED', /is no signed JWT/],
    ['exp as a string', expAsText, 'TOKEN_MALFORMED', /a claim that makes no sense: "exp"/],
    ['a subject that moves cursors', having({ sub: 'op1\u001b[2J\n' }), 'TOKEN_SUBJECT', /1 to 128 printable ASCII/],
    ['a clock an hour behind', having({ nbf: nowS() + HOUR_S }), 'TOKEN_NOT_YET_VALID', /is one of the clocks wrong/],
    ['a clock an hour ahead', having({ exp: nowS() - HOUR_S }), 'TOKEN_EXPIRED', /send a fresh one/],
  ];
}

/** All rows but those of the account. */
async function contentsOf({ sql }: TestDatabase): Promise<unknown[]> {
  const tables = await sql<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'audit%' ORDER BY 1`,
  );
  assert.ok(tables.length > 10);
  const rows = tables.map(
    ({ name }) =>
      `SELECT '${name}' AS name, (SELECT md5(string_agg(r::text, '|' ORDER BY r::text)) FROM "${name}" r) AS rows`,
  );
  return sql(rows.join(' UNION ALL '));
}

const linesOf = (log: string, message: string) =>
  log
    .split('\n')
    .filter((line) => line.includes(message))
    .map((line) => JSON.parse(line) as LogLine);

test('a caller who sends bad tokens a thousand times is told why, and has a line for each reason in the log', async (t) => {
  const { cluster, key } = await startJwtCluster(t);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const request = { kind: 'ALERT_KIND_OTHER', level: 'ALERT_LEVEL_INFO', appName: 'a', title: 'never' } as const;
  const before = await contentsOf(cluster.store);
  const started = performance.now();
  const texts: string[] = [];
  for (const [what, made, reason, message] of badTokens(key)) {
    const text = await made;
    texts.push(text);
    const refused = await failureOf(api.call('CreateAlert', request, bearer(text)));
    assert.deepEqual([refused.code, refused.reason], ['UNAUTHENTICATED', reason], what);
    assert.match(refused.message, message, what);
  }
  const again = texts.at(-1)!;
  for (let sent = 0; sent < REPEATS; sent += 50)
    await Promise.all(Array.from({ length: 50 }, () => failureOf(api.call('CreateAlert', request, bearer(again)))));

  const reasons = ['TOKEN_MALFORMED', 'TOKEN_SUBJECT', 'TOKEN_NOT_YET_VALID', 'TOKEN_EXPIRED'];
  const refusals = () => linesOf(role.logged(), 'a call is refused');
  const countsOf = (name: 'lines' | 'attempts') =>
    reasons.map((reason) =>
      refusals()
        .filter((line) => line['reason'] === reason)
        .reduce((sum, line) => sum + (name === 'lines' ? 1 : Number(line['attempts'])), 0),
    );
  // A new one at once, and of the same another a minute later at most.
  const minutes = Math.floor((performance.now() - started) / 60_000);
  assert.ok(refusals().every(({ who, level }) => who === '127.0.0.1' && level === 40));
  for (const lines of countsOf('lines')) assert.ok(lines >= 1 && lines <= 1 + minutes, role.logged());
  assert.deepEqual(await contentsOf(cluster.store), before);
  await role.stop();
  const told = [4, 1, 1, REPEATS + 1];
  assert.deepEqual(countsOf('attempts'), told, 'how often is said at the end');
  for (const text of texts) assert.ok(!role.logged().includes(text.slice(-40)), 'no token is logged');
  const entries = await entriesOf(cluster.store.database);
  const attempts = new Map<string, number>();
  for (const { reason, details } of entries)
    attempts.set(reason, (attempts.get(reason) ?? 0) + Number(details['attempts']));
  assert.deepEqual(
    [...attempts],
    reasons.map((reason, index) => [reason, told[index]]),
  );
});

test('keys that cannot be had are said once in the log, however many callers ask', async (t) => {
  const key = await signingKey('k1');
  const keys = await KeyServer.start(t);
  const env = { AUTH_MODE: 'jwt', JWT_JWKS: keys.url, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
  const cluster = await startTestCluster(t, env);
  const answers = {
    'a page': [{ status: 200, body: '<html>Sign in</html>' }, /it is a page \(HTML\), not JSON/],
    '10 MB': [{ status: 200, body: 'x'.repeat(10_000_000) }, /more than 1048576 bytes/],
    nothing: [undefined, /timeout/],
  } as const;
  for (const [what, [answer, why]] of Object.entries(answers)) {
    keys.answer = answer;
    const role = await cluster.start('alert-api');
    const api = cluster.api(role);
    const before = await contentsOf(cluster.store);
    const call = async (n: number) => failureOf(api.call('ListInbox', {}, bearer(await token(key, `op${n}`, 'inbox'))));
    const failures = await Promise.all(Array.from({ length: 200 }, (_, n) => call(n)));
    for (const { code, reason } of failures)
      assert.deepEqual([code, reason], ['UNAVAILABLE', 'KEYS_UNAVAILABLE'], what);
    const said = linesOf(role.logged(), 'the keys for tokens could not be had');
    assert.equal(said.length, 1, what);
    assert.match((said[0]!['err'] as Error).message, why);
    assert.equal(linesOf(role.logged(), 'a call is refused').length, 0, 'the callers are right');
    assert.deepEqual(await contentsOf(cluster.store), before);
    await role.stop();
  }
  assert.deepEqual(await entriesOf(cluster.store.database), []);
});
