import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import type { Database } from '../../services/lib/postgres.js';

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

/** A statement, and how it is planned. */
export interface Explained {
  readonly text: string;
  readonly plan: PlanNode;
}

/** A database that explains each statement before it runs it: as it is planned once for all values. */
export function explaining(database: Database, plans: Explained[]): Database {
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
  const query = queryOf(database);
  return {
    query,
    builder: database.builder,
    build: async (builder: Knex.QueryBuilder) => {
      const { sql, bindings } = builder.toSQL().toNative();
      return ((await query({ text: sql, values: [...bindings] })) as { rows: unknown[] }).rows;
    },
    transaction: (work: (connection: object) => Promise<unknown>) =>
      database.transaction((connection) => work({ query: queryOf(connection) })),
  } as unknown as Database;
}

function* nodesOf(plan: PlanNode): Generator<PlanNode> {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodesOf(child);
}

/** Fails if one of the statements reads a table from end to end that may be large. */
export function assertLooksUp(plans: readonly Explained[]): void {
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
}
