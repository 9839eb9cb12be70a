import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Logger } from '../logging.js';
import { ReadAgain } from '../read-again.js';
import { readPem } from '../read-file.js';
import { wallClock } from '../wall-clock.js';
import { HANDSHAKE_MS } from './connections.js';

export interface TlsFilesOptions {
  /** PEM: the server's certificate and those between it and its authority. */
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM: the authorities that clients must have a certificate of; undefined: they need none. */
  readonly clientCaFile?: string;
}

interface Contents {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  /** When the certificate is valid no more, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * What connections must have: forward secrecy and a cipher that authenticates (RFC 9113, 9.2.2 forbids the others for
 * HTTP/2). Those of TLS 1.3 are all so.
 */
const SECURITY: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: [
    ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
    ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ...['ECDHE-RSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ].join(':'),
  honorCipherOrder: true,
};

/** A certificate that is left as it is for so long before its end is warned of, once a day. */
const WARN_MS = 14 * 86_400_000;
const WARN_EVERY_MS = 86_400_000;

/** What grpc-js listens with, and for new connections from then on with what replaces it. */
class FileCredentials extends ServerCredentials {
  constructor(contents: Contents) {
    const isMutual = contents.ca !== undefined;
    super({ requestCert: isMutual, rejectUnauthorized: isMutual, handshakeTimeout: HANDSHAKE_MS }, contextOf(contents));
  }

  replace(contents: Contents): void {
    this.updateSecureContextOptions(contextOf(contents));
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** With the ciphers again: a context that is replaced has none of those before. */
function contextOf({ cert, key, ca }: Contents): SecureContextOptions {
  return { ...SECURITY, cert, key, ...(ca === undefined ? {} : { ca }) };
}

/**
 * What a server shows to clients, and asks of them, as files that may be replaced while it runs: connections that come
 * then get what is new, those that stand go on. What does not fit together, as when one of two files was replaced, is
 * not taken.
 */
export class TlsFiles {
  readonly credentials: ServerCredentials;
  readonly #files: ReadAgain<Contents>;
  #warnedAt = -Infinity;

  /** @throws Error saying which file is wrong, and how */
  constructor(
    private readonly options: TlsFilesOptions,
    private readonly logger: Logger,
  ) {
    const what = 'what GRPC_TLS_CERT_FILE, GRPC_TLS_KEY_FILE and GRPC_TLS_CLIENT_CA_FILE name';
    const read = (last: Contents | undefined) => {
      this.#warn(last);
      return readContents(options, last);
    };
    this.#files = new ReadAgain({ what, read, onChange: (contents) => credentials.replace(contents) }, logger);
    const credentials = new FileCredentials(this.#files.current);
    this.credentials = credentials;
  }

  /** When the certificate is valid no more, in milliseconds since 1970. */
  get expiresAt(): number {
    return this.#files.current.expiresAt;
  }

  look(): void {
    this.#files.look();
  }

  /** Looks for other files until the signal aborts. */
  watch(signal: AbortSignal): Promise<void> {
    return this.#files.watch(signal);
  }

  /** Of the certificate that is used. */
  #warn(used: Contents | undefined): void {
    if (used === undefined) return;
    const now = wallClock();
    if (used.expiresAt - now > WARN_MS || now < this.#warnedAt + WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const days = Math.floor((used.expiresAt - now) / 86_400_000);
    this.logger.warn(
      { file: this.options.certFile, days },
      'the TLS certificate expires soon; put a new one in its place',
    );
  }
}

function readContents({ certFile, keyFile, clientCaFile }: TlsFilesOptions, last: Contents | undefined): Contents {
  const [cert, key] = [readPem(certFile), readPem(keyFile)];
  const ca = clientCaFile === undefined ? undefined : readPem(clientCaFile);
  const { validFrom, validTo } = certificatesOf(certFile, cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (to <= wallClock()) throw new Error(`the certificate in '${certFile}' has expired (${validTo})`);
  if (from > wallClock()) throw new Error(`the certificate in '${certFile}' is not valid yet (from ${validFrom})`);
  if (ca !== undefined) certificatesOf(clientCaFile!, ca);
  requireKey(keyFile, key);
  try {
    createSecureContext({ cert, key, ca });
  } catch (error) {
    throw new Error(`the key in '${keyFile}' and the certificate in '${certFile}' do not fit`, { cause: error });
  }
  const isSame = cert === last?.cert && key === last.key && ca === last.ca;
  return isSame ? last : { cert, key, ca, expiresAt: to };
}

/** @throws Error unless it is one that can be used as it is */
function requireKey(file: string, pem: string): void {
  try {
    createPrivateKey(pem);
  } catch (error) {
    const isLocked = pem.includes('ENCRYPTED');
    throw new Error(
      isLocked ? `the key in '${file}' has a passphrase; give it without` : `'${file}' has no key in PEM`,
      {
        cause: error,
      },
    );
  }
}

/** The first certificate of a PEM file. @throws Error unless all can be read: Node leaves out the others */
function certificatesOf(file: string, pem: string): X509Certificate {
  const blocks = pem.split(/(?=-----BEGIN )/).filter((block) => block.startsWith('-----BEGIN '));
  try {
    const [first] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return first;
  } catch (error) {
    throw new Error(`'${file}' has a certificate that is not whole, or no PEM`, { cause: error });
  }
  throw new Error(`'${file}' has no certificate in PEM`);
}
