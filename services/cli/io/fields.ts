/** Reads JSON that people wrote, by hand and field by field, so that every problem is named by its path. */

export type Json = Readonly<Record<string, unknown>>;

/** Of unknown fields. */
const UNKNOWN_SHOWN = 10;

/** Problems found so far, each beginning with the path of its field. */
export class Problems {
  readonly list: string[] = [];

  /** @param listed lists of fields that were told before: a file of a thousand lines tells each once */
  constructor(private readonly listed = new Set<string>()) {}

  add(path: string, problem: string): void {
    this.list.push(`${path} ${problem}`);
  }

  addUnknown(paths: readonly string[], names: readonly string[]): void {
    const more = paths.length - UNKNOWN_SHOWN;
    const shown = paths.slice(0, UNKNOWN_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
    this.add(shown, (paths.length === 1 ? 'is not a field' : 'are not fields') + this.once('there are', names));
  }

  /** `; there are a, b, c`, or nothing if that was told before. */
  once(what: string, names: readonly string[]): string {
    const list = names.join(', ');
    if (this.listed.has(list)) return '';
    this.listed.add(list);
    return `; ${what} ${list}`;
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
 * proto3 JSON has it). Unknown fields are one problem, and each that is given in both ways.
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
  const unknown = Object.keys(object).filter((key) => !bySpelling.has(key));
  if (unknown.length > 0)
    problems.addUnknown(
      unknown.map((key) => join(path, key)),
      names,
    );
  const fields: Partial<Record<Name, unknown>> = {};
  for (const [key, value] of Object.entries(object)) {
    const name = bySpelling.get(key);
    if (name === undefined) continue;
    if (fields[name] !== undefined) problems.add(join(path, name), 'is given twice');
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
