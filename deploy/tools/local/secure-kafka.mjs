// What makes a broker ask who its clients are: SCRAM-SHA-512 and OAUTHBEARER on its port, certificates on another
// (MTLS), and nothing without an ACL. The controller's port is for the node alone, by an authority of its own.
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { certificateFiles, LOCAL_NAMES } from './certificates.mjs';
import { LOOPBACK } from './ports.mjs';

/** The node's own principal: no client has it. */
const NODE = 'kafka';
export const ADMIN = 'admin';
/** Each has a certificate, a password and a token. What rights they need says `ssom-alert kafka acls`. */
export const PRINCIPALS = [
  'alert-api',
  'fanout',
  'delivery',
  'push',
  'stream-gateway',
  'standalone',
  'migrate',
  'operator',
];
/** Whose tokens the broker believes. */
export const TOKENS = { issuer: 'https://issuer.ssom.localhost', audience: 'kafka', days: 365 };

/**
 * Writes what is not there yet; who reads it is its owner alone.
 * @param {string} file
 * @param {() => string} make
 */
export function kept(file, make) {
  if (!existsSync(file)) writeFileSync(file, make(), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** @param {object} part */
const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');

/**
 * A token of the stack's issuer; the broker believes it, unless the claims say otherwise.
 * @param {string} folder @param {string} subject @param {Record<string, unknown>} [claims]
 */
export function issuerToken(folder, subject, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const { issuer: iss, audience: aud, days } = TOKENS;
  const payload = { iss, aud, sub: subject, iat: now, exp: now + days * 86_400, ...claims };
  const text = `${encoded({ alg: 'ES256', kid: 'local', typ: 'JWT' })}.${encoded(payload)}`;
  const key = createPrivateKey(readFileSync(path.join(folder, 'issuer-key.pem')));
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** The issuer's key, and the set of keys by which the broker knows it. @param {string} folder @returns {string} */
function issuerKeys(folder) {
  const key = kept(path.join(folder, 'issuer-key.pem'), () =>
    generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey.toString(),
  );
  const file = path.join(folder, 'issuer-keys.json');
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  writeFileSync(file, JSON.stringify({ keys: [{ ...jwk, kid: 'local', alg: 'ES256', use: 'sig' }] }));
  return file;
}

/**
 * The files of the broker and of its clients, made where they are missing; tokens are made anew.
 * @param {string} folder
 */
async function secretsOf(folder) {
  const node = await certificateFiles(folder, NODE, LOCAL_NAMES);
  const keys = issuerKeys(folder);
  /** @type {Record<string, string>} */
  const passwords = {};
  for (const name of [ADMIN, ...PRINCIPALS]) {
    await certificateFiles(folder, name);
    passwords[name] = kept(path.join(folder, `${name}.password`), () => randomBytes(24).toString('hex'));
    await writeFile(path.join(folder, `${name}.token`), issuerToken(folder, name), { mode: 0o600 });
  }
  const admin = {
    'security.protocol': 'SASL_SSL',
    'sasl.mechanism': 'SCRAM-SHA-512',
    'sasl.jaas.config': `org.apache.kafka.common.security.scram.ScramLoginModule required username="${ADMIN}" password="${passwords[ADMIN]}";`,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': node.authority,
  };
  await writeFile(path.join(folder, 'admin.properties'), linesOf(admin), { mode: 0o600 });
  return { node, keys, passwords };
}

/** @param {Record<string, string | number | boolean>} properties */
export const linesOf = (properties) =>
  Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

/** Key and certificate in one file, as Kafka wants them. @param {import('./stack.mjs').CertificateFiles} files @param {string} file */
async function keystore(files, file) {
  await writeFile(file, readFileSync(files.key, 'utf8') + readFileSync(files.certificate, 'utf8'), { mode: 0o600 });
  return file;
}

/** @param {string} prefix @param {string} pair @param {string} authority */
const stores = (prefix, pair, authority) => ({
  [`${prefix}ssl.keystore.type`]: 'PEM',
  [`${prefix}ssl.keystore.location`]: pair,
  [`${prefix}ssl.truststore.type`]: 'PEM',
  [`${prefix}ssl.truststore.location`]: authority,
});

/**
 * @param {string} folder
 * @param {string} data the broker's
 * @param {{ kafka: number, mtls: number, controller: number }} ports
 */
export async function secureBroker(folder, data, ports) {
  const { node, keys, passwords } = await secretsOf(folder);
  const inside = await certificateFiles(path.join(data, 'node'), NODE, LOCAL_NAMES);
  const clients = `SASL_SSL://${LOOPBACK}:${ports.kafka},MTLS://${LOOPBACK}:${ports.mtls}`;
  const security = 'org.apache.kafka.common.security';
  const oauth = 'listener.name.sasl_ssl.oauthbearer.sasl';
  const keysUrl = pathToFileURL(keys).href;
  const settings = {
    listeners: `${clients},CONTROLLER://${LOOPBACK}:${ports.controller}`,
    'advertised.listeners': `${clients},CONTROLLER://${LOOPBACK}:${ports.controller}`,
    'listener.security.protocol.map': 'SASL_SSL:SASL_SSL,MTLS:SSL,CONTROLLER:SSL',
    'inter.broker.listener.name': 'MTLS',
    ...stores('', await keystore(node, path.join(data, 'keystore.pem')), node.authority),
    ...stores(
      'listener.name.controller.',
      await keystore(inside, path.join(data, 'node', 'keystore.pem')),
      inside.authority,
    ),
    'listener.name.mtls.ssl.client.auth': 'required',
    'listener.name.controller.ssl.client.auth': 'required',
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+)$/$1/,DEFAULT',
    'listener.name.sasl_ssl.sasl.enabled.mechanisms': 'SCRAM-SHA-512,OAUTHBEARER',
    'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': `${security}.scram.ScramLoginModule required;`,
    [`${oauth}.jaas.config`]: `${security}.oauthbearer.OAuthBearerLoginModule required;`,
    [`${oauth}.server.callback.handler.class`]: `${security}.oauthbearer.OAuthBearerValidatorCallbackHandler`,
    [`${oauth}.oauthbearer.jwks.endpoint.url`]: keysUrl,
    [`${oauth}.oauthbearer.expected.issuer`]: TOKENS.issuer,
    [`${oauth}.oauthbearer.expected.audience`]: TOKENS.audience,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': false,
    'super.users': `User:${ADMIN};User:${NODE}`,
  };
  const scram = Object.entries(passwords).map(
    ([name, password]) => `SCRAM-SHA-512=[name=${name},password=${password}]`,
  );
  return {
    settings,
    jvm: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${keysUrl}`],
    format: scram.flatMap((user) => ['--add-scram', user]),
  };
}

/** By what the node itself is known: for asking whether it is ready. @param {string} folder */
export function nodeIdentity(folder) {
  const read = (/** @type {string} */ name) => readFileSync(path.join(folder, name));
  return { ca: read('ca.pem'), cert: read(`${NODE}.pem`), key: read(`${NODE}-key.pem`) };
}
