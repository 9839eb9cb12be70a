/** Reads JSON that people wrote, by hand and field by field, so that every problem is named by its path. */

export type Json = Readonly<Record<string, unknown>>;

/** Problems found so far, each beginning with the path of its field. */
export class Problems {
  readonly list: string[] = [];

  add(path: string, problem: string): void {
    this.list.push(`${path} ${problem}`);
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value's type in the words of JSON. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * An object's fields under their camelCase names; snake_case is taken too, and null is as good as absent (both as
 * proto3 JSON has it). Unknown fields, and fields given in both ways, are problems.
 */
export function readFields<const Name extends string>(
  object: Json,
  names: readonly Name[],
  path: string,
  problems: Problems,
): Partial<Record<Name, unknown>> {
  const bySpelling = new Map<string, Name>(
    names.flatMap((name) => [[name, name] as const, [toSnake(name), name] as const]),
  );
  const fields: Partial<Record<Name, unknown>> = {};
  for (const [key, value] of Object.entries(object)) {
    const name = bySpelling.get(key);
    if (name === undefined) problems.add(join(path, key), `is not a field; there are ${names.join(', ')}`);
    else if (fields[name] !== undefined) problems.add(join(path, name), 'is given twice');
    else if (value !== null) fields[name] = value;
  }
  return fields;
}

export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

export function readText(value: unknown, path: string, problems: Problems): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  problems.add(path, `must be a string, not ${typeName(value)}`);
  return undefined;
}

export function readList(value: unknown, path: string, problems: Problems): readonly unknown[] | undefined {
  if (value === undefined || Array.isArray(value)) return value;
  problems.add(path, `must be an array, not ${typeName(value)}`);
  return undefined;
}

/** An enum's value by its short or full name, in any case. The result is the full name. */
export function readEnum<P extends string, V extends string>(
  value: unknown,
  prefix: P,
  values: readonly V[],
  path: string,
  problems: Problems,
): `${P}_${V}` | undefined {
  if (value === undefined) return undefined;
  const found = typeof value === 'string' ? findEnum(value, prefix, values) : undefined;
  if (found === undefined) problems.add(path, `must be one of ${values.join(', ')}, not ${JSON.stringify(value)}`);
  return found;
}

export function findEnum<P extends string, V extends string>(
  text: string,
  prefix: P,
  values: readonly V[],
): `${P}_${V}` | undefined {
  const name = text.toUpperCase();
  const short = name.startsWith(`${prefix}_`) ? name.slice(prefix.length + 1) : name;
  const value = values.find((candidate) => candidate === short);
  return value === undefined ? undefined : `${prefix}_${value}`;
}
