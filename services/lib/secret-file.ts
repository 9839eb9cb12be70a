import { readText } from './read-file.js';
import { keepSecretOf } from './secrets.js';

/** More is no secret but a wrong file; RSA keys have some 3 KiB. */
const BYTES_MAX = 65_536;

/** The files that secrets were given as, by their field of Config. */
export type SecretFiles = Readonly<Record<string, string>>;

/**
 * The secret in a file, without the line break that editors put at its end; it is left out of logs from now on.
 * @throws Error saying what is wrong with the file
 */
export function readSecretFile(file: string): string {
  const secret = readText(file, BYTES_MAX, 'a secret').trim();
  if (secret === '') throw new Error(`'${file}' is empty`);
  keepSecretOf(file, secret);
  return secret;
}
