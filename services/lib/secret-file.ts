import { closeSync, openSync, readSync } from 'node:fs';
import { keepSecretOf } from './secrets.js';

/** More is no secret but a wrong file; RSA keys have some 3 KiB. */
const BYTES_MAX = 65_536;

const REASONS: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder, and must be a file',
  ENOENT: 'there is none',
  EACCES: 'this user may not read it',
};

/** The files that secrets were given as, by their field of Config. */
export type SecretFiles = Readonly<Record<string, string>>;

/**
 * The secret in a file, without the line break that editors put at its end; it is left out of logs from now on.
 * @throws Error saying what is wrong with the file
 */
export function readSecretFile(file: string): string {
  const bytes = Buffer.alloc(BYTES_MAX + 1);
  const length = readInto(bytes, file);
  if (length > BYTES_MAX) throw new Error(`'${file}' has more than ${BYTES_MAX} bytes and is no file of a secret`);
  const secret = bytes.toString('utf8', 0, length).trim();
  if (secret === '') throw new Error(`'${file}' is empty`);
  keepSecretOf(file, secret);
  return secret;
}

/**
 * A secret as it is now, so that one that was replaced is used without a restart: for whoever makes a connection.
 * @param given as it was at the start
 * @param path of its file; undefined: it was given as a variable, and stays
 * @param onProblem told why the file cannot be read; what was read last is used
 */
export function secretReader(
  given: string,
  path: string | undefined,
  onProblem?: (problem: Error) => void,
): () => string {
  if (path === undefined) return () => given;
  let last = given;
  return () => {
    try {
      last = readSecretFile(path);
    } catch (error) {
      onProblem?.(error as Error);
    }
    return last;
  };
}

/** Fills the buffer as far as the file goes: what has no end is not read to it. @returns how many bytes there are */
function readInto(bytes: Buffer, file: string): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    return length;
  } catch (error) {
    throw new Error(`cannot read '${file}' ${whyUnreadable(error as Error)}`, { cause: error });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** `(ENOENT): there is none`: what is wrong with a file that cannot be read. */
export function whyUnreadable({ code = '' }: NodeJS.ErrnoException): string {
  return REASONS[code] === undefined ? `(${code})` : `(${code}): ${REASONS[code]}`;
}
