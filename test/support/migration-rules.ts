// What a migration may do while the roles of the last release and of this one work on the tables.
import type { Knex } from 'knex';

export interface CheckedMigration {
  readonly name: string;
  readonly config?: { readonly transaction?: boolean };
  /** Why nothing of the last release uses what this one drops. */
  readonly contract?: string;
  up(knex: Knex): Promise<void>;
}

/** The statements of a migration as PostgreSQL gets them, without comments and line breaks. */
export async function statementsOf(migration: CheckedMigration): Promise<string[]> {
  const texts: string[] = [];
  const raw = (text: string) => {
    texts.push(text);
    // As if nothing were there: no index that was broken off, no row to fill.
    return Promise.resolve({ rows: [] });
  };
  await migration.up({ raw } as unknown as Knex);
  return texts.flatMap(splitStatements);
}

function splitStatements(text: string): string[] {
  const bodies: string[] = [];
  const plain = text
    // The body of a function is no statement of the migration.
    .replace(/\$(\w*)\$[^]*?\$\1\$/g, (body) => `$${bodies.push(body)}$`)
    .replace(/--.*$/gm, '');
  return plain
    .split(';')
    .map((statement) => statement.replace(/\s+/g, ' ').trim())
    .filter((statement) => statement !== '');
}

interface Rule {
  readonly when: RegExp;
  /** Beside `when`: what the statement must have as well, or lack. */
  readonly unless?: RegExp;
  readonly problem: string;
  readonly remedy: string;
}

const VOLATILE = String.raw`(random|gen_random_uuid|uuid_generate_\w+|clock_timestamp|statement_timestamp|timeofday|nextval)\s*\(`;

/** By what a statement would do to those who use the table meanwhile. */
const RULES: readonly Rule[] = [
  {
    when: /^CREATE (UNIQUE )?INDEX/i,
    unless: /^CREATE (UNIQUE )?INDEX CONCURRENTLY/i,
    problem: 'keeps every write of the table waiting until the index is built',
    remedy: 'buildIndex of store/migrations/steps.ts, in a migration with config = { transaction: false }',
  },
  {
    when: /^DROP INDEX/i,
    unless: /^DROP INDEX CONCURRENTLY/i,
    problem: 'waits for every statement on the table, and all others wait behind it',
    remedy: 'DROP INDEX CONCURRENTLY, in a migration with config = { transaction: false }',
  },
  {
    when: new RegExp(
      String.raw`^ALTER TABLE .*ADD (COLUMN )?.*\b(DEFAULT ${VOLATILE}|(small|big)?serial\b|GENERATED\b)`,
      'i',
    ),
    problem: 'writes every row of the table anew while it holds it',
    remedy: 'add the column without it, let this release write it, and fill the old rows with backfill()',
  },
  {
    when: /^ALTER TABLE .*ADD (COLUMN )?(?!CONSTRAINT)\S+ .*NOT NULL/i,
    unless: /DEFAULT/i,
    problem: 'fails on a table that has rows, and what the last release inserts is refused',
    remedy: 'a constant DEFAULT, or no NOT NULL',
  },
  {
    when: /^ALTER TABLE .*ALTER (COLUMN )?\S+ (SET DATA )?TYPE/i,
    problem: 'writes every row of the table anew while it holds it, and the last release may not read what it finds',
    remedy:
      'a new column, written by this release beside the old one, filled with backfill(); a later release drops the old one',
  },
  {
    when: /^ALTER TABLE .*ALTER (COLUMN )?\S+ SET NOT NULL/i,
    problem: 'reads all of the table while it holds it, and what the last release inserts may be refused',
    remedy:
      'ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, and VALIDATE CONSTRAINT in the migration after it, once no release leaves it null',
  },
  {
    when: /^ALTER TABLE .*ADD (CONSTRAINT \S+ )?(CHECK|FOREIGN KEY|REFERENCES)/i,
    unless: /NOT VALID/i,
    problem: 'reads all of the table while it holds it',
    remedy: 'NOT VALID, and VALIDATE CONSTRAINT in the migration after it',
  },
  {
    when: /^ALTER TABLE .*ADD (CONSTRAINT \S+ )?(UNIQUE|PRIMARY KEY|EXCLUDE)/i,
    unless: /USING INDEX/i,
    problem: 'builds an index while it holds the table',
    remedy: 'buildIndex(…, { unique: true }), and ADD CONSTRAINT … USING INDEX in the migration after it',
  },
  {
    when: /^ALTER (TABLE|SEQUENCE|INDEX) .*\bRENAME\b/i,
    problem: 'takes away a name that the last release uses',
    remedy: 'a new column or table beside the old one; a later release drops the old one',
  },
  {
    when: /^(TRUNCATE|CLUSTER|VACUUM FULL|REINDEX|LOCK)\b/i,
    problem: 'holds all of the table against everybody',
    remedy: 'backfill() changes rows in batches, buildIndex builds an index anew',
  },
  {
    when: /^(UPDATE|DELETE FROM|WITH .*(UPDATE|DELETE)) /i,
    problem: 'changes all rows in one transaction, and whoever wants one of them waits for its end',
    remedy: 'backfill(), in a migration with config = { transaction: false }',
  },
];

const DROPS = /^(DROP (TABLE|SEQUENCE|VIEW|FUNCTION)|ALTER TABLE .*\bDROP\b)/i;
const NEEDS_NO_TRANSACTION = /\bCONCURRENTLY\b/i;
const REPEATABLE = /CONCURRENTLY|^SELECT |IF (NOT )?EXISTS|^WITH page AS/i;

/** What is wrong with a migration: each a sentence with what would be right. */
export async function problemsOf(migration: CheckedMigration): Promise<string[]> {
  const { name, config, contract } = migration;
  const statements = await statementsOf(migration);
  const made = new Set(
    statements.flatMap((each) => /^CREATE TABLE (?:IF NOT EXISTS )?([\w"]+)/i.exec(each)?.[1] ?? []),
  );
  const problems: string[] = [];
  const changed = new Set<string>();
  for (const statement of statements) {
    const table = tableOf(statement);
    const isNew = table !== undefined && made.has(table);
    const say = (problem: string, remedy: string) =>
      problems.push(`${name}: "${statement.slice(0, 80)}" ${problem}; right would be: ${remedy}`);
    if (!/^SELECT /i.test(statement) && !isNew && !isBatch(statement))
      for (const { when, unless, problem, remedy } of RULES)
        if (when.test(statement) && unless?.test(statement) !== true) say(problem, remedy);
    if (DROPS.test(statement) && contract === undefined)
      say(
        'drops what the last release may use',
        'a release later, with `export const contract` saying why nothing of the last release uses it',
      );
    if (config?.transaction === false && !REPEATABLE.test(statement))
      say('cannot be repeated when the migration is broken off', 'IF NOT EXISTS, or a migration of its own');
    if (config?.transaction !== false && (NEEDS_NO_TRANSACTION.test(statement) || isBatch(statement)))
      say('does not work in a transaction', 'export const config = { transaction: false }');
    if (/^ALTER TABLE/i.test(statement) && table !== undefined && !isNew) changed.add(table);
  }
  if (changed.size > 1 && config?.transaction !== false)
    problems.push(
      `${name} changes ${[...changed].join(' and ')} in one transaction, which holds the first while it waits for the next; ` +
        'right would be: a migration for each',
    );
  return problems;
}

/** A batch of backfill(). */
const isBatch = (statement: string) => statement.startsWith('WITH page AS');

function tableOf(statement: string): string | undefined {
  return (/^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?([\w"]+)/i.exec(statement) ??
    /^CREATE (?:UNIQUE )?INDEX .*? ON (?:ONLY )?([\w"]+)/i.exec(statement) ??
    /^(?:UPDATE|DELETE FROM|TRUNCATE(?: TABLE)?) (?:ONLY )?([\w"]+)/i.exec(statement))?.[1];
}
