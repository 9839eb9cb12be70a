import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { AuditAction } from '../../../services/domain/audit.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { CallContext } from '../../../services/lib/grpc/call-context.js';
import { silentLogger } from '../../../services/lib/logging.js';
import type { Database } from '../../../services/lib/postgres.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { AdminReads } from '../../../services/runtime/admin-reads.js';
import { CALLS, RefusedAttempts } from '../../../services/runtime/refused-attempts.js';
import { insertAlerts } from '../../../services/store/alerts.js';
import type { StoredEntry } from '../../../services/store/audit.js';
import { deliverToInboxes } from '../../../services/store/inbox-delivery.js';
import { newAlert } from '../../support/alerts.js';
import { type As, failureOf, metadataOf, type TestApi } from '../../support/api.js';
import { entriesOf } from '../../support/audit.js';
import { defer } from '../../support/defer.js';
import { storeDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { startJwtCluster } from '../../support/jwt-cluster.js';
import { createTestDatabase } from '../../support/postgres.js';
import { collectStream } from '../../support/stream.js';
import { ISSUER, token } from '../../support/tokens.js';
import { untilTrue } from '../../support/until-true.js';

const TOKEN = 'a-token-of-a-device-0123456789';
const TRACE = '0af7651916cd43dd8448eb211c80319c';

/** An alert in op1's inbox. */
async function delivered(database: Database): Promise<number> {
  const [result] = await insertAlerts(database, [newAlert()]);
  assert.ok(result?.outcome === 'stored');
  await deliverToInboxes(database, [{ userId: 'op1', alertId: result.alertId }]);
  return result.alertId;
}

type Act = readonly [action: AuditAction, object: string, act: (api: TestApi, as: As) => Promise<unknown>];

/** Everything that an admin does and that must have an entry, in an order in which each changes something. */
function changes(alertId: number): Act[] {
  const inbox = { userId: 'op1', alertIds: [alertId] };
  const device = { userId: 'op2', platform: 'DEVICE_PLATFORM_ANDROID', token: TOKEN } as const;
  const rules = [{ department: 'CHANNEL', match: 'ROUTING_MATCH_ALL' as const }];
  return [
    ['directory.users', '', (api, as) => api.call('UpsertUsers', { users: [user('new', 'CHANNEL')] }, as)],
    ['directory.rules', '', (api, as) => api.call('SetRoutingRules', { rules }, as)],
    ['inbox.read-marked', 'op1', (api, as) => api.call('MarkRead', inbox, as)],
    ['inbox.unread-marked', 'op1', (api, as) => api.call('MarkUnread', inbox, as)],
    ['inbox.read-marked', 'op1', (api, as) => api.call('MarkAllRead', { userId: 'op1' }, as)],
    ['inbox.deleted', 'op1', (api, as) => api.call('DeleteFromInbox', inbox, as)],
    ['device.registered', 'op2', (api, as) => api.call('RegisterDevice', device, as)],
    ['device.unregistered', 'op2', (api, as) => api.call('UnregisterDevice', { userId: 'op2', token: TOKEN }, as)],
  ];
}

const told = ({ action, object, outcome }: StoredEntry) => [action, object, outcome];

test('who changes or reads what has an entry: by which credential, from where, and which request it was', async (t) => {
  const { cluster, key } = await startJwtCluster(t);
  const api = cluster.api(await cluster.start('alert-api'));
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  const scopes = 'alerts:create inbox admin directory:admin';
  const claims = { client_id: 'payments', jti: 'j-7' };
  const authorization = `Bearer ${await token(key, 'payments', scopes, { claims })}`;
  const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;
  const admin: As = { metadata: { authorization, 'x-request-id': 'r-42', traceparent } };
  const own: As = { metadata: { authorization: `Bearer ${await token(key, 'op1', 'inbox')}` } };
  const acts = changes(await delivered(cluster.store.database));
  for (const [, , act] of acts) await act(api, admin);
  const reads: Act[] = [
    ['inbox.read', 'op2', () => api.call('ListInbox', { userId: 'op2' }, admin)],
    ['devices.read', 'op2', () => api.call('ListDevices', { userId: 'op2' }, admin)],
    ['stream.opened', 'op2', () => collectStream(t, gateway, admin, { userId: 'op2' }).untilLive()],
    // It changes nothing, and its answer says how many are unread.
    ['inbox.read', 'core1', () => api.call('MarkRead', { userId: 'core1', alertIds: [1] }, admin)],
  ];
  for (const [, , act] of reads) await act(api, admin);
  // One's own, or nothing new: none of it is the account's business.
  await api.call('ListInbox', {}, own);
  await api.call('MarkAllRead', {}, own);
  await collectStream(t, gateway, own, {}).untilLive();
  await api.call('UpsertUsers', { users: [user('new', 'CHANNEL')] }, admin);
  // But its devices are; that one is renewed only where an admin does it.
  const device = { platform: 'DEVICE_PLATFORM_IOS', token: TOKEN } as const;
  await api.call('RegisterDevice', device, own);
  await api.call('RegisterDevice', device, own);
  await api.call('RegisterDevice', { userId: 'op1', ...device }, admin);

  const entries = await entriesOf(cluster.store.database);
  const expected = [...acts, ...reads].map(([action, object]) => [action, object, 'done']);
  assert.deepEqual(entries.map(told), [
    ...expected,
    ['device.registered', 'op1', 'done'],
    ['device.registered', 'op1', 'done'],
  ]);
  const [registered] = entries.splice(-2, 1);
  for (const { actor } of entries) {
    const { peer, ...rest } = actor;
    const credential = `jwt iss=${ISSUER} jti=j-7`;
    assert.deepEqual(rest, { kind: 'service', subject: 'payments', credential, requestId: 'r-42', traceId: TRACE });
    assert.match(peer, /^127\.0\.0\.1:\d+$/);
  }
  assert.deepEqual([registered!.actor.kind, registered!.actor.subject], ['user', 'op1']);
  assert.equal(entries.at(-1)!.details['previousUser'], 'op1');
  const { version, ...users } = entries[0]!.details;
  assert.equal(typeof version, 'number');
  assert.deepEqual(users, { changed: 1, inactive: 0, users: ['new'] });
  assert.ok(!JSON.stringify(entries).includes(TOKEN), 'no token of a device');
});

/** What the changes would change. */
const state = (database: Database) =>
  Promise.all(
    ['users', 'routing_rules', 'devices', 'service_state', 'inboxes', 'alert_statuses', 'audit_log'].map(
      async (table) =>
        (await database.query({ text: `SELECT to_jsonb(x) - 'retention_at' AS r FROM ${table} x ORDER BY 1` })).rows,
    ),
  );

test('a change and its entry are one: neither is there without the other', async (t) => {
  const cluster = await startTestCluster(t);
  const { database, sql } = cluster.store;
  await storeDirectory(database);
  const api = cluster.api(await cluster.start('alert-api'));
  const admin: As = { caller: 'payments' };
  const acts = changes(await delivered(database));
  await sql(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$`);
  const failing = async (table: string, when: string, work: () => Promise<void>) => {
    await sql(`CREATE CONSTRAINT TRIGGER planted AFTER ${when} ON ${table} DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW EXECUTE FUNCTION fail()`);
    await work();
    await sql(`DROP TRIGGER planted ON ${table}`);
  };
  const nothingHappens = async ([action, , act]: Act) => {
    const before = await state(database);
    assert.equal((await failureOf(act(api, admin))).code, 'INTERNAL', action);
    assert.deepEqual(await state(database), before, action);
  };
  /** What is changed last, so that the entry is written by then. */
  const last: Partial<Record<AuditAction, readonly [table: string, when: string]>> = {
    'directory.users': ['service_state', 'UPDATE'],
    'directory.rules': ['service_state', 'UPDATE'],
    'device.registered': ['devices', 'INSERT'],
    'device.unregistered': ['devices', 'DELETE'],
  };
  for (const each of acts) {
    const [action, , act] = each;
    // At the commit: the entry cannot be kept, or the change.
    await failing('audit_log', 'INSERT', () => nothingHappens(each));
    await failing(...(last[action] ?? ['inboxes', 'UPDATE']), () => nothingHappens(each));
    // And while it is written.
    await sql('ALTER TABLE audit_log ADD CONSTRAINT planted CHECK (false) NOT VALID');
    assert.notEqual((await failureOf(act(api, admin))).code, 'OK');
    await sql('ALTER TABLE audit_log DROP CONSTRAINT planted');
    await act(api, admin);
    assert.equal((await entriesOf(database)).at(-1)?.action, action);
  }
  assert.equal((await entriesOf(database)).length, acts.length);
});

test('what admins read is accounted for once a minute, before the answer, or is not answered', async (t) => {
  const cluster = await startTestCluster(t);
  const { database, sql } = cluster.store;
  await storeDirectory(database);
  const api = cluster.api(await cluster.start('alert-api'));
  const read = (userId: string, caller = 'payments') => api.call('GetUnreadCount', { userId }, { caller });
  await sql('ALTER TABLE audit_log ADD CONSTRAINT planted CHECK (false) NOT VALID');
  const refused = await failureOf(read('op1'));
  assert.deepEqual([refused.code, refused.reason], ['UNAVAILABLE', 'AUDIT_UNAVAILABLE']);
  assert.ok(refused.details.retryAfterMs! > 0);
  assert.equal((await api.call('GetUnreadCount', {}, { user: 'op1' })).unreadCount, 0, 'of its own');
  await sql('ALTER TABLE audit_log DROP CONSTRAINT planted');
  await Promise.all(Array.from({ length: 30 }, () => read('op1')));
  await read('op1');
  await read('op2');
  await read('op1', 'others');
  const entries = await entriesOf(database);
  assert.deepEqual(
    entries.map(({ actor, object }) => [actor.subject, object]),
    [
      ['payments', 'op1'],
      ['payments', 'op2'],
      ['others', 'op1'],
    ],
  );
});

const adminCall = (credential: string, peer: string) =>
  ({
    identity: { kind: 'service', subject: 'web', scopes: new Set(), credential },
    peer,
    said: { requestId: '', traceId: '' },
  }) as unknown as CallContext;

test('reads that come together share a statement; another credential or address has an entry of its own', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  const reads = new AdminReads({ bulkDatabase: database, logger: silentLogger(), metrics }, 'reads');
  const call = adminCall('jwt jti=1', '10.0.0.1:1');
  await Promise.all(Array.from({ length: 2000 }, (_, n) => reads.note(call, 'stream.opened', `u${n}`)));
  const [written] = await sql('SELECT count(*) AS entries, count(DISTINCT xmin::text) AS commits FROM audit_log');
  assert.deepEqual(written, { entries: 2000, commits: 4 });

  await reads.note(adminCall('jwt jti=1', '10.0.0.1:2'), 'stream.opened', 'u0');
  await reads.note(adminCall('jwt jti=2', '10.0.0.1:2'), 'stream.opened', 'u0');
  await reads.note(adminCall('jwt jti=1', '10.0.0.2:1'), 'stream.opened', 'u0');
  const later = await sql('SELECT credential, peer FROM audit_log ORDER BY entry_id OFFSET 2000');
  assert.deepEqual(later, [
    { credential: 'jwt jti=2', peer: '10.0.0.1:2' },
    { credential: 'jwt jti=1', peer: '10.0.0.2:1' },
  ]);
  // Beyond what may wait.
  const flood = await Promise.allSettled(
    Array.from({ length: 20_001 }, (_, n) => reads.note(call, 'inbox.read', `u${n}`)),
  );
  assert.deepEqual(
    flood.flatMap((each) => (each.status === 'rejected' ? [(each.reason as AlertError).reason] : [])),
    ['AUDIT_UNAVAILABLE'],
  );
});

test('refused calls are accounted for in groups: of whom, from where, at what, why and how often', async (t) => {
  const { cluster, key } = await startJwtCluster(t);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const as = async (subject: string, scope: string): Promise<As> => ({
    metadata: { authorization: `Bearer ${await token(key, subject, scope, { claims: { jti: subject } })}` },
  });
  const times = async (count: number, who: As, act: (who: As) => Promise<unknown>) => {
    for (let n = 0; n < count; n += 1) await failureOf(act(who));
  };
  const list = (who: As) => api.call('ListInbox', {}, who);
  await times(3, { metadata: { 'x-request-id': 'r-1' } }, list);
  await times(2, { metadata: { authorization: 'Bearer rubbish' } }, list);
  await times(4, await as('op1', 'alerts:create'), list);
  await times(2, await as('op1', 'inbox'), (who) => api.call('ListInbox', { userId: 'op2' }, who));
  await times(1, await as('core3', 'inbox'), list);
  // A mistake is no attempt.
  await times(5, await as('op1', 'inbox'), (who) => api.call('ListInbox', { pageToken: '?' }, who));
  await role.stop();
  const entries = await entriesOf(cluster.store.database);
  const shown = entries.map(({ actor, action, object, outcome, reason, details }) => {
    assert.deepEqual(
      [action, object, outcome, actor.peer],
      ['call.refused', 'InboxService/ListInbox', 'refused', '127.0.0.1'],
    );
    return [actor.kind, actor.subject, actor.credential, reason, details['attempts'], actor.requestId];
  });
  const credential = (jti: string) => `jwt iss=${ISSUER} jti=${jti}`;
  assert.deepEqual(shown, [
    ['unknown', '', '', 'TOKEN_MISSING', 3, 'r-1'],
    ['unknown', '', '', 'TOKEN_MALFORMED', 2, ''],
    ['user', 'op1', credential('op1'), 'SCOPE_MISSING', 6, ''],
    ['user', 'core3', credential('core3'), 'USER_INACTIVE', 1, ''],
  ]);
});

function attempts(t: TestContext, database: Database, gatherMs = 60_000): RefusedAttempts {
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  return new RefusedAttempts({ database, logger: silentLogger(), metrics, gatherMs });
}

const REFUSAL = new AlertError('UNAUTHENTICATED', 'TOKEN_MISSING', 'no token');
const attempt = (host: string) => ({
  path: '/ssom.alert.v1.InboxService/ListInbox',
  peer: `${host}:50123`,
  identity: undefined,
  metadata: metadataOf({}),
});

test('a flood of refused calls from everywhere adds few entries, and every attempt is counted', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const refused = attempts(t, database, 100);
  const hosts = CALLS.groupsMax + 500;
  const started = performance.now();
  for (let n = 0; n < 20_000; n += 1)
    refused.noteCall(attempt(`10.0.${Math.floor((n % hosts) / 256)}.${n % 256}`), REFUSAL);
  const perAttemptMs = (performance.now() - started) / 20_000;
  assert.ok(perAttemptMs < 0.5, `${perAttemptMs} ms an attempt`);
  const count = async () =>
    (
      await sql<{ n: number; attempts: number }>(
        `SELECT count(*) AS n, COALESCE(sum((details ->> 'attempts')::int), 0) AS attempts FROM audit_log`,
      )
    )[0]!;
  await untilTrue(async () => (await count()).n > 0, { what: 'the first entries' });
  assert.equal((await count()).n, CALLS.entriesPerMinute);
  await refused.calls.write(CALLS.groupsMax + 1);
  const all = await count();
  assert.deepEqual([all.n <= CALLS.groupsMax + 1, all.attempts], [true, 20_000]);
  const [others] = await sql("SELECT object, actor, peer FROM audit_log WHERE reason = 'TOO_MANY_GROUPS'");
  assert.deepEqual(others, { object: '', actor: '', peer: '' });
  await refused.close();
});

test('refused calls that cannot be written wait, and are counted on', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const refused = attempts(t, database);
  refused.noteCall(attempt('10.0.0.1'), REFUSAL);
  await sql('ALTER TABLE audit_log ADD CONSTRAINT planted CHECK (false) NOT VALID');
  await assert.rejects(refused.calls.write(10), /planted/);
  refused.noteCall(attempt('10.0.0.1'), REFUSAL);
  refused.noteCall(attempt('[::1]'), new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_CALLS', 'no attempt'));
  await sql('ALTER TABLE audit_log DROP CONSTRAINT planted');
  await refused.close();
  const [entry, ...more] = await entriesOf(database);
  assert.deepEqual([entry?.actor.peer, entry?.details['attempts'], more], ['10.0.0.1', 2, []]);
});

test('what is being written when the process ends is waited for, and written again if that fails', async (t) => {
  const { database } = await createTestDatabase(t);
  let begin: () => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const isBegun = new Promise<void>((resolve) => (begin = resolve));
  const failure = new Promise<never>((_, reject) => (fail = reject));
  let writes = 0;
  const query: Database['query'] = (statement) => {
    begin();
    return (writes += 1) === 1 ? failure : database.query(statement);
  };
  const refused = attempts(t, Object.assign(Object.create(database) as Database, { query }), 1);
  refused.noteCall(attempt('10.0.0.1'), REFUSAL);
  await isBegun;
  const closed = refused.close();
  setImmediate(() => fail(new Error('planted')));
  await closed;
  assert.deepEqual([(await entriesOf(database)).length, writes], [1, 2]);
});
