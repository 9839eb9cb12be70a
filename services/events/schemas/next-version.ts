import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVersions, SCHEMAS } from './files.js';
import { type EnumSchema, type FieldSchema, type RecordSchema, walk } from './form.js';
import { WRITE_VERSIONS } from './meaning.js';
import { schemaText } from './text.js';

/** What is to differ from the newest version. */
export interface Changes {
  readonly addFields: readonly FieldSchema[];
  /** Of the record itself. */
  readonly removeFields: readonly string[];
  readonly addSymbols: readonly { readonly enum: string; readonly symbol: string }[];
  readonly changesMeaning?: { readonly of: string; readonly toldBy: string };
}

/** What a first version begins with. */
export interface FirstVersion {
  readonly record: string;
  readonly doc: string;
}

/** The changes do not fit the newest version. */
export class UnfitChanges extends Error {}

const NAMESPACE = 'ssom.alert.events';

/**
 * Writes the next version of a folder: the newest one with the changes, or a first one.
 * @returns the new file, relative to the folder of all schemas
 * @throws UnfitChanges, with nothing written
 */
export function writeNextVersion(folder: string, changes: Changes, first?: FirstVersion, schemas = SCHEMAS): string {
  const versions = existsSync(join(schemas, folder)) ? readVersions(folder, schemas) : [];
  const newest = versions.at(-1);
  if (newest === undefined && first === undefined)
    throw new UnfitChanges(`there is no ${folder} yet: give --record NAME and --doc TEXT for its first version`);
  if (newest !== undefined && first !== undefined)
    throw new UnfitChanges(`${folder} has ${newest.file.split('/')[1]}: --record and --doc are for a first version`);
  const version = (newest?.version ?? 0) + 1;
  const file = `${folder}/v${version}.avsc`;
  const base: RecordSchema = newest?.record ?? {
    type: 'record',
    name: first!.record,
    namespace: NAMESPACE,
    doc: first!.doc,
    fields: [],
  };
  const next = changedRecord(base, changes);
  mkdirSync(join(schemas, folder), { recursive: true });
  // Never over a file that somebody made meanwhile.
  writeFileSync(join(schemas, file), schemaText(next), { flag: 'wx' });
  return file;
}

function changedRecord(base: RecordSchema, changes: Changes): RecordSchema {
  const { name, namespace, doc, fields: _, changesMeaning: __, ...rest } = structuredClone(base);
  const unknown = changes.removeFields.filter((gone) => !base.fields.some((field) => field.name === gone));
  if (unknown.length > 0) throw new UnfitChanges(`${name} has no field ${unknown.join(', ')}`);
  const kept = structuredClone(base.fields).filter((field) => !changes.removeFields.includes(field.name));
  const record = {
    ...rest,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(doc === undefined ? {} : { doc }),
    ...(changes.changesMeaning === undefined
      ? {}
      : { changesMeaning: { ...changes.changesMeaning, heldBy: WRITE_VERSIONS } }),
    fields: [...kept, ...changes.addFields],
  };
  for (const { enum: wanted, symbol } of changes.addSymbols) addSymbol(record, wanted, symbol);
  return record;
}

function addSymbol(record: RecordSchema, wanted: string, symbol: string): void {
  const found = walk(record).enums.find((each) => each.enum.name === wanted)?.enum;
  if (found === undefined) throw new UnfitChanges(`${record.name} has no enum ${wanted}`);
  if (found.symbols.includes(symbol)) throw new UnfitChanges(`${wanted} has ${symbol} already`);
  (found as { -readonly [K in keyof EnumSchema]: EnumSchema[K] }).symbols = [...found.symbols, symbol];
}
