import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/*
 * X.509 certificates made here, so that no key lies in the repository and no test needs a program for it. Just enough
 * of DER (ITU-T X.690) for RFC 5280's Certificate with ECDSA keys.
 */

function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const length =
    content.length < 0x80
      ? Buffer.from([content.length])
      : Buffer.from([0x82, content.length >> 8, content.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, content]);
}

const sequence = (...items: Buffer[]) => der(0x30, ...items);
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const octets = (content: Buffer) => der(0x04, content);
const bits = (content: Buffer) => der(0x03, Buffer.from([0]), content);
const TRUE = der(0x01, Buffer.from([0xff]));

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const BASIC_CONSTRAINTS = oid('551d13');
const ALTERNATIVE_NAME = oid('551d11');

const name = (text: string) => sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(text)))));
/** YYYYMMDD, at midnight. */
const time = (day: string) => der(0x18, Buffer.from(`${day}000000Z`));

/** When a certificate is valid, as YYYYMMDD. */
export interface Validity {
  readonly from: string;
  readonly to: string;
}

const ALWAYS: Validity = { from: '20200101', to: '21200101' };

interface Subject {
  readonly name: string;
  readonly key: KeyObject;
  readonly extension: Buffer;
}

function certificate(
  { name: subject, key, extension }: Subject,
  issuer: string,
  issuerKey: KeyObject,
  { from, to } = ALWAYS,
): string {
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1]), randomBytes(8)),
    ECDSA_WITH_SHA256,
    name(issuer),
    sequence(time(from), time(to)),
    name(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  );
  const bytes = sequence(toBeSigned, ECDSA_WITH_SHA256, bits(sign('sha256', toBeSigned, issuerKey)));
  // An empty line before the last one is no PEM.
  const lines = bytes.toString('base64').match(/.{1,64}/g)!;
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

export interface Certificates {
  readonly authority: string;
  /** A server's, on localhost. */
  readonly certificate: string;
  readonly key: string;
  /** A client's. */
  readonly client: Pair;
  /** Another client's, by a URI. */
  readonly clientNamed: (uri: string) => Pair;
}

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** An authority of our own, and certificates of it for a server on localhost and for a client; all PEM. */
export function localCertificates(validity = ALWAYS): Certificates {
  const ca = newKey();
  const authority = { name: 'test authority', key: ca.publicKey, extension: constraint };
  const clientNamed = (uri: string) => issue('client', der(0x86, Buffer.from(uri)));
  const issue = (subject: string, uri: Buffer) => {
    const own = newKey();
    const extension = sequence(ALTERNATIVE_NAME, octets(sequence(uri)));
    return {
      certificate: certificate(
        { name: subject, key: own.publicKey, extension },
        authority.name,
        ca.privateKey,
        validity,
      ),
      key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  };
  return {
    authority: certificate(authority, authority.name, ca.privateKey),
    ...issue('localhost', der(0x82, Buffer.from('localhost'))),
    client: clientNamed('spiffe://ssom/payments'),
    clientNamed,
  };
}

/** A server's certificate on localhost, of an authority that one above it vouches for; all PEM. */
export function chainedCertificates(): { root: string; between: string; certificate: string; key: string } {
  const [ca, middle, own] = [newKey(), newKey(), newKey()];
  const name = der(0x82, Buffer.from('localhost'));
  const leaf = sequence(ALTERNATIVE_NAME, octets(sequence(name)));
  const vouch = (subject: Subject, issuer: string, { privateKey }: { privateKey: KeyObject }) =>
    certificate(subject, issuer, privateKey);
  return {
    root: vouch({ name: 'root', key: ca.publicKey, extension: constraint }, 'root', ca),
    between: vouch({ name: 'between', key: middle.publicKey, extension: constraint }, 'root', ca),
    certificate: vouch({ name: 'localhost', key: own.publicKey, extension: leaf }, 'between', middle),
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const constraint = sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE)));
