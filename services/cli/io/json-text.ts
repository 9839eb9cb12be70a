/** A JSON text, or where and how it breaks: `line 25, column 2: Expected ',' or ']' after array element`. */
export type JsonText = { readonly value: unknown } | { readonly problem: string };

/**
 * JSON.parse, which also refuses an object that has a field twice: the last one would count, in silence.
 * @param firstLine of the text, in its file
 */
export function parseJson(text: string, firstLine = 1): JsonText {
  try {
    const value: unknown = JSON.parse(text);
    const repeated = repeatedKey(text);
    return repeated === undefined ? { value } : { problem: `has ${JSON.stringify(repeated)} twice in one object` };
  } catch (error) {
    return { problem: `is not JSON: ${placed((error as Error).message, text, firstLine)}` };
  }
}

/** Node names a position, or, at the end and in short texts, none. */
function placed(message: string, text: string, firstLine: number): string {
  const position = / in JSON at position (\d+).*$/s.exec(message);
  const end = message.startsWith('Unexpected end');
  if (position === null && !end) return message;
  const before = (position === null ? text.trimEnd() : text.slice(0, Number(position[1]))).split('\n');
  const where = `line ${firstLine + before.length - 1}, column ${before.at(-1)!.length + 1}`;
  return `${where}: ${position === null ? 'it ends too early' : message.slice(0, position.index)}`;
}

/** The strings of a JSON text, those that are keys with their colon, and the ends of its objects. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}]/g;

/** Of a text that is JSON. */
function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
