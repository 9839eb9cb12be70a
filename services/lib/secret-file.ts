import { closeSync, openSync, readSync } from 'node:fs';
import { keepSecret } from './secrets.js';

/** More is no secret but a wrong file; RSA keys have some 3 KiB. */
const BYTES_MAX = 65_536;

const REASONS: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder, and must be a file',
  ENOENT: 'there is none',
  EACCES: 'this user may not read it',
};

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
  keepSecret(secret);
  return secret;
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
    const { code = '' } = error as NodeJS.ErrnoException;
    const reason = REASONS[code] === undefined ? '' : `: ${REASONS[code]}`;
    throw new Error(`cannot read '${file}' (${code})${reason}`, { cause: error });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
