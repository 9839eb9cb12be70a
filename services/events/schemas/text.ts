import type { RecordSchema } from './form.js';

/** As wide as Prettier makes it, whose check reads the files too. */
const WIDTH = 120;

/** A schema as a file: what fits a line stands on one, but for named types, of which each attribute has its own. */
export function schemaText(schema: RecordSchema): string {
  return `${laidOut(schema, 0, 0)}\n`;
}

/** @param indent of the line that it begins on @param used what stands before it there */
function laidOut(value: unknown, indent: number, used: number): string {
  const line = onOneLine(value);
  if (typeof value !== 'object' || value === null) return line;
  if (!isNamedOrHoldsIt(value) && indent + used + line.length < WIDTH) return line;
  const inner = indent + 2;
  const rows = Array.isArray(value)
    ? value.map((each) => laidOut(each, inner, 0))
    : Object.entries(value).map(([key, each]) => {
        const before = `${JSON.stringify(key)}: `;
        return before + laidOut(each, inner, before.length);
      });
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${rows.map((row) => ' '.repeat(inner) + row).join(',\n')}\n${' '.repeat(indent)}${close}`;
}

function onOneLine(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(', ')}]`;
  const pairs = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${onOneLine(each)}`);
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
}

/** Prettier also breaks lists of several objects. */
function isNamedOrHoldsIt(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { type } = value as { type?: unknown };
  if (type === 'record' || type === 'enum') return true;
  const parts: unknown[] = Object.values(value);
  const isListOfObjects =
    Array.isArray(value) && parts.length > 1 && parts.every((part) => Object.keys(Object(part) as object).length > 1);
  return (isListOfObjects && parts.every((part) => typeof part === 'object')) || parts.some(isNamedOrHoldsIt);
}
