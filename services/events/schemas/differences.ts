import { type EnumSchema, type FieldSchema, hasDefault, type RecordSchema, typeInWords, walk } from './form.js';

/** One difference between two versions. */
export interface Difference {
  readonly field: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly words: string;
}

/** What differs, in words, from the earlier version to the later one; nothing where they say the same. */
export function differences(earlier: RecordSchema, later: RecordSchema): Difference[] {
  const [before, now] = [contentsOf(earlier), contentsOf(later)];
  const found: Difference[] = [];
  if (earlier.doc !== later.doc)
    found.push(changed('(record)', `doc: ${quoted(earlier.doc)} became ${quoted(later.doc)}`));
  for (const [field, is] of now.fields) {
    const was = before.fields.get(field);
    if (was === undefined) found.push({ field, change: 'added', words: describe(is) });
    else found.push(...changesOf(field, was, is));
  }
  for (const [field, was] of before.fields)
    if (!now.fields.has(field)) found.push({ field, change: 'removed', words: describe(was) });
  for (const [path, is] of now.enums) {
    const was = before.enums.get(path);
    if (was !== undefined) found.push(...symbolsOf(path, was, is));
  }
  if (
    later.changesMeaning !== undefined &&
    JSON.stringify(later.changesMeaning) !== JSON.stringify(earlier.changesMeaning)
  )
    found.push(changed('(record)', `changes a meaning: ${JSON.stringify(later.changesMeaning)}`));
  return found;
}

const changed = (field: string, words: string): Difference => ({ field, change: 'changed', words });
const quoted = (value: unknown) => (value === undefined ? 'none' : JSON.stringify(value));

function contentsOf(record: RecordSchema) {
  const { fields, enums } = walk(record);
  return {
    fields: new Map(fields.map(({ path, field }) => [path, field])),
    enums: new Map(enums.map((each) => [each.path, each.enum])),
  };
}

function describe(field: FieldSchema): string {
  const byDefault = hasDefault(field) ? `by default ${quoted(field.default)}` : 'without a default';
  return `${typeInWords(field.type)}, ${byDefault}${field.doc === undefined ? '' : `: ${field.doc}`}`;
}

function changesOf(path: string, was: FieldSchema, is: FieldSchema): Difference[] {
  const [oldType, type] = [typeInWords(was.type), typeInWords(is.type)];
  const parts = [
    ...(oldType === type ? [] : [`type: ${oldType} became ${type}`]),
    ...(['default', 'doc', 'aliases'] as const)
      .filter((key) => JSON.stringify(was[key]) !== JSON.stringify(is[key]))
      .map((key) => `${key}: ${quoted(was[key])} became ${quoted(is[key])}`),
  ];
  return parts.map((words) => changed(path, words));
}

function symbolsOf(path: string, was: EnumSchema, is: EnumSchema): Difference[] {
  const added = is.symbols.filter((symbol) => !was.symbols.includes(symbol));
  const removed = was.symbols.filter((symbol) => !is.symbols.includes(symbol));
  return [
    ...(added.length === 0 ? [] : [changed(path, `new symbols: ${added.join(', ')}; ${is.default} to older readers`)]),
    ...(removed.length === 0 ? [] : [changed(path, `without the symbols: ${removed.join(', ')}`)]),
    ...(was.default === is.default ? [] : [changed(path, `default symbol: ${was.default} became ${is.default}`)]),
  ];
}
