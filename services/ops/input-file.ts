import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import type { Context } from './context.js';

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

/** @throws an error that describeFileError explains, for a table, or an array, where each line should be an object */
export function checkFirstLine(text: string, file: string): void {
  const line = text.replace(/^\uFEFF/, '').trim();
  if (line.startsWith('[') && !line.endsWith(']'))
    throw new ForeignFile(
      `${nameOf(file)} is a JSON array over several lines: jq -c '.[]' makes lines of it, one object each`,
    );
  if (/^"?[\w ./-]+"?([,;\t] *"?[\w ./-]*"?){2,}$/.test(line))
    throw new ForeignFile(
      `${nameOf(file)} looks like CSV, and begins with ${JSON.stringify(line.slice(0, 60))}; each line must be a JSON object`,
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
