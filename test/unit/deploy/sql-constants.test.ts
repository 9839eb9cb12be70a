import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Linter, type Rule } from 'eslint';
import ts from 'typescript';
import tseslint from 'typescript-eslint';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';

const RULE = join(ROOT, 'deploy', 'tools', 'lint', 'sql-constants.mjs');

/** Of a program of this source alone: that of the repository takes 14 s to load. */
async function complaints(t: TestContext, lines: readonly string[]): Promise<string[]> {
  const { sqlConstants } = (await import(RULE)) as { sqlConstants: Rule.RuleModule };
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const file = join(folder.path, 'store.ts');
  writeFileSync(file, lines.join('\n'));
  const programs = [ts.createProgram([file], { strict: true, noLib: true, types: [] })];
  const messages = new Linter({ cwd: folder.path }).verify(
    lines.join('\n'),
    {
      files: ['**/*.ts'],
      languageOptions: { parser: tseslint.parser, parserOptions: { programs } },
      plugins: { sql: { rules: { constants: sqlConstants } } },
      rules: { 'sql/constants': 'error' },
    },
    file,
  );
  return messages.map(({ line, ruleId, message }) => `line ${line}${ruleId === null ? `: ${message}` : ''}`);
}

test('what comes from outside may not stand in a text of SQL, however it gets there', async (t) => {
  const source = [
    'export const byName = (name: string) => `SELECT 1 FROM users WHERE name = ${name}`;',
    "export const added = (name: string) => 'DELETE FROM users WHERE name = ' + name;",
    'export function local(name: string) { const where = `x = ${name}`; return `SELECT 1 WHERE ${where}`; }',
    'const helper = (where: string) => `SELECT 1 WHERE ${where}`;',
    'export const asked = (where: string) => helper(where);',
    'export const each = (names: string[]) => names.map((name) => `UPDATE users SET name = ${name}`);',
    'export function changed(name: string) { let where = "true"; where = name; return `SELECT 1 WHERE ${where}`; }',
    'export const of = (request: { name: string }) => `INSERT INTO users VALUES (${request.name})`;',
  ];
  const lines = await complaints(t, source);
  assert.deepEqual(
    lines,
    [1, 2, 3, 4, 6, 7, 8].map((line) => `line ${line}`),
  );
});

test('constants, numbers and words that a type lists may', async (t) => {
  const source = [
    "const TABLE = 'users';",
    'const where = (column: string) => `${column} = $1`;',
    "export const one = `SELECT 1 FROM ${TABLE} WHERE ${where('name')}`;",
    'export const limited = (limit: number) => `SELECT 1 FROM ${TABLE} LIMIT ${limit}`;',
    "export const listed = (table: 'users' | 'alerts') => `DELETE FROM ${table} WHERE id = $1`;",
    "const all = ['a', 'b'].map((name) => `SELECT ${name} FROM users`).join(' UNION ');",
    'export const both = () => `WITH x AS (${all}) SELECT 1 FROM x`;',
    'export const told = (name: string) => `the user ${name} is not here`;',
  ];
  assert.deepEqual(await complaints(t, source), []);
});
