import { createSecureContext } from 'node:tls';
import { readPem } from './read-file.js';

/** PEM files that a client of TLS needs; undefined where it needs none. */
export interface ClientTlsFiles {
  /** The authorities that are believed; undefined: those that Node believes. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export type ClientTls = Readonly<Partial<Record<keyof ClientTlsFiles, string>>>;

/**
 * @param last what they said before; it is returned if they say the same
 * @throws Error saying which file is wrong, and how
 */
export function readClientTls(files: ClientTlsFiles, last?: ClientTls): ClientTls {
  const named = Object.entries(files).filter((entry): entry is [keyof ClientTls, string] => entry[1] !== undefined);
  const tls: ClientTls = Object.fromEntries(named.map(([part, file]) => [part, readPem(file)]));
  if (last !== undefined && named.every(([part]) => tls[part] === last[part])) return last;
  try {
    createSecureContext(tls);
  } catch (error) {
    const { ca, cert, key } = files;
    const own = [cert, key]
      .filter((file) => file !== undefined)
      .map((file) => `'${file}'`)
      .join(' and ');
    throw new Error(
      own === '' ? `'${ca}' has a certificate that is not whole` : `${own} do not fit together, or are not whole`,
      { cause: error },
    );
  }
  return tls;
}
