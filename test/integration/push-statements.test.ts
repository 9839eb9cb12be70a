import assert from 'node:assert/strict';
import test from 'node:test';
import type { Database } from '../../services/lib/postgres.js';
import { pruneDevices, registerDevice } from '../../services/store/devices.js';
import { planPushes } from '../../services/store/push-plans.js';
import { pushesOf } from '../../services/store/push-records.js';
import { removePushes } from '../../services/store/retention.js';
import { claimDismissals, claimPushes, finishPushes, firstShown } from '../../services/store/pushes.js';
import { createTestDatabase } from '../support/postgres.js';

interface Statement {
  readonly text: string;
  readonly values?: unknown[];
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: PlanNode[];
}

type Query = (statement: string | Statement, values?: unknown[]) => Promise<unknown>;

/** A database that explains each statement before it runs it: as it is planned once for all values. */
function explaining(database: Database, plans: { text: string; plan: PlanNode }[]): Database {
  const watch =
    (query: Query): Query =>
    async (statement, values = []) => {
      const { text, values: given = values } = typeof statement === 'string' ? { text: statement } : statement;
      const nulls = given.length === 0 ? '' : `(${given.map(() => 'NULL').join(', ')})`;
      await database.withConnection(async (connection) => {
        await connection.query(`PREPARE explained AS ${text}`);
        const { rows } = await connection.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
          `EXPLAIN (FORMAT JSON) EXECUTE explained${nulls}`,
        );
        plans.push({ text, plan: rows[0]!['QUERY PLAN'][0]!.Plan });
        await connection.query('DEALLOCATE explained');
      });
      return query(statement, values);
    };
  const queryOf = (target: object) => watch((target as { query: Query }).query.bind(target));
  return {
    query: queryOf(database),
    transaction: (work: (connection: object) => Promise<unknown>) =>
      database.transaction((connection) => work({ query: queryOf(connection) })),
  } as unknown as Database;
}

function* nodesOf(plan: PlanNode): Generator<PlanNode> {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodesOf(child);
}

test('every statement of push looks rows up by an index, with the one plan that is made for all values', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  await sql(`INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
             SELECT 'u' || n, '', 'OPERATION', '', true, 1 FROM generate_series(1, 5000) n`);
  await sql(`INSERT INTO inboxes (user_id, last_seq) SELECT 'u' || n, 40 FROM generate_series(1, 5000) n`);
  await sql(`INSERT INTO push_cursors SELECT 'u' || n, 0 FROM generate_series(1, 5000) n`);
  await sql(`INSERT INTO devices SELECT n, 'u' || n, 't' || n, sha256(('t' || n)::bytea), 1, '', '', now(), now()
             FROM generate_series(1, 5000) n`);
  await sql(`SELECT setval('device_ids', 5000)`);
  await sql(`INSERT INTO push_deliveries (device_id, alert_id, user_id, state, created_at, expires_at, due_at)
             SELECT n % 5000 + 1, n, 'u' || n % 5000 + 1, 'sent', now(), now(), CASE WHEN n <= 20 THEN now() END
             FROM generate_series(1, 100000) n`);
  await sql('ANALYZE');
  const plans: { text: string; plan: PlanNode }[] = [];
  const watched = explaining(database, plans);

  await planPushes(watched, ['u1', 'u2'], { graceMs: 0, ttlMs: [1000, 1000, 1000, 1000] });
  const claims = await claimPushes(watched, 20, 60_000);
  assert.equal(claims.length, 20);
  await finishPushes(
    watched,
    claims.map((claim) => ({ claim, state: 'sent' })),
  );
  await claimDismissals(watched, [1, 2], 60_000);
  await firstShown(watched, [1, 2]);
  await pushesOf(watched, 17, 100);
  assert.equal(await removePushes(watched, [50, 51, 52], 2), 2);
  assert.equal(await removePushes(watched, [50, 51, 52], 2), 1);
  await pruneDevices(watched, 1, 100);
  await registerDevice(watched, { userId: 'u1', token: 'new', platform: 'ANDROID', appVersion: '', locale: '' });

  for (const { text, plan } of plans) {
    for (const node of nodesOf(plan)) {
      const table = node['Relation Name'];
      const scansAll =
        node['Node Type'] === 'Seq Scan' ||
        (/Index.* Scan/.test(node['Node Type']) && node['Index Cond'] === undefined);
      // The service's state is one row; presence holds who is there now.
      const small = table === 'service_state' || table === 'stream_presence' || table === 'gateway_leases';
      assert.ok(!scansAll || small, `${node['Node Type']} of ${table} in ${text}`);
    }
  }
  assert.ok(plans.length >= 10);
});
