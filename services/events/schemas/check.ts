import { problemsOfEvolution } from './evolution.js';
import { readSchemas, type SchemaFolder, type SchemaProblem, SCHEMAS } from './files.js';
import { problemsOfForm, problemsOfSpelling, problemsOfWords } from './form-rules.js';

/**
 * Holds every version of every subject against the rules, and every pair in both directions against Avro's resolver.
 * Asks nobody; takes some 50 ms for ten versions.
 */
export function checkSchemas(schemas = SCHEMAS): { folders: SchemaFolder[]; problems: SchemaProblem[] } {
  const { folders, problems } = readSchemas(schemas);
  const found = folders.flatMap((folder) => [
    ...folder.versions.flatMap(problemsOfForm),
    ...folder.versions.slice(-1).flatMap(problemsOfWords),
    ...problemsOfEvolution(folder),
  ]);
  return {
    folders,
    problems: [...problems, ...found, ...problemsOfNamespaces(folders), ...problemsOfSpelling(folders)],
  };
}

function problemsOfNamespaces(folders: readonly SchemaFolder[]): SchemaProblem[] {
  const firsts = folders.flatMap(({ versions }) => versions.slice(0, 1));
  const known = firsts.find(({ record }) => record.namespace !== undefined);
  return firsts
    .filter(({ record }) => record.namespace !== known?.record.namespace)
    .map(({ file, record }) => ({
      file,
      reason: `the namespace is ${record.namespace ?? 'missing'}, and that of the other subjects ${known?.record.namespace}`,
      remedy: `write "namespace": "${known?.record.namespace}"`,
    }));
}

/** Schemas that may not be registered. */
export class SchemasRefused extends Error {
  constructor(readonly problems: readonly SchemaProblem[]) {
    const lines = problems.flatMap(describeProblem).map((line) => `  ${line}`);
    super(`nothing was registered:\n${lines.join('\n')}`);
    this.name = 'SchemasRefused';
  }
}

/** Two lines: what is wrong where, and what would be right. */
export function describeProblem({ file, field, reason, remedy }: SchemaProblem): string[] {
  return [`${file}: ${field === undefined ? '' : `${field} `}${reason}`, `  ${remedy}`];
}
