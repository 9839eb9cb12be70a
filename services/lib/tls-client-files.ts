import { createSecureContext } from 'node:tls';
import { readPem } from './pem-file.js';

/** PEM files that a client of TLS needs; undefined where it needs none. */
export interface ClientTlsFiles {
  /** The authorities that are believed; undefined: those that Node believes. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export type ClientTls = Readonly<Partial<Record<keyof ClientTlsFiles, string>>>;

/** @throws Error saying which file is wrong, and how */
export function readClientTls(files: ClientTlsFiles): ClientTls {
  const named = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const tls: ClientTls = Object.fromEntries(named.map(([part, file]) => [part, readPem(file)]));
  try {
    createSecureContext(tls);
  } catch (error) {
    const { ca, cert, key } = files;
    const own = [cert, key].filter((file) => file !== undefined).join(' and ');
    throw new Error(
      own === '' ? `${ca} has a certificate that is not whole` : `${own} do not fit together, or are not whole`,
      { cause: error },
    );
  }
  return tls;
}

/**
 * The same files as they are now, for each connection that is made. What cannot be used, as while one of them is being
 * replaced, is not taken: what was read before is.
 */
export class ReloadedTls {
  #last: ClientTls;

  /** @throws Error saying which file is wrong, and how */
  constructor(
    private readonly files: ClientTlsFiles,
    /** Told why what was there before is used. */
    private readonly onProblem: (problem: Error) => void,
  ) {
    this.#last = readClientTls(files);
  }

  get now(): ClientTls {
    try {
      this.#last = readClientTls(this.files);
    } catch (error) {
      this.onProblem(error as Error);
    }
    return this.#last;
  }
}
