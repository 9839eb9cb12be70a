import { appended, type Line } from './lines.js';

/**
 * Opened and not closed so far, behind a part of a JSON text; undefined: it is no JSON, as a string ended with its
 * line.
 */
function openBrackets(text: string, open: number): number | undefined {
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (char === '"') inString = !inString;
    else if (inString) index += char === '\\' ? 1 : 0;
    else if (char === '{' || char === '[') open += 1;
    else if (char === '}' || char === ']') open -= 1;
  }
  return inString ? undefined : open;
}

/**
 * The objects of JSON lines, one a line or over several. A brace in the first column begins an object of its own, so
 * one that was cut off takes no other with it. Whatever else there is comes line by line.
 * @param longest in bytes; an object that is longer is named as such a line is
 */
export async function* joinObjects(lines: AsyncIterable<Line>, longest: number): AsyncGenerator<Line, void, undefined> {
  let begun: { number: number; last: number; text: string; bytes: number; open: number } | undefined;
  const tooLong = ({ number, bytes }: { number: number; bytes: number }): Line => ({
    number,
    bytes,
    problem: `begins an object that is longer than ${longest.toLocaleString('en')} bytes`,
  });
  for await (const line of lines) {
    const { number, text, bytes } = line;
    if (begun !== undefined && (text === undefined || text.startsWith('{'))) {
      yield begun.bytes > longest ? tooLong(begun) : begun;
      begun = undefined;
    }
    if (text === undefined) {
      yield line;
      continue;
    }
    if (begun === undefined) {
      const open = text.trimStart().startsWith('{') ? openBrackets(text, 0) : 0;
      if (open === undefined || open <= 0) yield line;
      else begun = { number, last: number, text, bytes, open };
      continue;
    }
    const open = openBrackets(text, begun.open);
    begun.bytes += bytes + 1;
    // Of what is too long its end is still looked for.
    begun.text = begun.bytes > longest ? '' : appended(begun.text, begun.last, line);
    begun.last = number;
    begun.open = open ?? 0;
    if (begun.open > 0) continue;
    yield begun.bytes > longest ? tooLong(begun) : begun;
    begun = undefined;
  }
  if (begun !== undefined) yield begun.bytes > longest ? tooLong(begun) : begun;
}
