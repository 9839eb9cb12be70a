import assert from 'node:assert/strict';
import { hostname, userInfo } from 'node:os';
import test from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { writeEntries } from '../../../services/store/audit.js';
import { verifyChain } from '../../../services/store/audit-chain.js';
import { readEpoch } from '../../../services/store/state.js';
import { entriesOf, sealAll, SOMEBODY } from '../../support/audit.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

async function run({ url }: TestDatabase, ...args: string[]) {
  const context = fakeContext({ environment: { DATABASE_URL: url } });
  const code = await main(args, context);
  return { code, out: context.out(), err: context.err(), lines: context.out().trim().split('\n') };
}

async function withEntries(store: TestDatabase, count: number): Promise<void> {
  await writeEntries(
    store.database,
    Array.from({ length: count }, (_, n) => ({
      actor: { ...SOMEBODY, subject: `deployer${n % 3}` },
      action: n % 2 === 0 ? ('directory.users' as const) : ('call.refused' as const),
      object: n % 2 === 0 ? '' : 'InboxService/ListInbox',
      outcome: n % 2 === 0 ? ('done' as const) : ('refused' as const),
      reason: n % 2 === 0 ? '' : 'SCOPE_MISSING',
      details: { n },
    })),
  );
}

test('what operators do by hand is accounted to them, with the change and not without it', async (t) => {
  const store = await createTestDatabase(t);
  await store.sql('ALTER TABLE audit_log ADD CONSTRAINT planted CHECK (false) NOT VALID');
  const before = await readEpoch(store.database);
  assert.equal((await run(store, 'epoch', 'renew', '--yes')).code, 1);
  assert.equal(await readEpoch(store.database), before);
  assert.equal((await run(store, 'reconcile')).code, 1);
  await store.sql('ALTER TABLE audit_log DROP CONSTRAINT planted');
  await run(store, 'epoch', 'renew');
  await run(store, 'reconcile', '--dry-run');
  assert.deepEqual(await entriesOf(store.database), [], 'nothing was done');

  assert.equal((await run(store, 'epoch', 'renew', '--yes')).code, 0);
  assert.equal((await run(store, 'reconcile', '--since', '2026-01-01Z')).code, 0);
  const [renewed, requested, ...more] = await entriesOf(store.database);
  assert.deepEqual([renewed?.action, requested?.action, more], ['epoch.renew', 'reconcile.request', []]);
  const { kind, subject, peer } = renewed!.actor;
  assert.deepEqual([kind, subject, peer], ['operator', userInfo().username, hostname()]);
  assert.equal(renewed!.databaseUser, decodeURIComponent(new URL(store.url).username));
  assert.deepEqual([renewed!.details['before'], renewed!.details['epoch']], [before, await readEpoch(store.database)]);
  assert.deepEqual(requested!.details, { alerts: 0, since: '2026-01-01T00:00:00.000Z' });
});

test('what is in an entry moves no terminal, also as JSON', async (t) => {
  const store = await createTestDatabase(t);
  const hostile = 'a\u001b[31m\u007f\u009b2J\u202eb';
  const [object, reason, details] = [hostile, hostile, { [hostile]: hostile }];
  const actor = { ...SOMEBODY, subject: hostile };
  await writeEntries(store.database, [{ actor, action: 'call.refused', object, outcome: 'refused', reason, details }]);
  for (const flags of [[], ['--json']]) {
    const { out } = await run(store, 'audit', 'list', ...flags);
    assert.match(out, /31m/);
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  }
});

test('list shows entries newest first, by what is asked for', async (t) => {
  const store = await createTestDatabase(t);
  assert.match((await run(store, 'audit', 'list')).err, /^no entries/);
  await withEntries(store, 9);
  const shown = async (...flags: string[]) =>
    (await run(store, 'audit', 'list', '--json', ...flags)).lines
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { details: { n: number } }).details.n);
  assert.deepEqual(await shown(), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
  assert.deepEqual(await shown('--limit', '2'), [8, 7]);
  assert.deepEqual(await shown('--actor', 'deployer1'), [7, 4, 1]);
  assert.deepEqual(await shown('--action', 'call.refused', '--limit', '3'), [7, 5, 3]);
  assert.deepEqual(await shown('--object', 'InboxService/ListInbox', '--actor', 'deployer0'), [3]);
  assert.deepEqual(await shown('--outcome', 'refused', '--actor', 'deployer2'), [5]);
  assert.deepEqual(await shown('--since', '1h'), await shown());
  assert.deepEqual(await shown('--until', '1h'), []);
  assert.deepEqual(await shown('--since', '2099-01-01Z'), []);
  const { out, err } = await run(store, 'audit', 'list', '--limit', '1', '--outcome', 'refused');
  assert.match(
    out,
    /^\S+Z {2}8 {2}service deployer1 \(jwt iss=https:\/\/issuer.example jti=7\) from 10\.0\.0\.7:50123 {2}call\.refused refused SCOPE_MISSING {2}InboxService\/ListInbox {2}\{"n":7\} {2}request r-1 {2}trace 0af7/,
  );
  assert.match(err, /^the newest 1 entry; there are more: add --limit/);
  for (const [flag, value, says] of [
    ['--action', 'users', /one of directory\.users, /],
    ['--outcome', 'ok', /begun, done, refused/],
    ['--since', 'yesterday', /It must be a time/],
    ['--limit', '0', /whole number/],
  ] as const) {
    const wrong = await run(store, 'audit', 'list', flag, value);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, says);
  }
});

test('what others wrote cannot mess up a terminal, nor what is too long or no text the table', async (t) => {
  const store = await createTestDatabase(t);
  const evil = 'x\u001b[31m\n\u202e\0\ud800' + 'y'.repeat(100_000);
  const actor = { ...SOMEBODY, subject: evil, credential: evil, peer: evil, requestId: evil, traceId: evil };
  const entry = { actor, action: 'directory.users', object: evil, outcome: 'done', reason: evil } as const;
  await writeEntries(store.database, [{ ...entry, details: { users: ['a\u001b[31m\0'] } }]);
  const { out } = await run(store, 'audit', 'list');
  assert.equal(out.split('\n').length, 2);
  assert.doesNotMatch(out.trim(), /[\u0000-\u001f\u007f-\u009f\u202e]/);
  assert.ok(out.length < 6000);
  await sealAll(store.database);
  assert.equal((await verifyChain(store.database)).broken, 0);
});

test('verify says what is broken, and exits with 1', async (t) => {
  const store = await createTestDatabase(t);
  assert.deepEqual((await run(store, 'audit', 'verify')).lines[0], '0 sealed entries, all as they were sealed');
  await withEntries(store, 5);
  await sealAll(store.database);
  await withEntries(store, 2);
  const whole = await run(store, 'audit', 'verify');
  assert.equal(whole.code, 0);
  assert.deepEqual(whole.lines.slice(0, 2), [
    '5 sealed entries, all as they were sealed',
    '2 entries too new to be sealed',
  ]);
  const [, head = ''] = /^head (5:01[0-9a-f]{64})$/m.exec(whole.out) ?? [];
  assert.equal((await run(store, 'audit', 'verify', '--since-head', `${head}\n`)).code, 0);
  const other = `5:01${'0'.repeat(64)}`;
  const since = await run(store, 'audit', 'verify', '--since-head', other);
  assert.equal(since.code, 1);
  assert.equal(since.lines[0], 'entry 5  ends: its seal is not the head that was kept: the chain was made anew');
  assert.equal((await run(store, 'audit', 'verify', '--since-head', 'head')).code, 2);

  await store.database.transaction(async (connection) => {
    await connection.query('SET LOCAL session_replication_role = replica');
    await connection.query('DELETE FROM audit_log WHERE entry_id = 2');
    await connection.query("UPDATE audit_log SET details = '{}' WHERE entry_id = 4");
  });
  const broken = await run(store, 'audit', 'verify');
  assert.equal(broken.code, 1);
  assert.deepEqual(broken.lines.slice(0, 3), [
    'entry 2  removed: its seal is there, and it is not',
    'entry 4  changed: it is not what was sealed',
    '2 breaks in 5 sealed entries, the first at entry 2',
  ]);
  const json = await run(store, 'audit', 'verify', '--json');
  const {
    broken: count,
    breaks,
    head: stillThere,
  } = JSON.parse(json.out) as {
    broken: number;
    breaks: { entryId: string; kind: string }[];
    head: string;
  };
  assert.deepEqual([json.code, count, stillThere], [1, 2, head]);
  assert.deepEqual(
    breaks.map(({ entryId, kind }) => [entryId, kind]),
    [
      ['2', 'removed'],
      ['4', 'changed'],
    ],
  );
});

test('the retention is a year at least', () => {
  assert.equal(loadConfig({ AUDIT_RETENTION_DAYS: '365' }).auditRetentionDays, 365);
  assert.throws(
    () => loadConfig({ AUDIT_RETENTION_DAYS: '364' }),
    /AUDIT_RETENTION_DAYS: '364' is not a whole number from 365/,
  );
});
