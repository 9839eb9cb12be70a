import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { ServerCredentials } from '@grpc/grpc-js';
import { experimental } from '@grpc/grpc-js';
import { every } from '../lifecycle.js';
import type { Logger } from '../logging.js';
import { wallClock } from '../wall-clock.js';

type Provider = experimental.CertificateProvider;

export interface TlsFilesOptions {
  /** PEM: the server's certificate and those between it and its authority. */
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM: the authorities that clients must have a certificate of; undefined: they need none. */
  readonly clientCaFile?: string;
}

interface Contents {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  /** When the certificate is valid no more, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** How often the files are looked at. */
const LOOK_MS = 10_000;
/** A certificate that is left as it is for so long before its end is warned of, once a day. */
const WARN_MS = 14 * 86_400_000;
const WARN_EVERY_MS = 86_400_000;

/**
 * What a server shows to clients, and asks of them, as files that may be replaced while it runs: connections that come
 * then get what is new, those that stand go on. What does not fit together, as when one of two files was replaced, is
 * not taken.
 */
export class TlsFiles implements Provider {
  readonly #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  readonly #caListeners = new Set<experimental.CaCertificateUpdateListener>();
  /** Said last of what is wrong. */
  #problem: string | undefined;
  #warnedAt = -Infinity;

  private constructor(
    private readonly options: TlsFilesOptions,
    private readonly logger: Logger,
    private contents: Contents,
  ) {}

  /** @throws Error saying which file is wrong, and how */
  static async read(options: TlsFilesOptions, logger: Logger): Promise<TlsFiles> {
    return new TlsFiles(options, logger, await readContents(options));
  }

  /** When the certificate is valid no more, in milliseconds since 1970. */
  get expiresAt(): number {
    return this.contents.expiresAt;
  }

  get credentials(): ServerCredentials {
    const isMutual = this.options.clientCaFile !== undefined;
    // Up to 1.14.7 its first argument is the identity, whatever its types call it.
    return experimental.createCertificateProviderServerCredentials(this, isMutual ? this : null, isMutual);
  }

  /** Looks for other files until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    await every(
      LOOK_MS,
      signal,
      async () => {
        this.#warn();
        await this.look();
      },
      (error) => {
        if (error.message !== this.#problem)
          this.logger.error({ err: error }, 'the TLS files cannot be used; those of before are');
        this.#problem = error.message;
      },
    );
  }

  #warn(): void {
    const now = wallClock();
    if (this.expiresAt - now > WARN_MS || now < this.#warnedAt + WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const days = Math.floor((this.expiresAt - now) / 86_400_000);
    this.logger.warn(
      { file: this.options.certFile, days },
      'the TLS certificate expires soon; put a new one in its place',
    );
  }

  /** @throws Error saying which file is wrong, and how: what was read before is used */
  async look(): Promise<void> {
    const found = await readContents(this.options);
    this.#problem = undefined;
    const { cert, key, ca } = this.contents;
    const isSame = found.cert.equals(cert) && found.key.equals(key) && (ca === undefined || found.ca!.equals(ca));
    if (isSame) return;
    this.contents = found;
    for (const listener of this.#identityListeners) listener({ certificate: found.cert, privateKey: found.key });
    if (found.ca !== undefined) for (const listener of this.#caListeners) listener({ caCertificate: found.ca });
    this.logger.info({ expiresAt: new Date(found.expiresAt).toISOString() }, 'new TLS files are used');
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    // Whoever asks takes its first one only when it has been told that it listens.
    process.nextTick(() => listener({ certificate: this.contents.cert, privateKey: this.contents.key }));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.delete(listener);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.add(listener);
    const { ca } = this.contents;
    if (ca !== undefined) process.nextTick(() => listener({ caCertificate: ca }));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.delete(listener);
  }
}

async function readContents({ certFile, keyFile, clientCaFile }: TlsFilesOptions): Promise<Contents> {
  const [cert, key, ca] = await Promise.all([
    readPem(certFile),
    readPem(keyFile),
    clientCaFile === undefined ? undefined : readPem(clientCaFile),
  ]);
  const { validFrom, validTo } = certificatesOf(certFile, cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (to <= wallClock()) throw new Error(`the certificate in ${certFile} has expired (${validTo})`);
  if (from > wallClock()) throw new Error(`the certificate in ${certFile} is not valid yet (from ${validFrom})`);
  if (ca !== undefined) certificatesOf(clientCaFile!, ca);
  requireKey(keyFile, key);
  try {
    createSecureContext({ cert, key, ca });
  } catch (error) {
    throw new Error(`the key in ${keyFile} and the certificate in ${certFile} do not fit`, { cause: error });
  }
  return { cert, key, ca, expiresAt: to };
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
}

/** @throws Error unless it is one that can be used as it is */
function requireKey(file: string, pem: Buffer): void {
  try {
    createPrivateKey(pem);
  } catch (error) {
    const isLocked = /ENCRYPTED/.test(pem.toString());
    throw new Error(isLocked ? `the key in ${file} has a passphrase; give it without` : `${file} has no key in PEM`, {
      cause: error,
    });
  }
}

/** The first certificate of a PEM file. @throws Error unless all can be read: Node leaves out the others */
function certificatesOf(file: string, pem: Buffer): X509Certificate {
  const blocks = pem
    .toString()
    .split(/(?=-----BEGIN )/)
    .filter((block) => block.startsWith('-----BEGIN '));
  try {
    const [first] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return first;
  } catch (error) {
    throw new Error(`${file} has a certificate that is not whole, or no PEM`, { cause: error });
  }
  throw new Error(`${file} has no certificate in PEM`);
}
