/** Schemas as JSON: what stands where in them. */

export interface FieldSchema {
  readonly name: string;
  readonly type: unknown;
  readonly default?: unknown;
  readonly doc?: string;
  readonly aliases?: readonly string[];
}

export interface RecordSchema {
  readonly type: 'record';
  readonly name: string;
  readonly namespace?: string;
  readonly doc?: string;
  readonly fields: readonly FieldSchema[];
  /** Ours; Avro keeps attributes that it does not know. */
  readonly changesMeaning?: unknown;
}

export interface EnumSchema {
  readonly type: 'enum';
  readonly name: string;
  readonly symbols: readonly string[];
  readonly default?: string;
}

/** Levels of JSON: a field of a record in a list of a record stands at 8. */
export const DEPTH_MAX = 24;

/** How deep a value is nested, or one more than DEPTH_MAX. */
export function nestingOf(value: unknown): number {
  let level: unknown[] = [value];
  let depth = 0;
  while (level.length > 0 && depth <= DEPTH_MAX) {
    level = level.flatMap((each) =>
      typeof each === 'object' && each !== null ? (Object.values(each) as unknown[]) : [],
    );
    depth += 1;
  }
  return depth;
}

/** A field, and where it stands: `changes[].alertId`, `namedRecipients.userIds`, `labels{}.x`. */
export interface PlacedField {
  readonly path: string;
  /** The record's name. */
  readonly owner: string;
  readonly field: FieldSchema;
}

export interface PlacedEnum {
  readonly path: string;
  readonly enum: EnumSchema;
}

export interface PlacedName {
  readonly path: string;
  readonly name: string;
}

export interface Contents {
  readonly fields: PlacedField[];
  readonly enums: PlacedEnum[];
  /** Types below the record that have a namespace of their own. */
  readonly namespaced: PlacedName[];
  /** The first place at which a record holds itself. */
  recursion: PlacedName | undefined;
}

/** Goes through a schema; a type that is only named is not gone through again. */
export function walk(record: RecordSchema): Contents {
  const contents: Contents = { fields: [], enums: [], namespaced: [], recursion: undefined };
  walkRecord(record, '', [], contents);
  return contents;
}

const baseName = (name: string) => name.slice(name.lastIndexOf('.') + 1);

function walkRecord(record: RecordSchema, path: string, within: readonly string[], contents: Contents): void {
  const inside = [...within, baseName(record.name)];
  for (const field of record.fields) {
    const at = path === '' ? field.name : `${path}.${field.name}`;
    contents.fields.push({ path: at, owner: record.name, field });
    walkType(field.type, at, inside, contents);
  }
}

function walkType(type: unknown, path: string, within: readonly string[], contents: Contents): void {
  if (typeof type === 'string') {
    if (within.includes(baseName(type))) contents.recursion ??= { path, name: baseName(type) };
  } else if (Array.isArray(type)) {
    for (const branch of type) walkType(branch, path, within, contents);
  } else if (typeof type === 'object' && type !== null) {
    const { type: kind, items, values, namespace, name } = type as Record<string, unknown>;
    if (typeof namespace === 'string') contents.namespaced.push({ path, name: String(name) });
    if (kind === 'record') walkRecord(type as RecordSchema, path, within, contents);
    else if (kind === 'enum') contents.enums.push({ path, enum: type as EnumSchema });
    else if (kind === 'array') walkType(items, `${path}[]`, within, contents);
    else if (kind === 'map') walkType(values, `${path}{}`, within, contents);
    else walkType(kind, path, within, contents);
  }
}

/** A type in words, by which two are compared: `long`, `list of InboxChange`, `null or NamedRecipients`. */
export function typeInWords(type: unknown): string {
  if (typeof type === 'string') return baseName(type);
  if (Array.isArray(type)) return type.map(typeInWords).join(' or ');
  const { type: kind, items, values, name } = type as Record<string, unknown>;
  if (kind === 'array') return `list of ${typeInWords(items)}`;
  if (kind === 'map') return `map of ${typeInWords(values)}`;
  return typeof name === 'string' ? baseName(name) : typeInWords(kind);
}

export const hasDefault = (field: FieldSchema): boolean => Object.hasOwn(field, 'default');
