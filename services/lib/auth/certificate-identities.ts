import { AlertError } from '../../domain/errors.js';
import { type ClientCertificate, DNS_NAME, URI_NAME } from '../grpc/client-certificate.js';
import { type Identity, SUBJECT } from '../grpc/identity.js';
import { fieldsOf, JsonFile } from '../json-file.js';
import type { Logger } from '../logging.js';
import { wallClock } from '../wall-clock.js';

type Service = Pick<Identity, 'subject' | 'scopes'>;
type Services = ReadonlyMap<string, Service>;

/** Names that are told of a certificate that no line names. */
const TOLD_MAX = 3;

/**
 * Which service a client's certificate makes its calls: a JSON file
 * `{ "spiffe://ssom/payments": { "service": "payments", "scopes": ["alerts:create"] } }` by alternative names.
 */
export class CertificateIdentities {
  readonly #services: JsonFile<Services>;

  /**
   * @param scopes those that there are
   * @throws Error naming the file, and what is wrong with it
   */
  constructor(file: string, scopes: readonly string[], logger: Logger) {
    this.#services = new JsonFile(file, (json) => readServices(json, scopes), logger);
  }

  /**
   * The service of the first name that has a line.
   * @throws AlertError UNAUTHENTICATED: none has one (CERTIFICATE_UNKNOWN), or it has expired (CERTIFICATE_EXPIRED)
   */
  identityOf({ names, expiresAt }: ClientCertificate): Identity {
    const name = names.find((each) => this.#services.current.has(each));
    if (name === undefined) {
      const told = names.length === 0 ? 'which has no URI or DNS name' : names.slice(0, TOLD_MAX).join(', ');
      const message = `no service is known by this client's certificate: ${told}; send a token, or have it added to the file`;
      throw new AlertError('UNAUTHENTICATED', 'CERTIFICATE_UNKNOWN', message);
    }
    if (wallClock() >= expiresAt) {
      const message = `the certificate of ${name} has expired since this connection was made; connect again with a new one`;
      throw new AlertError('UNAUTHENTICATED', 'CERTIFICATE_EXPIRED', message);
    }
    return { kind: 'service', ...this.#services.current.get(name)!, credential: `mtls ${name}`, expiresAt };
  }

  /** Looks for other contents of the file until the signal aborts. */
  watch(signal: AbortSignal): Promise<void> {
    return this.#services.watch(signal);
  }
}

function readServices(json: unknown, known: readonly string[]): Services {
  const lines = Object.entries(fieldsOf('it', json));
  return new Map(lines.map(([name, line]) => [nameOf(name), readService(name, line, known)]));
}

/** Compared as a whole, with names of its kind: a URI begins with a scheme. Of a DNS name the case does not count. */
function nameOf(name: string): string {
  const isPlain = /^[\x21-\x7e]{1,2048}$/.test(name) && !/[",*]/.test(name);
  if (isPlain && URI_NAME.test(name)) return name;
  if (isPlain && DNS_NAME.test(name)) return name.toLowerCase();
  throw new Error(`'${name}' is no URI and no DNS name; each is compared as a whole, so there are no wildcards`);
}

function readService(name: string, line: unknown, known: readonly string[]): Service {
  const { service, scopes } = fieldsOf(name, line, ['service', 'scopes']);
  if (typeof service !== 'string' || !SUBJECT.test(service))
    throw new Error(`${name}.service must be 1 to 128 printable ASCII characters`);
  if (!Array.isArray(scopes)) throw new Error(`${name}.scopes must be a list`);
  const odd = (scopes as unknown[]).find((scope) => !known.includes(scope as string));
  if (odd !== undefined) throw new Error(`${name}.scopes has ${JSON.stringify(odd)}; there are ${known.join(', ')}`);
  return { subject: service, scopes: new Set(scopes as string[]) };
}
