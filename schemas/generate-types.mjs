// Makes the types of the records in Kafka from the newest version of each subject; proto/generate-types.mjs calls it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A field that an older version lacks is there for a reader because of its default, so its type is that of its values.
 * Without a default it may be missing, and so is its type: whoever reads it as if it were there does not compile.
 *
 * @typedef {{ name: string, type: unknown, doc?: string, default?: unknown }} Field
 * @typedef {{ version: number, schema: any, records: Map<string, Field[]> }} Version
 */

const PRIMITIVES = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'Buffer',
};

/** @param {string} folder the folder of all schemas @returns {string} TypeScript */
export function eventTypes(folder) {
  /** @type {Map<string, string>} declarations by name, in the order in which they are met */
  const declared = new Map();
  const subjects = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of subjects.sort((a, b) => (a.name < b.name ? -1 : 1))) declareSubject(folder, name, declared);
  return `/** The records in Kafka, as whoever reads the newest versions in schemas/ has them. Made by \`npm run generate\`. */\n\n${[...declared.values()].join('\n')}`;
}

/** @param {string} folder @param {string} subject @param {Map<string, string>} declared */
function declareSubject(folder, subject, declared) {
  const versions = readdirSync(join(folder, subject))
    .map((file) => ({ file, version: Number(/^v(\d+)\.avsc$/.exec(file)?.[1]) }))
    .filter(({ version }) => version > 0)
    .sort((a, b) => a.version - b.version)
    .map(({ file, version }) => {
      const schema = JSON.parse(readFileSync(join(folder, subject, file), 'utf8'));
      /** @type {Version} */
      const read = { version, schema, records: new Map() };
      collectRecords(schema, read.records);
      return read;
    });
  const newest = versions.at(-1);
  if (newest === undefined) return;
  const where = `schemas/${subject}/v${newest.version}.avsc`;
  const declare = (/** @type {string} */ name, /** @type {string} */ text) => {
    const known = declared.get(name);
    if (known !== undefined && known !== text) throw new Error(`${where}: ${name} is another type in another subject`);
    declared.set(name, text);
  };

  /** @param {unknown} type @returns {string} */
  const typeOf = (type) => {
    if (Array.isArray(type)) {
      if (type.length !== 2 || type[0] !== 'null') throw new Error(`${where}: a union must be ["null", T]`);
      return `${typeOf(type[1])} | null`;
    }
    if (typeof type === 'string') return PRIMITIVES[/** @type {keyof typeof PRIMITIVES} */ (type)] ?? baseName(type);
    const { type: kind, ...rest } = /** @type {any} */ (type);
    if (kind === 'record') return declareRecord(rest);
    if (kind === 'array') return `readonly ${bracketed(typeOf(rest.items))}[]`;
    if (kind === 'map') return `Readonly<Record<string, ${typeOf(rest.values)}>>`;
    if (kind === 'fixed') return 'Buffer';
    if (kind !== 'enum') return typeOf(kind);
    const name = baseName(rest.name);
    const symbols = rest.symbols.map((/** @type {string} */ symbol) => `'${symbol}'`).join(' | ');
    declare(
      name,
      `${comment(rest.doc ?? '', `A symbol that a reader does not know is ${rest.default} to it.`)}export type ${name} = ${symbols};\n`,
    );
    return name;
  };

  /** @param {any} record @param {string} [from] @returns {string} */
  const declareRecord = (record, from) => {
    const name = baseName(record.name);
    const held = versions.filter(({ records }) => records.has(name));
    const fields = record.fields.map((/** @type {Field} */ field) => {
      const lacking = held.filter(({ records }) => !records.get(name)?.some((other) => other.name === field.name));
      const since = lacking.length === 0 ? '' : sinceWhen(field, lacking.at(-1)?.version ?? 0);
      const isMissing = lacking.length > 0 && !('default' in field);
      return `${comment(field.doc ?? '', since, '  ')}  readonly ${field.name}${isMissing ? '?' : ''}: ${typeOf(field.type)};\n`;
    });
    declare(name, `${comment(record.doc ?? '', from ?? '')}export interface ${name} {\n${fields.join('')}}\n`);
    return name;
  };

  declareRecord(newest.schema, `From ${where}.`);
}

/** @param {Field} field @param {number} last the last version without it */
function sinceWhen(field, last) {
  if (!('default' in field)) return `Since v${last + 1}; records of before do not have it.`;
  return `Since v${last + 1}; ${JSON.stringify(field.default)} in records of before.`;
}

/** @param {any} type @param {Map<string, Field[]>} records every record in it, by name */
function collectRecords(type, records) {
  if (Array.isArray(type)) type.forEach((branch) => collectRecords(branch, records));
  if (typeof type !== 'object' || type === null || Array.isArray(type)) return;
  if (type.type === 'record') records.set(baseName(type.name), type.fields);
  for (const inner of [
    type.type,
    type.items,
    type.values,
    ...(type.fields ?? []).map((/** @type {Field} */ field) => field.type),
  ])
    collectRecords(inner, records);
}

const baseName = (/** @type {string} */ name) => name.slice(name.lastIndexOf('.') + 1);
const bracketed = (/** @type {string} */ type) => (type.includes(' ') ? `(${type})` : type);

/** @param {string} doc @param {string} more @param {string} [indent] */
function comment(doc, more, indent = '') {
  const text = [doc.trim(), more]
    .filter((part) => part !== '')
    .join(' ')
    .replaceAll('*/', '* /');
  return text === '' ? '' : `${indent}/** ${text} */\n`;
}
