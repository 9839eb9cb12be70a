import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { alertService } from '../../../services/alert-api/alert-service.js';
import { CreateBatcher } from '../../../services/alert-api/create-batcher.js';
import type { AlertError } from '../../../services/domain/errors.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import type { CallContext } from '../../../services/lib/grpc/call-context.js';
import { type Database, poolSizes } from '../../../services/lib/postgres.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { EventLoopTurns } from '../../../services/lib/turns.js';
import { insertAlerts } from '../../../services/store/alerts.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { RecipientResolver, StaffedRulesCache } from '../../../services/store/recipient-resolver.js';
import { alertRequest, asReceived, newAlert } from '../../support/alerts.js';
import { failureOf } from '../../support/api.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import { storeDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { readPage } from '../../support/metrics-page.js';
import { createTestDatabase } from '../../support/postgres.js';
import { untilTrue } from '../../support/until-true.js';

function batcherOn(database: Database, queueMax = 10_000): CreateBatcher {
  return new CreateBatcher({
    database,
    tracing: Tracing.off(),
    slowMs: 5000,
    queueMax,
    batchMax: 500,
    isFull: () => false,
    onStored: () => undefined,
  });
}

/** The same database, whose statements run by `query`. */
function querying(database: Database, query: Database['query']): Database {
  const other = Object.create(database, { query: { value: query } }) as Database;
  return Object.defineProperty(other, 'bulk', { value: other });
}

/** The same database, whose statements are counted. */
function counted(database: Database): { database: Database; statements: () => number } {
  let statements = 0;
  const query: Database['query'] = (statement) => {
    statements += 1;
    return database.query(statement);
  };
  return { database: querying(database, query), statements: () => statements };
}

/** What is held waits for the test, however slow the machine is. */
const PATIENT = { DATABASE_STATEMENT_TIMEOUT_MS: '60000' };

/** Lets nothing be written to a table until it is released. */
async function hold(
  t: TestContext,
  database: Database,
  table: string,
  mode = 'EXCLUSIVE',
): Promise<() => Promise<void>> {
  let release: (() => void) | undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let locked: (() => void) | undefined;
  const isLocked = new Promise<void>((resolve) => (locked = resolve));
  const done = database.transaction(async (connection) => {
    await connection.query(`LOCK TABLE ${table} IN ${mode} MODE`);
    locked!();
    await held;
  });
  defer(t, () => release!());
  await isLocked;
  return async () => {
    release!();
    await done;
  };
}

test('a caller in a loop leaves room for others, however many it sends', async (t) => {
  const { database } = await createTestDatabase(t);
  await storeDirectory(database);
  const batcher = batcherOn(database, 40);
  const loop = Promise.allSettled(Array.from({ length: 200 }, () => batcher.create(newAlert({}, 'loop'))));
  const others = Array.from({ length: 5 }, (_, index) => batcher.create(newAlert({}, `other-${index}`)));
  assert.ok((await Promise.all(others)).every(({ replayed }) => !replayed));
  const stored = (await loop).filter(({ status }) => status === 'fulfilled');
  assert.equal(stored.length, 20);
  assert.equal(batcher.room.requests, 0);
});

test('requests with thousands of names are written beside the others, which wait for at most one of them', async (t) => {
  const { database } = await createTestDatabase(t);
  await storeDirectory(database);
  const batcher = batcherOn(database);
  const userIds = Array.from({ length: 3000 }, (_, index) => `nobody-${index}`);
  let refused = 0;
  const heavy = Array.from({ length: 30 }, () =>
    batcher.create(newAlert({ recipients: { userIds } }, 'heavy')).catch(() => (refused += 1)),
  );
  for (let count = 0; count < 5; count += 1) await batcher.create(newAlert({}, 'light'));
  assert.ok(refused < 15, `${refused} of 30 were answered before five others, one after the other`);
  await Promise.all(heavy);
  assert.equal(refused, 30);
});

test('an alert to hundreds of people is stored while the connections for bulk work are taken', async (t) => {
  const { database } = await createTestDatabase(t);
  await storeDirectory(database);
  const userIds = Array.from({ length: 600 }, (_, index) => `person-${index}`);
  await upsertUsers(
    database,
    userIds.map((name) => user(name, 'OPERATION')),
    NO_ACCOUNT,
  );
  let release: (() => void) | undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const { bulk } = database;
  const taken = Array.from({ length: poolSizes(loadConfig({}).databasePoolMax).bulk }, () =>
    bulk.withConnection(() => released),
  );
  defer(t, () => release!());
  await untilTrue(() => bulk.stats.total - bulk.stats.idle === taken.length, { what: 'all are taken' });
  const { reach } = await batcherOn(database).create(newAlert({ recipients: { userIds } }));
  assert.equal(reach.reachesNamed, true);
  release!();
  await Promise.all(taken);
});

test('large requests that wait to be read are among those that wait: beyond its share a caller is refused at once', async (t) => {
  const { database } = await createTestDatabase(t);
  await storeDirectory(database);
  const batcher = batcherOn(database, 10);
  const { CreateAlert } = alertService({
    batcher,
    computations: new EventLoopTurns(),
    resolver: new RecipientResolver(database),
    rules: new StaffedRulesCache(database),
    metrics: new Metrics('test'),
  });
  const userIds = Array.from({ length: 2000 }, (_, index) => `nobody-${index}`);
  const request = asReceived(alertRequest({ recipients: { userIds } }));
  const call = (subject: string) =>
    ({
      identity: { kind: 'service', subject, scopes: new Set(['alerts:create']), credential: 'dev' },
      signal: new AbortController().signal,
    }) as unknown as CallContext;
  const reasons: string[] = [];
  const create = (subject: string) =>
    CreateAlert(request, call(subject)).catch(({ reason }: AlertError) => void reasons.push(`${subject} ${reason}`));
  const all = Array.from({ length: 20 }, () => create('loop'));
  assert.equal(batcher.room.requests, 5);
  all.push(create('other'));
  assert.equal(batcher.room.requests, 6);
  await Promise.all(all);
  assert.equal(reasons.filter((reason) => reason === 'loop TOO_MANY_REQUESTS').length, 15);
  assert.ok(reasons.indexOf('other INVALID_FIELDS') <= 17, reasons.join());
  assert.equal(batcher.room.requests, 0);
});

test('a batch that names somebody who has left is refused with a few statements, not with two an item', async (t) => {
  const { database: real } = await createTestDatabase(t);
  await storeDirectory(real);
  const { database, statements } = counted(real);
  await upsertUsers(real, [{ ...user('left', 'OPERATION'), active: false }], NO_ACCOUNT);
  const batcher = batcherOn(database);
  const request = (index: number) =>
    newAlert({ requestId: `r${index}`, recipients: { userIds: ['left', `no-${index}`] } });
  const results = await Promise.allSettled(Array.from({ length: 500 }, (_, index) => batcher.create(request(index))));
  const messages = results.map((result) =>
    result.status === 'rejected' ? (result.reason as Error).message : 'stored',
  );
  assert.deepEqual(
    messages,
    results.map(
      (_, index) => `recipients.user_ids 'left' is inactive; recipients.user_ids 'no-${index}' does not exist`,
    ),
  );
  assert.ok(statements() <= 30, `${statements()} statements`);
});

test('thousands of unknown names are refused by the insert itself: no second statement looks them up', async (t) => {
  const { database: real } = await createTestDatabase(t);
  await storeDirectory(real);
  const { database, statements } = counted(real);
  const batcher = batcherOn(database);
  const names = (prefix: string) => Array.from({ length: 4000 }, (_, index) => `${prefix}-${index}`);
  const recipients = { userIds: names('nobody'), githubLogins: names('No'), departments: ['NOWHERE'] };
  const message = await batcher.create(newAlert({ recipients })).then(
    () => 'stored',
    (error: AlertError) => error.violations.map(({ field, description }) => `${field} ${description}`).join(),
  );
  const shown = recipients.userIds.slice(0, 10).map((name) => `recipients.user_ids '${name}' does not exist,`);
  assert.equal(message, `${shown.join('')}recipients and 7991 more do not exist or are inactive`);
  assert.equal(statements(), 1);
});

test('the refusal names who was unknown to the insert, though somebody has come into being since', async (t) => {
  const { database } = await createTestDatabase(t);
  await storeDirectory(database);
  let created: Promise<unknown> | undefined;
  const query: Database['query'] = async (statement) => {
    const answer = await database.query(statement);
    if (statement.name === 'insert-alerts')
      await (created ??= upsertUsers(database, [user('new', 'OPERATION')], NO_ACCOUNT));
    return answer as never;
  };
  const batcher = batcherOn(querying(database, query));
  const request = newAlert({ requestId: 'one', recipients: { userIds: ['new'] } });
  const create = () => batcher.create(request);
  await assert.rejects(create(), /'new' does not exist/);
  assert.equal((await create()).replayed, false);
  assert.equal((await create()).replayed, true);
});

test('what nobody waits for any more and no writer has begun is dropped', async (t) => {
  const { database, sql, connect } = await createTestDatabase(t);
  await storeDirectory(database);
  const release = await hold(t, connect(), 'alerts');
  const batcher = batcherOn(database);
  const began: Promise<unknown>[] = [];
  for (const title of ['first', 'second']) {
    began.push(batcher.create(newAlert({ title })));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
  const gone = new AbortController();
  const dropped = batcher.create(newAlert({ title: 'gone', requestId: 'x' }), gone.signal);
  const stays = batcher.create(newAlert({ title: 'stays', requestId: 'x' }));
  gone.abort(new Error('the caller has gone'));
  await assert.rejects(dropped, /the caller has gone/);
  await assert.rejects(batcher.create(newAlert(), gone.signal), /the caller has gone/);
  await release();
  await Promise.all([...began, stays]);
  assert.deepEqual(await sql('SELECT title FROM alerts ORDER BY title'), [
    { title: 'first' },
    { title: 'second' },
    { title: 'stays' },
  ]);
  assert.equal(batcher.room.requests, 0);
});

test('of the large requests of one caller a few are at work; the others wait unread, and those of other callers are served', async (t) => {
  const cluster = await startTestCluster(t, PATIENT);
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const release = await hold(t, cluster.store.connect(), 'alerts');
  const userIds = Array.from({ length: 8000 }, (_, index) => `nobody-${index}`);
  const large = () => api.call('CreateAlert', alertRequest({ recipients: { userIds } }), { caller: 'large' });
  const refusals = Promise.all(Array.from({ length: 12 }, () => failureOf(large())));
  await untilTrue(async () => (await queueSize(role.http, 'large_requests')) > 1_000_000, { what: 'all are there' });
  await untilTrue(async () => (await sample(role.http, 'ssom_create_queue')) === 2, { what: 'two are at work' });
  assert.equal(await sample(role.http, 'ssom_grpc_calls'), 12);
  const other = api.call(
    'CreateAlert',
    alertRequest({ message: 'x'.repeat(16_384), recipients: { userIds: ['op1'] } }),
  );
  await untilTrue(async () => (await sample(role.http, 'ssom_create_queue')) === 3, { what: 'the other is at work' });
  await release();
  assert.ok((await other).alert);
  assert.deepEqual(new Set((await refusals).map(({ code }) => code)), new Set(['INVALID_ARGUMENT']));
  assert.equal(await queueSize(role.http, 'large_requests'), 0);
});

test('calls of one caller, one user and about one inbox are bounded; others are served, and the refusals are counted', async (t) => {
  const folder = temporaryFolder();
  defer(t, folder.remove);
  const file = join(folder.path, 'limits.json');
  writeFileSync(file, '{ "users": { "op2": { "calls": 4 } } }');
  const cluster = await startTestCluster(t, {
    ...PATIENT,
    CALLS_PER_CALLER_MAX: '4',
    CALLS_PER_USER_MAX: '2',
    CALLER_LIMITS_FILE: file,
  });
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  await insertAlerts(cluster.store.database, [newAlert()]);
  const releaseAlerts = await hold(t, cluster.store.connect(), 'alerts');
  const untilRunning = (count: number) =>
    untilTrue(async () => (await sample(role.http, 'ssom_grpc_calls')) >= count, { what: `${count} calls run` });

  // A batch counts as its items, and the first one is let in however large it is.
  const one = { caller: 'one' };
  const batch = api.call('BatchCreateAlerts', { requests: [alertRequest(), alertRequest(), alertRequest()] }, one);
  await untilRunning(1);
  const single = api.call('CreateAlert', alertRequest(), one);
  await untilRunning(2);
  const refusal = await failureOf(api.call('CreateAlert', alertRequest(), one));
  assert.deepEqual([refusal.code, refusal.details.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_CALLS']);
  assert.ok(refusal.details.retryAfterMs! > 0);
  const larger = { requests: Array.from({ length: 5 }, () => alertRequest()) };
  assert.equal((await failureOf(api.call('BatchCreateAlerts', larger, one))).code, 'RESOURCE_EXHAUSTED');
  const other = api.call('BatchCreateAlerts', larger, { caller: 'two' });
  await untilRunning(3);
  await releaseAlerts();
  await Promise.all([batch, single, other]);
  assert.ok((await api.call('CreateAlert', alertRequest(), one)).alert);

  const releaseUsers = await hold(t, cluster.store.connect(), 'users', 'ACCESS EXCLUSIVE');
  const read = (caller: string, userId: string) => api.call('MarkAllRead', { userId }, { caller });
  const many = [read('three', 'op1'), read('three', 'op1')];
  await untilRunning(2);
  assert.equal((await failureOf(read('three', 'op1'))).details.reason, 'TOO_MANY_CALLS');
  const own = () => api.call('MarkAllRead', {}, { user: 'op2' });
  const others = [api.call('MarkAllRead', {}, { user: 'op1' }), read('three', 'op2'), own(), own(), own(), own()];
  await untilRunning(8);
  assert.equal((await failureOf(own())).details.reason, 'TOO_MANY_CALLS');
  await releaseUsers();
  await Promise.all([...many, ...others]);
  assert.equal(await sample(role.http, 'ssom_grpc_refused_total', 'calls_of_caller'), 2);
  assert.equal(await sample(role.http, 'ssom_grpc_refused_total', 'calls_of_user'), 2);
});

test('one caller in a loop of lists, or one inbox, does not take the connections from the others', async (t) => {
  const cluster = await startTestCluster(t, PATIENT);
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const loops = [
    { table: 'users', call: () => api.call('ListUsers', {}, { caller: 'loop' }) },
    { table: 'inboxes', call: () => api.call('MarkAllRead', { userId: 'op1' }, { caller: 'loop' }) },
  ];
  for (const { table, call } of loops) {
    const release = await hold(t, cluster.store.connect(), table, 'ACCESS EXCLUSIVE');
    const waiting = Array.from({ length: 20 }, (): Promise<unknown> => call());
    await untilTrue(async () => (await sample(role.http, 'ssom_grpc_calls')) === 20, { what: '20 calls run' });
    await api.call('ListAlerts', {}, { caller: 'other' });
    await release();
    await Promise.all(waiting);
  }
});

test('who marks all of a large inbox on two devices lists it and counts it meanwhile', async (t) => {
  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.store.sql(
    `INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
     SELECT 'op1', k, k, k, 1, false, now() FROM generate_series(1, 100000) k`,
  );
  await cluster.store.sql("INSERT INTO inboxes (user_id, last_seq, unread_count) VALUES ('op1', 100000, 100000)");
  const owner = { user: 'op1' };
  const first = await api.call('GetUnreadCount', {}, owner);
  let marked = 0;
  const marking = Array.from({ length: 2 }, () =>
    api.call('MarkAllRead', {}, owner, 120_000).finally(() => (marked += 1)),
  );
  const unread = async () => (await api.call('GetUnreadCount', {}, owner)).unreadCount;
  await untilTrue(async () => (await unread()) < first.unreadCount, { what: 'some are marked' });
  await api.call('ListInbox', { pageSize: 10 }, owner);
  assert.equal(marked, 0);
  await Promise.all(marking);
  assert.equal(await unread(), 0);
});

test('a call whose deadline is over before it is begun stores nothing', async (t) => {
  const cluster = await startTestCluster(t, PATIENT);
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const api = cluster.api(role);
  const release = await hold(t, cluster.store.connect(), 'alerts');
  const waiting = (count: number) =>
    untilTrue(async () => (await sample(role.http, 'ssom_create_queue')) === count, { what: `${count} calls wait` });
  const calls: Promise<unknown>[] = [];
  // Each takes a writer, of which there are two for callers that have few waiting.
  for (const title of ['a', 'b']) {
    calls.push(api.call('CreateAlert', alertRequest({ title })));
    await waiting(calls.length);
  }
  const late = api.call('CreateAlert', alertRequest({ title: 'late' }), { caller: 'impatient' }, 300);
  assert.equal((await failureOf(late)).code, 'DEADLINE_EXCEEDED');
  await waiting(2);
  await release();
  await Promise.all(calls);
  const titles = await cluster.store.sql('SELECT title FROM alerts ORDER BY title');
  assert.deepEqual(
    titles.map(({ title }) => title as string),
    ['a', 'b'],
  );
});

async function samplesOf(http: string, name: string) {
  const page = readPage(await (await fetch(`http://${http}/metrics`)).text());
  return [...page.values()].flatMap((family) => family.samples).filter((each) => each.name === name);
}

async function sample(http: string, name: string, bound?: string): Promise<number> {
  const samples = await samplesOf(http, name);
  return samples.filter(({ labels }) => bound === undefined || labels['bound'] === bound)[0]?.value ?? 0;
}

async function queueSize(http: string, queue: string): Promise<number> {
  const samples = await samplesOf(http, 'ssom_queue_size');
  return samples.find(({ labels }) => labels['queue'] === queue)!.value;
}
