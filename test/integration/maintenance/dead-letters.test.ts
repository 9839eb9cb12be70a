import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { main } from '../../../services/cli/cli.js';
import type { Events } from '../../../services/events/events.js';
import { Consumer, type IncomingRecord } from '../../../services/lib/kafka/consumer.js';
import type { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { DeadLetterKeeper } from '../../../services/maintenance/dead-letter-keeper.js';
import type { Runtime } from '../../../services/runtime/runtime.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { loseAllDeadLetters, purgeDeadLetters, rememberDeadLetter } from '../../../services/store/dead-letters.js';
import {
  deadLettersState,
  keepDeadLetter,
  keptDeadLetters,
  WAITING_BYTES_MAX,
  WAITING_LETTERS_MAX,
} from '../../../services/store/kept-dead-letters.js';
import { LOCKS } from '../../../services/store/locks.js';
import { RecipientResolver } from '../../../services/store/recipient-resolver.js';
import { alertRequest } from '../../support/alerts.js';
import { entriesOf } from '../../support/audit.js';
import { loadDirectory } from '../../support/directory.js';
import { type PublishFault, startTestCluster, type TestCluster } from '../../support/in-process.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

test('a record that was given up is remembered, whatever its key says of users and alerts', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const possible: [number | undefined, string | undefined][] = [
    [7, 'op01'],
    [undefined, undefined],
  ];
  const impossible: [number, string][] = [
    [1e30, 'a\0b'],
    [0.5, '\0'],
    [Infinity, 'x'.repeat(300_000)],
    [-1, Array.from({ length: 3000 }, (_, index) => String.fromCharCode(0x4e00 + index)).join('')],
  ];
  for (const [offset, [alertId, userId]] of [...possible, ...impossible].entries()) {
    const letter = { topic: 't', partition: 0, offset, alertId, userId, reason: 'no \0' };
    await rememberDeadLetter(database, letter, { key: null, value: null });
  }
  const rows = await sql('SELECT alert_id, user_id FROM dead_letters ORDER BY "offset"');
  const nobody = { alert_id: null, user_id: null };
  assert.deepEqual(rows, [{ alert_id: 7, user_id: 'op01' }, nobody, nobody, nobody, nobody, nobody]);
});

const PLACE = { topic: 'user-alert-topic', partition: 0, offset: 3 };

test('a letter at the place of a purged one is not purged, unless it is the same', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const remember = (alertId: number | undefined, userId: string) =>
    rememberDeadLetter(database, { ...PLACE, alertId, userId, reason: 'r' }, { key: userId, value: Buffer.from('v') });
  const purge = async () => {
    await purgeDeadLetters(database, [PLACE], NO_ACCOUNT);
    await sql("UPDATE dead_letters SET created_at = now() - interval '1 day'");
  };
  const state = () =>
    sql("SELECT alert_id, user_id, purged, created_at < now() - interval '1 hour' AS old FROM dead_letters");
  await remember(5, 'op1');
  await purge();
  await remember(5, 'op1');
  assert.deepEqual(await state(), [{ alert_id: 5, user_id: 'op1', purged: true, old: true }]);
  // The topic was recreated, and counts from 0 again.
  await loseAllDeadLetters(database);
  await remember(9, 'op2');
  assert.deepEqual(await state(), [{ alert_id: 9, user_id: 'op2', purged: false, old: false }]);
  await purge();
  await remember(undefined, 'op2');
  assert.deepEqual(await state(), [{ alert_id: null, user_id: 'op2', purged: false, old: false }]);
});

test('what waits in PostgreSQL outlives another letter of its place, with all its bytes', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const bury = async (value: string, alertId: number, waits: boolean) => {
    const record = { key: 'op1', value: Buffer.from(value), headers: [{ own: 'x' }, { 'dlq-offset': '3' }] };
    await rememberDeadLetter(database, { ...PLACE, alertId, userId: 'op1', reason: 'r' }, record);
    if (waits) assert.ok(await keepDeadLetter(database, PLACE, record, 'missing'));
  };
  const kept = async () => {
    const letters: (readonly [number, string, string])[] = [];
    for await (const { offset, value, headers } of keptDeadLetters(database, PLACE.topic))
      letters.push([offset, value!.toString(), JSON.stringify(headers.map((h) => String(Object.values(h)[0])))]);
    return letters;
  };
  await bury('old', 1, true);
  // Once more the same, as nobody has committed it.
  await bury('old', 1, false);
  assert.deepEqual(await kept(), [[3, 'old', '["x","3"]']]);
  await bury('new', 2, false);
  const [[moved, ...rest] = []] = await kept();
  assert.ok(Number.isSafeInteger(moved) && moved! > 2 ** 52);
  assert.deepEqual(rest, ['old', `["x","${moved}"]`]);
  await bury('newer', 3, true);
  await bury('newest', 4, true);
  assert.deepEqual((await kept()).map(([, value]) => value).sort(), ['newer', 'newest', 'old']);
  assert.deepEqual(await sql('SELECT alert_id FROM dead_letters ORDER BY alert_id'), [
    { alert_id: 1 },
    { alert_id: 3 },
    { alert_id: 4 },
  ]);
});

/** Keeps jobs from running that need these advisory locks. @returns what lets them */
async function holdJobs({ connect }: TestDatabase, ...locks: number[]): Promise<() => Promise<void>> {
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  let ended = Promise.resolve();
  await new Promise<void>((held, failed) => {
    ended = connect().withConnection(async (connection) => {
      for (const lock of locks) await connection.query({ text: 'SELECT pg_advisory_lock($1)', values: [lock] });
      held();
      await released;
      await connection.query({ text: 'SELECT pg_advisory_unlock_all()' });
    });
    ended.catch(failed);
  });
  return () => {
    release();
    return ended;
  };
}

/**
 * Two alerts to op1 and op2; op2's records are bad ones, so that they become dead letters. Until their alerts are named
 * fanout neither repeats them nor looks for them, nor forwards them: on a busy machine it would be faster than this
 * test.
 */
async function startWithBadRecords(
  t: TestContext,
  options: { deliveryFault?: PublishFault; fanoutEnds?: boolean } = {},
) {
  const cluster = await startTestCluster(t, { RECONCILE_INTERVAL_MS: '200', RECONCILE_GRACE_MS: '100' });
  const role = await cluster.start('alert-api', { as: 'standalone' });
  const api = cluster.api(role);
  await loadDirectory(api);
  let spoils = true;
  const letJobsRun = await holdJobs(cluster.store, LOCKS.reconcile, LOCKS.forwardDeadLetters, LOCKS.searchDeadLetters);
  const fanout = await cluster.start('fanout', {
    fault: async (records, publish) => {
      const spoilt = records.map((record) =>
        spoils && record.topic === 'user-alert-topic' && record.key === 'op2'
          ? { ...record, value: Buffer.from('rubbish') }
          : record,
      );
      await publish(spoilt);
    },
  });
  const delivery = await cluster.start(
    'delivery',
    options.deliveryFault === undefined ? {} : { fault: options.deliveryFault },
  );
  const ids: number[] = [];
  const create = async () => {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1', 'op2'] } }));
    ids.push(alert!.alertId);
  };
  await create();
  await create();
  // A rubbish value names its user alone, by the key: what a restored database or another schema's reader sees names
  // both.
  await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM dead_letters')).length === 2, {
    what: 'two dead letters',
  });
  const names = await cluster.store.sql<{ topic: string; partition: number; offset: number }>(
    'SELECT topic, partition, "offset" FROM dead_letters ORDER BY partition, "offset"',
  );
  for (const [index, { partition, offset }] of names.entries())
    await cluster.store.sql('UPDATE dead_letters SET alert_id = $1 WHERE partition = $2 AND "offset" = $3', [
      ids[index]!,
      partition,
      offset,
    ]);
  const progress = async (alertId: number) => (await api.call('GetAlert', { alertId })).progress!;
  const stopSpoiling = () => (spoils = false);
  if (options.fanoutEnds === true) await fanout.stop();
  await letJobsRun();
  const keeper = new DeadLetterKeeper(role.runtime, new RecipientResolver(role.runtime.database));
  const publishing = await role.runtime.publishing(never);
  return { cluster, api, delivery, ids, progress, stopSpoiling, keeper, publishing };
}

const never = new AbortController().signal;

async function untilChecked(cluster: TestCluster, alertId: number, checks: number): Promise<void> {
  const asked = () =>
    cluster.store.sql<{ reconcile_attempts: number }>(
      `SELECT reconcile_attempts FROM alert_progress WHERE alert_id = ${alertId}`,
    );
  await untilTrue(async () => (await asked())[0]!.reconcile_attempts >= checks, {
    what: `alert ${alertId} was looked at`,
  });
}

test('an alert that waits in the dead letters is not complete; when its topic has them no more they are delivered', async (t) => {
  const { cluster, ids, progress, stopSpoiling, keeper, publishing } = await startWithBadRecords(t);
  const [first, second] = ids as [number, number];
  await cluster.store.sql('UPDATE alert_progress SET reconcile_at = now(), reconcile_attempts = 0');
  await untilChecked(cluster, first, 1);
  const held = await progress(first);
  assert.deepEqual(
    [held.completedAt, held.deadLettered, held.delivered, held.missingUserIds],
    [null, true, 1, ['op2']],
  );
  assert.ok(held.nextCheckAt !== null);
  assert.equal((await deadLettersState(cluster.store.database)).alerts, 2);

  // An older version has called it complete.
  await cluster.store.sql(`UPDATE alert_progress SET completed_at = now() WHERE alert_id = ${second}`);
  // They are there: nothing is lost.
  await cluster.store.sql("UPDATE dead_letters SET created_at = now() - interval '1 hour'");
  await keeper.search(publishing.events, never);
  assert.equal((await cluster.store.sql('SELECT 1 FROM dead_letters')).length, 2);
  assert.equal((await progress(second)).completedAt, null);

  // A topic that was recreated begins with other records: those of the index are in it no more.
  await cluster.store.sql('UPDATE dead_letters SET "offset" = "offset" + 1000000');
  stopSpoiling();
  await keeper.search(publishing.events, never);
  for (const alertId of ids) {
    await untilTrue(async () => (await progress(alertId)).completedAt !== null, {
      what: `alert ${alertId} is complete`,
    });
    const { delivered, deadLettered } = await progress(alertId);
    assert.deepEqual([delivered, deadLettered], [2, false]);
  }
});

test('what the in-process broker held when it ended is delivered, although an older version called it complete', async (t) => {
  const { cluster, ids, progress, stopSpoiling } = await startWithBadRecords(t, { fanoutEnds: true });
  await cluster.store.sql('UPDATE alert_progress SET completed_at = now()');
  stopSpoiling();
  // Its first run takes the broker, and all that was in it, for new. To join the group again takes it longer.
  await cluster.start('fanout', { ready: false });
  for (const alertId of ids)
    await untilTrue(async () => (await progress(alertId)).delivered === 2, {
      what: `alert ${alertId} is in both inboxes`,
    });
});

test('a dead-letter topic that takes nothing holds up nobody: the letter waits in PostgreSQL and goes there later', async (t) => {
  let refuses = true;
  const deliveryFault: PublishFault = async (records, publish) => {
    if (refuses && records[0]!.topic === 'user-alert-topic-dlq') throw new Error('Local: Unknown topic');
    await publish(records);
  };
  // Its own keeper would forward them too.
  const { cluster, ids, progress, keeper, publishing } = await startWithBadRecords(t, {
    deliveryFault,
    fanoutEnds: true,
  });
  const { store } = cluster;
  for (const alertId of ids)
    await untilTrue(async () => (await progress(alertId)).delivered === 1, { what: `op1 has alert ${alertId}` });
  const places = () => store.sql('SELECT place, waits_for FROM dead_letters');
  const waiting = { place: 'waiting', waits_for: 'Local: Unknown topic' };
  assert.deepEqual(await places(), [waiting, waiting]);
  assert.equal((await progress(ids[0]!)).deadLetters[0]!.waitsFor, 'Local: Unknown topic');
  assert.equal((await deadLettersState(store.database)).waiting, 2);

  // Put off by a clock that was a year ahead.
  await store.sql("UPDATE dead_letters SET due_at = now() + interval '1 year'");
  const failing = { publish: () => Promise.reject(new Error('still away')) } as unknown as Producer;
  await keeper.forward(failing, never);
  assert.deepEqual(await places(), [
    { place: 'waiting', waits_for: 'still away' },
    { place: 'waiting', waits_for: 'still away' },
  ]);
  // Not due yet.
  await keeper.forward(publishing.producer, never);
  assert.equal((await deadLettersState(store.database)).waiting, 2);
  refuses = false;
  await store.sql('UPDATE dead_letters SET due_at = now()');
  await keeper.forward(publishing.producer, never);
  const inTopic = { place: 'topic', waits_for: null };
  assert.deepEqual(await places(), [inTopic, inTopic]);
  const [letter] = await cluster.read('user-alert-topic-dlq', 2);
  assert.equal(letter!.value!.toString(), 'rubbish');
  assert.equal(letter!.key, 'op2');
  const names = letter!.headers.flatMap((header) => Object.keys(header)).filter((name) => name.startsWith('dlq-'));
  assert.equal(names.length, 10);
});

test('letters that wait in PostgreSQL are listed, shown, sent back and purged like others, and have a bound', async (t) => {
  const cluster = await startTestCluster(t);
  const { store } = cluster;
  const environment = { DATABASE_URL: store.url, KAFKA_BOOTSTRAP_SERVERS: cluster.backends.brokers.bootstrapServers };
  const run = async (...args: string[]) => {
    const context = fakeContext({ environment });
    const code = await main(['dlq', ...args], context);
    return { code, out: context.out(), err: context.err() };
  };
  const headers = [{ 'x-own': Buffer.from([0xff, 0]) }, { 'dlq-topic': 'user-alert-topic' }];
  const keep = async (offset: number, value: Buffer | null) => {
    const place = { topic: 'user-alert-topic', partition: 2, offset };
    const known = { ...place, alertId: undefined, userId: 'op1', reason: 'r' };
    await rememberDeadLetter(store.database, known, { key: 'op1', value });
    const added = [{ 'dlq-partition': '2' }, { 'dlq-offset': String(offset) }, { 'dlq-error-message': 'r' }];
    const letter = { key: 'op1', value, headers: [...headers, ...added] };
    return keepDeadLetter(store.database, place, letter, 'too large');
  };
  assert.ok(await keep(1, Buffer.from('bytes')));
  assert.ok(await keep(2, null));
  assert.ok(await keep(3, Buffer.alloc(0)));
  const listed = await run('list');
  assert.match(listed.out, /user-alert-topic-2@1 .* waits in PostgreSQL {2}op1 {2}r\n/);
  assert.match(listed.err, /^the topic alert-created-topic-dlq does not exist/);
  assert.match(listed.err, /3 dead letters/);
  assert.match((await run('show', 'user-alert-topic-2@1')).out, /value: 5 bytes\n000000 {2}62 79 74 65 73/);
  assert.match((await run('show', 'user-alert-topic-2@2')).out, /value: \(none\)/);
  assert.match((await run('purge', '--yes', '--limit', '1')).err, /1 dead letter taken off the list/);
  assert.match((await run('redrive', '--yes')).err, /2 dead letters sent back/);
  const [empty, none] = (await readAll(cluster, 'user-alert-topic'))
    .map(({ value }) => value?.length ?? null)
    .reverse();
  assert.deepEqual([none, empty], [null, 0]);
  assert.deepEqual(await store.sql('SELECT "offset", purged FROM dead_letters'), [{ offset: 1, purged: true }]);
  const accounted = (await entriesOf(store.database)).map(({ action, outcome, details }) => [action, outcome, details]);
  const two = { letters: 2, offsets: { 'user-alert-topic-2': [2, 3] } };
  assert.deepEqual(accounted, [
    ['dead-letters.purge', 'done', { letters: 1, offsets: { 'user-alert-topic-2': [1] } }],
    ['dead-letters.redrive', 'begun', two],
    ['dead-letters.redrive', 'done', two],
  ]);

  await store.sql(`
    INSERT INTO dead_letters (topic, partition, "offset", reason, place, record_value, record_headers)
    SELECT 't', 0, n, 'r', 'waiting', '', '{}' FROM generate_series(1, ${WAITING_LETTERS_MAX}) n`);
  assert.equal(await keep(4, Buffer.from('one more')), false);
  await store.sql('DELETE FROM dead_letters WHERE topic = \'t\' AND "offset" > 1');
  assert.ok(await keep(4, Buffer.from('one more')));
  await store.sql(
    `UPDATE dead_letters SET record_value = convert_to(repeat('x', ${WAITING_BYTES_MAX}), 'UTF8') WHERE topic = 't'`,
  );
  assert.equal(await keep(5, Buffer.from('x')), false);
});

test('from a topic that is missing nothing is concluded; once it is back, what it lacks is lost in portions', async (t) => {
  const cluster = await startTestCluster(t);
  const { store } = cluster;
  // A fanout would search too.
  const api = await cluster.start('alert-api', { as: 'standalone' });
  // As from any other broker: the in-process one makes a topic for whoever asks for it.
  const { bulkDatabase, config, logger, metrics, role } = api.runtime;
  const brokers = { ...cluster.backends.brokers, inProcess: false };
  const runtime = { bulkDatabase, config, logger, metrics, role, backends: { brokers } } as unknown as Runtime;
  const keeper = new DeadLetterKeeper(runtime, new RecipientResolver(store.database));
  const { producer } = await api.runtime.publishing(never);
  const events = { topics: { userAlert: 'missing' } } as unknown as Events;
  await store.sql(`
    INSERT INTO dead_letters (topic, partition, "offset", reason, created_at)
    SELECT 'missing', 0, n, 'r', now() - interval '1 hour' FROM generate_series(1, 6000) n`);
  const count = async () => (await store.sql<{ n: number }>('SELECT count(*) AS n FROM dead_letters'))[0]!.n;
  await keeper.search(events, never);
  assert.equal(await count(), 6000);
  // Somebody makes it.
  await producer.publish([{ topic: 'missing-dlq', key: 'k', value: Buffer.from('v') }]);
  await keeper.search(events, never);
  assert.equal(await count(), 1000);
  await store.sql(`
    INSERT INTO dead_letters (topic, partition, "offset", reason, place, record_value, record_headers)
    SELECT 't', 0, n, 'r', 'waiting', '', '{}' FROM generate_series(1, ${WAITING_LETTERS_MAX - 400}) n`);
  await keeper.search(events, never);
  assert.equal(await count(), 600 + WAITING_LETTERS_MAX - 400);
});

test('a letter that names somebody whom its alert is not for reopens nothing', async (t) => {
  const { cluster, ids, keeper, publishing } = await startWithBadRecords(t);
  const { sql } = cluster.store;
  const [first] = ids as [number, number];
  await sql("UPDATE dead_letters SET user_id = 'op3' WHERE alert_id = $1", [first]);
  await sql("UPDATE alert_progress SET completed_at = now() - interval '1 day'");
  await keeper.search(publishing.events, never);
  const complete = await sql("SELECT alert_id FROM alert_progress WHERE completed_at < now() - interval '1 hour'");
  assert.deepEqual(complete, [{ alert_id: first }]);
});

/** What is in a topic now. */
async function readAll({ backends, config }: TestCluster, topic: string): Promise<IncomingRecord[]> {
  const of = { clientId: 'test', groupId: 'test' };
  const consumer = await Consumer.observe(backends.brokers, config, silentLogger(), of);
  try {
    const records: IncomingRecord[] = [];
    for await (const record of consumer.readAll(topic)) records.push(record);
    return records;
  } finally {
    await consumer.close();
  }
}
