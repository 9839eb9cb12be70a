import { closeSync, openSync, readSync } from 'node:fs';

/** Of settings and certificates; the authorities of a system have some 220 KiB. */
const BYTES_MAX = 1_048_576;

const REASONS: Readonly<Record<string, () => string>> = {
  EISDIR: () => 'it is a folder, and must be a file',
  ENOENT: () => 'there is none',
  EACCES: () =>
    `user ${process.getuid?.() ?? 'of this process'} may not read it or enter its folder; change owner or mode`,
};

/**
 * The text of a file that an operator gave us. What has no end is not read to it.
 * @param what what a larger file cannot be
 * @throws Error naming the file, saying what is wrong with it
 */
export function readText(file: string, bytesMax = BYTES_MAX, what = 'settings or certificates'): string {
  const bytes = Buffer.alloc(bytesMax + 1);
  const length = readInto(bytes, file);
  if (length > bytesMax) throw new Error(`'${file}' has more than ${bytesMax} bytes and is no file of ${what}`);
  return bytes.toString('utf8', 0, length);
}

/** @returns how many bytes there are */
function readInto(bytes: Buffer, file: string): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    return length;
  } catch (error) {
    throw unreadable(file, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** `'/run/key' cannot be read (ENOENT): there is none`. */
export function unreadable(file: string, error: unknown): Error {
  const { code = '' } = error as NodeJS.ErrnoException;
  const reason = REASONS[code]?.();
  return new Error(`'${file}' cannot be read (${code})${reason === undefined ? '' : `: ${reason}`}`, { cause: error });
}

/** @throws Error saying what is wrong with the file */
export function readPem(file: string): string {
  const text = readText(file);
  if (text.includes('-----BEGIN ')) return text;
  throw new Error(`'${file}' ${text.trim() === '' ? 'is empty' : 'is no PEM'}`);
}
