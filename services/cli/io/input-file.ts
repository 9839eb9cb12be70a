import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import type { Context } from '../context.js';
import { oneLine } from '../views/text.js';
import { parseJson } from './json-text.js';
import { appended, type Line, LONGEST } from './lines.js';

/** What a file is, when it is not the text that was wanted, and what to do about it. */
class ForeignFile extends Error {}

interface Kind {
  readonly begins: readonly number[];
  readonly is: string;
}

/** By their first bytes. */
const KINDS: readonly Kind[] = [
  { begins: [0xff, 0xfe], is: "UTF-16, as PowerShell's > writes it: iconv -f UTF-16 -t UTF-8 makes UTF-8 of it" },
  { begins: [0xfe, 0xff], is: 'UTF-16: iconv -f UTF-16 -t UTF-8 makes UTF-8 of it' },
  { begins: [0x1f, 0x8b], is: 'gzip: gunzip -c unpacks it' },
  { begins: [0x28, 0xb5, 0x2f, 0xfd], is: 'zstd: zstd -dc unpacks it' },
  { begins: [0x42, 0x5a, 0x68], is: 'bzip2: bunzip2 -c unpacks it' },
  { begins: [0xfd, 0x37, 0x7a, 0x58, 0x5a], is: 'xz: xz -dc unpacks it' },
  { begins: [0x50, 0x4b, 0x03, 0x04], is: 'a zip archive (as .xlsx is too): unzip -p unpacks it' },
];
/** What the longest of them needs. */
const ENOUGH = 5;

function foreignKind(head: Buffer): string | undefined {
  const known = KINDS.find(({ begins }) => begins.every((byte, index) => head[index] === byte));
  if (known !== undefined) return known.is;
  // JSON begins with two characters of ASCII: with every other byte 0 they are UTF-16 without its mark.
  const [first, second] = head;
  if (head.length >= 2 && (first === 0) !== (second === 0))
    return `UTF-16: iconv -f UTF-16${first === 0 ? 'BE' : 'LE'} -t UTF-8 makes UTF-8 of it`;
  return undefined;
}

/**
 * The bytes of a file, or of standard input for `-`, until the signal aborts.
 * @throws an error that describeFileError explains, for a file that cannot be read or is no text in UTF-8
 */
export async function* openInput(
  { stdin }: Context,
  file: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const stream = addAbortSignal(signal, file === '-' ? stdin : createReadStream(file));
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Uint8Array | string);
    if (head !== undefined) {
      head = Buffer.concat([head, bytes.subarray(0, ENOUGH)]);
      const foreign = foreignKind(head);
      if (foreign !== undefined) throw new ForeignFile(`${nameOf(file)} is ${foreign}`);
      if (head.length >= ENOUGH) head = undefined;
    }
    yield bytes;
  }
}

/** What a file is that does not begin with JSON, by its first line. */
const LOOKS: readonly { readonly line: RegExp; readonly like: string }[] = [
  { line: /^"?[\w ./-]+"?([,;\t] *"?[\w ./-]*"?){2,}$/, like: 'CSV' },
  { line: /^--\S+$/, like: 'a form in parts (multipart/form-data)' },
  { line: /^[\w.%+-]+=[^\s&]*(&[\w.%+-]+=[^\s&]*)*$/, like: 'a form (application/x-www-form-urlencoded)' },
  { line: /^</, like: 'XML or HTML' },
];

/**
 * The lines of a file of JSON objects, if that is what it is. One line that is no JSON may have been cut off; two at
 * the beginning, or nothing else, are another kind of file.
 * @throws an error that describeFileError explains, for text of another kind, or an array over several lines
 */
export async function* jsonLines(lines: AsyncIterable<Line>, file: string): AsyncGenerator<Line, void, undefined> {
  let odd: Line | undefined;
  let begun = false;
  for await (const line of lines) {
    if (!begun && line.text !== undefined && !isJsonBegun(line.text)) {
      if (odd !== undefined || lookOf(line.text) !== undefined) throw foreignText(odd ?? line, file);
      odd = line;
      continue;
    }
    if (!begun && odd === undefined && isArrayBegun(line.text)) throw await foreignArray(line, lines, file);
    begun = true;
    if (odd !== undefined) yield odd;
    odd = undefined;
    yield line;
  }
  if (odd !== undefined) throw foreignText(odd, file);
}

function isJsonBegun(text: string): boolean {
  return /^\s*[[{]/.test(text) || 'value' in parseJson(text);
}

function isArrayBegun(text = ''): boolean {
  return text.trimStart().startsWith('[') && !text.trimEnd().endsWith(']');
}

function lookOf(text: string): string | undefined {
  return LOOKS.find(({ line }) => line.test(text.trim()))?.like;
}

function foreignText({ text = '' }: Line, file: string): ForeignFile {
  const begins = oneLine(JSON.stringify(text.trim().slice(0, 60)));
  return new ForeignFile(
    `${nameOf(file)} looks like ${lookOf(text) ?? 'plain text'}, and begins with ${begins}; each line must be a JSON object`,
  );
}

/** Reads on, since jq would only say that it is broken. */
async function foreignArray(first: Line, lines: AsyncIterable<Line>, file: string): Promise<ForeignFile> {
  let { text = '', number } = first;
  // The same iterator: it goes on behind the first line.
  for await (const line of lines) {
    text = appended(text, number, line);
    number = line.number;
    if (text.length > LONGEST) break;
  }
  const json = text.length > LONGEST ? undefined : parseJson(text, first.number);
  if (json !== undefined && 'problem' in json) return new ForeignFile(`${nameOf(file)} ${json.problem}`);
  return new ForeignFile(
    `${nameOf(file)} is a JSON array over several lines: jq -c '.[]' makes lines of it, one object each`,
  );
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : `'${file}'`;
}

/** The message of an error of the file system, or of what a file is. Rethrows every other. */
export function describeFileError(error: unknown, file: string): string {
  if (error instanceof ForeignFile) return error.message;
  const { syscall, code } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined) throw error;
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'we may not read it',
    EISDIR: 'it is a folder',
  };
  return `cannot read ${nameOf(file)}: ${reasons[code] ?? code}`;
}
