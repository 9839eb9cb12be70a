// X.509 certificates made here, so that no key lies in the repository and nobody needs a program for it: just enough of
// DER (ITU-T X.690) for RFC 5280's Certificate with ECDSA keys. For this machine and for tests, not for production.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolder } from '../make-folder.mjs';
import { withLock } from './lock.mjs';

/** @typedef {import('./stack.mjs').Pair} Pair */
/** @typedef {import('./stack.mjs').Names} Names */
/** @typedef {import('./stack.mjs').Validity} Validity */

/** @param {number} tag @param {Buffer[]} contents */
function der(tag, ...contents) {
  const content = Buffer.concat(contents);
  const { length } = content;
  // DER wants the shortest form, and Go refuses any other.
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** @param {Buffer[]} items */
const sequence = (...items) => der(0x30, ...items);
/** @param {string} hex */
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
/** @param {Buffer} content */
const octets = (content) => der(0x04, content);
/** @param {Buffer} content */
const bits = (content) => der(0x03, Buffer.from([0]), content);
const TRUE = der(0x01, Buffer.from([0xff]));

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const BASIC_CONSTRAINTS = oid('551d13');
const ALTERNATIVE_NAME = oid('551d11');

/** @param {string} text */
const name = (text) => sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(text)))));
/** @param {string} day YYYYMMDD: at its midnight */
const time = (day) => der(0x18, Buffer.from(`${day}000000Z`));

/** @type {Validity} */
const ALWAYS = { from: '20200101', to: '21200101' };
const AUTHORITY = 'local authority';
/** What a server on this machine is called. @type {Names} */
export const LOCAL_NAMES = { dns: ['localhost'], ip: ['127.0.0.1'] };

/** @param {Names} names */
function alternativeNames({ dns = [], ip = [], uri = [] }) {
  const all = [
    ...dns.map((each) => der(0x82, Buffer.from(each))),
    ...uri.map((each) => der(0x86, Buffer.from(each))),
    ...ip.map((each) => der(0x87, Buffer.from(each.split('.').map(Number)))),
  ];
  return all.length === 0 ? [] : [sequence(ALTERNATIVE_NAME, octets(sequence(...all)))];
}

/**
 * @param {{ name: string, key: import('node:crypto').KeyObject, extensions: Buffer[] }} subject
 * @param {{ name: string, key: string | import('node:crypto').KeyObject }} issuer
 * @param {Validity} validity
 */
function certificate(subject, issuer, { from, to }) {
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1]), randomBytes(8)),
    ECDSA_WITH_SHA256,
    name(issuer.name),
    sequence(time(from), time(to)),
    name(subject.name),
    subject.key.export({ type: 'spki', format: 'der' }),
    ...(subject.extensions.length === 0 ? [] : [der(0xa3, sequence(...subject.extensions))]),
  );
  const bytes = sequence(toBeSigned, ECDSA_WITH_SHA256, bits(sign('sha256', toBeSigned, issuer.key)));
  // An empty line before the last one is no PEM.
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

const newKey = () =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;

/** @param {Pair} authority */
const issuerOf = ({ certificate: pem, key }) => ({
  name: new X509Certificate(pem).subject.replace('CN=', ''),
  key: createPrivateKey(key),
});

/**
 * @param {Validity} [validity]
 * @param {{ name: string, above: Pair }} [under] the authority that vouches for it; without it nobody does
 * @returns {Pair}
 */
export function createAuthority(validity = ALWAYS, under) {
  const key = newKey();
  const called = under?.name ?? AUTHORITY;
  const extensions = [sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE)))];
  const issuer = under === undefined ? { name: called, key } : issuerOf(under.above);
  return { certificate: certificate({ name: called, key: createPublicKey(key), extensions }, issuer, validity), key };
}

/**
 * @param {Pair} authority
 * @param {string} subject its common name
 * @param {Names} [names]
 * @param {Validity} [validity]
 * @returns {Pair}
 */
export function issueCertificate(authority, subject, names = {}, validity = ALWAYS) {
  const key = newKey();
  const about = { name: subject, key: createPublicKey(key), extensions: alternativeNames(names) };
  return { certificate: certificate(about, issuerOf(authority), validity), key };
}

/** @param {string} file @param {string} text @param {number} mode */
function write(file, text, mode) {
  writeFileSync(`${file}.new`, text, { mode });
  renameSync(`${file}.new`, file);
}

/**
 * The files of a pair, made once; the key before the certificate, which says that both are there.
 * @param {string} folder
 * @param {string} called
 * @param {() => Pair} make
 */
function pairFiles(folder, called, make) {
  const files = { certificate: path.join(folder, `${called}.pem`), key: path.join(folder, `${called}-key.pem`) };
  if (!existsSync(files.certificate)) {
    const made = make();
    write(files.key, made.key, 0o600);
    write(files.certificate, made.certificate, 0o644);
  }
  return files;
}

/**
 * @param {string} folder
 * @param {string} called
 * @param {Names} [names]
 * @returns {Promise<import('./stack.mjs').CertificateFiles>}
 */
export function certificateFiles(folder, called, names = {}) {
  return withLock(path.resolve(folder), () => {
    makeFolder(folder);
    const authority = pairFiles(folder, 'ca', () => createAuthority());
    const read = (/** @type {string} */ file) => readFileSync(file, 'utf8');
    const issue = () =>
      issueCertificate({ certificate: read(authority.certificate), key: read(authority.key) }, called, names);
    return Promise.resolve({ authority: authority.certificate, ...pairFiles(folder, called, issue) });
  });
}
