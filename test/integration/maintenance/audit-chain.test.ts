import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { loadConfig } from '../../../services/lib/config/load.js';
import { type Logger, silentLogger } from '../../../services/lib/logging.js';
import type { Connection, Database } from '../../../services/lib/postgres.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { AuditKeeper } from '../../../services/maintenance/audit-keeper.js';
import { Jobs } from '../../../services/runtime/jobs.js';
import { writeEntries } from '../../../services/store/audit.js';
import {
  beginSettling,
  type ChainReport,
  headText,
  isSettled,
  removeOldEntries,
  sealEntries,
  verifyChain,
  verifyIn,
} from '../../../services/store/audit-chain.js';
import { LOCKS } from '../../../services/store/locks.js';
import { entriesOf, sealAll, someAccount, SOMEBODY } from '../../support/audit.js';
import { defer } from '../../support/defer.js';
import { createTestDatabase } from '../../support/postgres.js';
import { Random } from '../../support/random.js';
import { untilTrue } from '../../support/until-true.js';

const ENTRIES = 40;
const TAMPERINGS = 1000;

/** Entries of which no two are the same, with gaps between their numbers. */
async function account(database: Database, count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    if (n % 7 === 0) await database.query({ text: "SELECT nextval('audit_entry_ids')" });
    const actor = { ...SOMEBODY, subject: `deployer${n}`, requestId: `r-${n}` };
    const entry = { actor, object: `op${n}`, reason: n % 3 === 0 ? 'SCOPE_MISSING' : '', details: { version: n } };
    await writeEntries(database, [{ ...entry, action: 'directory.users', outcome: 'done' }]);
  }
}

async function sealedChain(t: TestContext, count = ENTRIES) {
  const store = await createTestDatabase(t);
  await account(store.database, count);
  return { ...store, head: await sealAll(store.database) };
}

/** Does something to the tables as their owner may who has dropped the triggers, looks, and undoes it. */
async function tampered(
  database: Database,
  tamper: (connection: Connection) => Promise<unknown>,
  kept?: Parameters<typeof verifyIn>[1],
): Promise<ChainReport> {
  return database.withConnection(async (connection) => {
    await connection.query('BEGIN');
    try {
      await connection.query('SET LOCAL session_replication_role = replica');
      await tamper(connection);
      return await verifyIn(connection, kept);
    } finally {
      await connection.query('ROLLBACK');
    }
  });
}

const kindsOf = ({ breaks }: ChainReport) => breaks.map(({ entryId, kind }) => `${kind} ${entryId}`);

test('what nobody has touched verifies, and what is too new to be sealed is said', async (t) => {
  const { database, head } = await sealedChain(t);
  await account(database, 3);
  const report = await verifyChain(database, head);
  assert.deepEqual([report.broken, report.breaks, report.sealed, report.unsealed], [0, [], ENTRIES, 3]);
  assert.equal(headText(report.head), headText(head));
});

test('1,000 random tamperings are found, each', async (t) => {
  const { database, sql } = await sealedChain(t);
  await account(database, 2);
  const ids = (await sql<{ entry_id: number }>('SELECT entry_id FROM audit_seals ORDER BY 1')).map(
    (row) => row.entry_id,
  );
  const columns = await sql<{ column_name: string; data_type: string }>(
    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'audit_log'",
  );
  const seed = Number(process.env['SSOM_SEED'] ?? Date.now() % 1e6);
  const random = new Random(seed);
  const pick = <T>(from: readonly T[]): T => random.pick(from);
  /** Another value of a column, as SQL. */
  const other = (column: string, type: string): string => {
    if (type === 'bigint') return pick([`${column} + 1000`, `-${column}`, `${column} + 9000000000000000`]);
    if (type.startsWith('timestamp'))
      return `${column} ${pick(['+', '-'])} interval '${pick(['1 microsecond', '1 year'])}'`;
    if (type === 'jsonb') return pick([`${column} || '{"version": 99}'`, `${column} - 'version'`, `'null'`]);
    return pick([`${column} || ' '`, `upper(${column}) || 'x'`, `'somebody else' || ${column}`]);
  };
  const others = columns.filter(({ column_name: name }) => name !== 'entry_id').map(({ column_name: name }) => name);
  const remove = (table: string, id: number) => `DELETE FROM ${table} WHERE entry_id = ${id}`;
  const copied = (from: number, as: string) =>
    `INSERT INTO audit_log SELECT ${as}, ${others.join(', ')} FROM audit_log WHERE entry_id = ${from}`;
  const tamperings: (() => string)[] = [
    () => {
      const { column_name: name, data_type: type } = pick(columns);
      return `UPDATE audit_log SET ${name} = ${other(name, type)} WHERE entry_id = ${pick(ids)}`;
    },
    () => remove('audit_log', pick(ids)),
    () => remove('audit_seals', pick(ids)),
    () => {
      const id = pick(ids);
      return `${remove('audit_log', id)}; ${remove('audit_seals', id)}`;
    },
    // All from one on: the end of the chain is still where it was.
    () => {
      const from = pick(ids);
      return ['audit_log', 'audit_seals'].map((table) => `DELETE FROM ${table} WHERE entry_id >= ${from}`).join('; ');
    },
    // A number that was taken by a transaction that failed, or that nobody has been given.
    () => copied(pick(ids), pick(['7', '15', '0', '-3', '1000', '9000000000000000001'])),
    () => {
      const id = pick(ids);
      return `${copied(id, '7')}; INSERT INTO audit_seals SELECT 7, previous_id, hash FROM audit_seals WHERE entry_id = ${id}`;
    },
    () => {
      const [a, b] = [pick(ids), pick(ids)];
      if (a === b) return remove('audit_log', a);
      const set = others.map((name) => `${name} = o.${name}`).join(', ');
      return `UPDATE audit_log l SET ${set} FROM (SELECT * FROM audit_log) o
              WHERE (l.entry_id, o.entry_id) IN ((${a}, ${b}), (${b}, ${a}))`;
    },
    () => {
      const byte = random.int(0, 32);
      return `UPDATE audit_seals SET hash = set_byte(hash, ${byte}, get_byte(hash, ${byte}) # 7) WHERE entry_id = ${pick(ids)}`;
    },
    () => `UPDATE audit_seals SET previous_id = previous_id - 1 WHERE entry_id = ${pick(ids)}`,
    () =>
      `UPDATE audit_chain SET ${pick(['head_id = head_id - 1', 'begins_after = 3', "head_hash = '\\x01'", "begins_hash = '\\x01'"])}`,
  ];
  const missed: string[] = [];
  for (let n = 0; n < TAMPERINGS; n += 1) {
    const tampering = tamperings[n % tamperings.length]!();
    const { broken } = await tampered(database, (connection) => connection.query(tampering));
    if (broken === 0) missed.push(tampering);
  }
  assert.deepEqual(missed, [], `with SSOM_SEED=${seed}`);
  assert.equal((await verifyChain(database)).broken, 0, 'each was undone');
});

test('what was done is named by its kind and its first entry', async (t) => {
  const { database, head } = await sealedChain(t, 12);
  const find = async (...statements: string[]) =>
    kindsOf(await tampered(database, (connection) => connection.query(statements.join(';'))));
  // Numbers 7 and 15 were never used.
  assert.deepEqual(await find("UPDATE audit_log SET actor = 'x' WHERE entry_id = 3"), ['changed 3']);
  assert.deepEqual(await find('DELETE FROM audit_log WHERE entry_id = 3'), ['removed 3']);
  assert.deepEqual(
    await find('DELETE FROM audit_log WHERE entry_id = 3', 'DELETE FROM audit_seals WHERE entry_id = 3'),
    ['removed 3'],
  );
  assert.deepEqual(await find('DELETE FROM audit_seals WHERE entry_id = 3'), ['removed 3']);
  assert.deepEqual(await find('UPDATE audit_seals SET previous_id = 1 WHERE entry_id = 3'), ['changed 3']);
  const columns =
    'at, database_user, actor_kind, actor, credential, peer, action, object, outcome, reason, details, request_id, trace_id';
  assert.deepEqual(await find(`INSERT INTO audit_log SELECT 7, ${columns} FROM audit_log WHERE entry_id = 3`), [
    'inserted 7',
  ]);
  assert.deepEqual(
    await find(
      'UPDATE audit_log SET entry_id = -1 WHERE entry_id = 3',
      'UPDATE audit_log SET entry_id = 3 WHERE entry_id = 9',
      'UPDATE audit_log SET entry_id = 9 WHERE entry_id = -1',
    ),
    ['reordered 3', 'reordered 9'],
  );
  assert.deepEqual(
    await find('DELETE FROM audit_log WHERE entry_id > 10', 'DELETE FROM audit_seals WHERE entry_id > 10'),
    ['ends 13'],
  );

  // The whole end with it: no chain shows that, and a head that was kept does.
  const cut = (connection: Connection) =>
    connection.query(`
      DELETE FROM audit_log WHERE entry_id > 10; DELETE FROM audit_seals WHERE entry_id > 10;
      UPDATE audit_chain SET (head_id, head_hash) = (SELECT entry_id, hash FROM audit_seals WHERE entry_id = 10)`);
  assert.deepEqual(kindsOf(await tampered(database, cut)), []);
  assert.deepEqual(kindsOf(await tampered(database, cut, head)), ['ends 13']);
  // Made anew, from an entry on.
  const anew = async (connection: Connection) => {
    await connection.query(`
      UPDATE audit_log SET actor = 'x' WHERE entry_id = 12; DELETE FROM audit_seals WHERE entry_id > 10;
      UPDATE audit_chain SET (head_id, head_hash) = (SELECT entry_id, hash FROM audit_seals WHERE entry_id = 10)`);
    const own = { transaction: (work: (own: Connection) => Promise<unknown>) => work(connection) };
    await sealEntries(own as unknown as Database, 13);
  };
  assert.deepEqual(kindsOf(await tampered(database, anew)), []);
  assert.deepEqual(kindsOf(await tampered(database, anew, head)), ['ends 13']);
});

test('many breaks are counted, and the first are named', async (t) => {
  const { database } = await sealedChain(t, 130);
  const { breaks, broken } = await tampered(database, (connection) =>
    connection.query("UPDATE audit_log SET actor = 'x'"),
  );
  assert.deepEqual([broken, breaks.length, breaks[0]?.entryId], [130, 100, '1']);
});

test('numbers are given in order and committed in any: none is sealed while a smaller one may still come', async (t) => {
  const { database, connect, sql } = await createTestDatabase(t);
  const late = connect();
  let commit: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (commit = resolve));
  defer(t, () => commit());
  let added: () => void = () => undefined;
  const isAdded = new Promise<void>((resolve) => (added = resolve));
  const slow = late.transaction(async (connection) => {
    await someAccount(connection, { late: 1 });
    added();
    await held;
  });
  await isAdded;
  await account(database, 3);
  const settling = (await beginSettling(database, 0))!;
  assert.equal(settling.upTo, 4);
  assert.equal(await isSettled(database, settling), false);
  commit();
  await slow;
  await untilTrue(() => isSettled(database, settling), { what: 'settled' });
  await sealEntries(database, settling.upTo);
  const sealed = await sql<{ entry_id: number }>('SELECT entry_id FROM audit_seals ORDER BY entry_id');
  assert.deepEqual(
    sealed.map(({ entry_id }) => entry_id),
    [1, 2, 3, 4],
  );
  assert.equal(await beginSettling(database, 4), undefined);
});

test('writers and two sealers at once: all is sealed once, and verifies at any moment', async (t) => {
  const { database, connect } = await createTestDatabase(t);
  const writers = [connect(), connect(), connect()];
  let isWriting = true;
  const writing = Promise.all(
    writers.map(async (writer, index) => {
      for (let n = 0; n < 60; n += 1) {
        const outcome = writer.transaction(async (connection) => {
          await someAccount(connection, { index, n });
          // Smaller numbers come after larger ones, and some never.
          await connection.query('SELECT pg_sleep($1)', [(n % 5) / 500]);
          if (n % 11 === 10) throw new Error('rolled back');
        });
        await outcome.catch((error: Error) => assert.equal(error.message, 'rolled back'));
      }
    }),
  ).finally(() => (isWriting = false));
  const sealing = Promise.all(
    [connect(), connect()].map(async (sealer) => {
      while (isWriting) {
        const settling = await beginSettling(sealer, -1);
        if (settling !== undefined && (await isSettled(sealer, settling))) await sealEntries(sealer, settling.upTo);
      }
    }),
  );
  while (isWriting) assert.deepEqual((await verifyChain(database)).breaks, []);
  await Promise.all([writing, sealing]);
  await sealAll(database);
  const report = await verifyChain(database);
  assert.deepEqual([report.breaks, report.sealed, report.unsealed], [[], 165, 0]);
});

test('what is older than the retention leaves the beginning of the chain, which holds, and leaves an entry', async (t) => {
  const { database, sql, head } = await sealedChain(t, 20);
  assert.equal(await removeOldEntries(database, 365), 0);
  /** All of it anew, with the first ten entries made so long ago. */
  const age = (days: number) =>
    database.transaction(async (connection) => {
      await connection.query('SET LOCAL session_replication_role = replica');
      await connection.query(`UPDATE audit_log SET at = now() - $1 * interval '1 day' WHERE entry_id <= 11`, [days]);
      await connection.query('DELETE FROM audit_seals');
      await connection.query(`UPDATE audit_chain SET head_id = 0, head_hash = decode(repeat('00', 33), 'hex')`);
    });
  await age(365.5);
  await sealAll(database);
  assert.equal(await removeOldEntries(database, 365), 0, 'once a day');
  await age(400);
  const whole = await sealAll(database);
  assert.equal(await removeOldEntries(database, 365), 10);
  assert.equal(await removeOldEntries(database, 365), 0);
  const entries = await entriesOf(database);
  assert.deepEqual([entries[0]?.entryId, entries.length], [12, 11]);
  const last = entries.at(-1)!;
  assert.deepEqual([last.action, last.details['removed'], last.actor.kind], ['audit.removed', 10, 'system']);
  assert.equal((await verifyChain(database, whole)).broken, 0);
  await sealAll(database);
  const report = await verifyChain(database);
  assert.deepEqual([report.broken, report.sealed, report.begins.entryId], [0, 11, 11]);
  assert.deepEqual(kindsOf(await verifyChain(database, { ...head, entryId: 5 })), ['ends 5']);

  // What says of itself that it was the retention is found out.
  const shorter = (connection: Connection) =>
    connection.query(`
      UPDATE audit_chain SET (begins_after, begins_hash) = (SELECT entry_id, hash FROM audit_seals WHERE entry_id = 14);
      DELETE FROM audit_log WHERE entry_id <= 14; DELETE FROM audit_seals WHERE entry_id <= 14`);
  assert.deepEqual(kindsOf(await tampered(database, shorter)), ['ends 14']);
  // Who may only insert tells of a removal that was none: that is believed by nobody.
  for (const begins of ['5:00', headText(whole), 7]) {
    const entry = { actor: SOMEBODY, object: '', outcome: 'done', reason: '', details: { begins } } as const;
    await writeEntries(database, [{ ...entry, action: 'audit.removed' }]);
  }
  assert.equal((await verifyChain(database)).broken, 0);
  await sealAll(database);
  assert.equal((await verifyChain(database)).broken, 0);
  assert.deepEqual(kindsOf(await tampered(database, shorter)), ['ends 14']);
  // A clock that is ahead removes nothing: the last entry is dated by another one.
  assert.deepEqual(await sql('SELECT count(*) AS n FROM audit_seals'), [{ n: 14 }]);
});

test('rows are neither changed nor removed by who may only add them', async (t) => {
  const { sql } = await sealedChain(t, 3);
  const refused = /neither changed nor removed/;
  for (const statement of [
    "UPDATE audit_log SET actor = 'x'",
    'DELETE FROM audit_log',
    'DELETE FROM audit_seals',
    "UPDATE audit_seals SET hash = ''",
    'TRUNCATE audit_log',
    'TRUNCATE audit_seals',
  ])
    await assert.rejects(sql(statement), refused, statement);
  // Nor at a number, time or name of one's own.
  await sql(`
    INSERT INTO audit_log (entry_id, at, database_user, actor_kind, actor, credential, peer, action, object, outcome, reason, details, request_id, trace_id)
    VALUES (1, '2020-01-01', 'x', 'user', 'x', '', '', 'x', '', 'done', '', '{}', '', '')`);
  const [row] = await sql(
    "SELECT entry_id, at > now() - interval '1 hour' AS recent, database_user = session_user AS own FROM audit_log WHERE actor = 'x'",
  );
  assert.deepEqual(row, { entry_id: 4, recent: true, own: true });
});

test('the job seals what was settled by its last run, one instance at a time, and logs where the chain ends', async (t) => {
  const { database, connect } = await createTestDatabase(t);
  const metrics = new Metrics('test');
  defer(t, () => metrics.close());
  const lines: object[] = [];
  const logger = { ...silentLogger(), info: (line: object) => lines.push(line) } as unknown as Logger;
  const keeper = (own: Database) =>
    new AuditKeeper({ bulkDatabase: own, config: loadConfig({}), logger, metrics, jobs: new Jobs(logger, metrics) });
  const [first, second] = [keeper(database), keeper(connect())];
  const never = new AbortController().signal;
  await account(database, 3);
  await first.keep(never);
  await account(database, 2);
  assert.equal((await verifyChain(database)).sealed, 0);
  await first.keep(never);
  assert.equal((await verifyChain(database)).sealed, 3);
  // Another one begins anew, and seals nothing twice.
  await second.keep(never);
  await second.keep(never);
  const { sealed, broken, head } = await verifyChain(database);
  assert.deepEqual([sealed, broken], [5, 0]);
  await database.withAdvisoryLock(LOCKS.sealAudit, async () => {
    await account(database, 1);
    await second.keep(never);
    await second.keep(never);
  });
  assert.equal((await verifyChain(database)).sealed, 5);
  assert.deepEqual(lines.at(-1), { head: headText(head) });
});
