// The schema registry: Apicurio Registry, which speaks the API of Confluent's at /apis/ccompat/v7.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { makeFolder } from '../make-folder.mjs';
import { certificateFiles, LOCAL_NAMES } from './certificates.mjs';
import { startDaemon } from './daemon.mjs';
import { fetchRegistry } from './download.mjs';
import { StackError } from './errors.mjs';
import { defaultDir, pathsOf } from './paths.mjs';
import { choosePorts, LOOPBACK } from './ports.mjs';
import { kept } from './secure-kafka.mjs';
import { java } from './tools.mjs';

/** @typedef {import('./stack.mjs').BasicAuth} BasicAuth */

const API = '/apis/ccompat/v7';
/** Old readers read new writers and the other way round. Apicurio's own default is NONE. */
const COMPATIBILITY = 'FULL_TRANSITIVE';

/** @param {BasicAuth | undefined} auth @returns {Record<string, string>} */
const authorization = (auth) =>
  auth ? { authorization: `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}` } : {};

/** In a secured stack everybody has this name, and the password that lies in its folder. */
const SECURE_USER = 'ssom';

/** @param {import('./stack.mjs').Secure | undefined} secure @returns {BasicAuth | undefined} */
function secureAuth(secure) {
  if (secure === undefined) return undefined;
  makeFolder(secure.folder);
  const password = kept(path.join(secure.folder, 'registry.password'), () => randomBytes(24).toString('hex'));
  return { user: SECURE_USER, password };
}

/**
 * @param {{ port: number, auth: BasicAuth | undefined, secure: import('./stack.mjs').Secure | undefined }} registry
 * @param {{ method?: string, path: string, body?: string, timeoutMs: number }} asked
 * @returns {Promise<{ status: number, text: string }>}
 */
function ask({ port, auth, secure }, { method = 'GET', path: below, body, timeoutMs }) {
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json', ...authorization(auth) };
  const tls = secure === undefined ? {} : { ca: readFileSync(path.join(secure.folder, 'ca.pem')) };
  const options = { method, headers, host: LOOPBACK, port, path: `${API}${below}`, agent: false, ...tls };
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const call = (secure === undefined ? http : https).request({ ...options, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (/** @type {string} */ piece) => (text += piece));
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject).end(body);
  });
}

/** @param {number} port @param {BasicAuth} [auth] @param {import('./stack.mjs').Secure} [secure] */
export async function registryAnswers(port, auth, secure) {
  const { status } = await ask({ port, auth, secure }, { path: '/subjects', timeoutMs: 2000 });
  return status === 200 || (auth === undefined && status === 401); // 401: it is up, and asks for a password
}

/**
 * Quarkus reads config/application.properties below its working directory. The first line is the one that matters:
 * without it the users below are known, nobody is asked, and everything is open.
 * @param {BasicAuth | undefined} auth
 */
function applicationProperties(auth) {
  if (auth === undefined) return '# no password is asked for\n';
  if (!/^[\w-]+$/.test(auth.user) || /[\r\n\\$]/.test(auth.password)) {
    throw new StackError(
      'registry: a user is letters, digits, _ and -; a password has no backslash, dollar sign or line break',
    );
  }
  return [
    'quarkus.http.auth.basic=true',
    'quarkus.security.users.embedded.enabled=true',
    'quarkus.security.users.embedded.plain-text=true',
    `quarkus.security.users.embedded.users.${auth.user}=${auth.password}`,
    `quarkus.security.users.embedded.roles.${auth.user}=sr-admin`,
    'quarkus.http.auth.permission.all.paths=/*',
    'quarkus.http.auth.permission.all.policy=authenticated',
    '',
  ].join('\n');
}

/** @param {number} port @param {import('./stack.mjs').Secure | undefined} secure @returns {Promise<string[]>} */
async function listens(port, secure) {
  if (secure === undefined) return [`-Dquarkus.http.port=${port}`];
  const { certificate, key } = await certificateFiles(secure.folder, 'registry', LOCAL_NAMES);
  return [
    `-Dquarkus.http.ssl-port=${port}`,
    '-Dquarkus.http.insecure-requests=disabled',
    `-Dquarkus.http.ssl.certificate.files=${certificate}`,
    `-Dquarkus.http.ssl.certificate.key-files=${key}`,
  ];
}

/** @param {Parameters<typeof ask>[0]} registry */
async function setCompatibility(registry) {
  const body = JSON.stringify({ compatibility: COMPATIBILITY });
  const { status, text } = await ask(registry, { method: 'PUT', path: '/config', body, timeoutMs: 10_000 });
  if (status >= 300)
    throw new StackError(`registry: setting compatibility ${COMPATIBILITY} answered ${status}: ${text}`);
}

/**
 * @param {import('./stack.mjs').RegistryOptions} [options]
 * @returns {Promise<import('./stack.mjs').Registry>}
 */
export async function startRegistry(options = {}) {
  const { dir = defaultDir, name = 'registry', secure, progress } = options;
  const basicAuth = options.basicAuth ?? secureAuth(secure);
  const data = pathsOf(dir, name).data;
  const ports = await choosePorts({ registry: options.port ?? 8081 });
  const daemon = await startDaemon({
    dir,
    name,
    ports,
    variables: { registry: 'REGISTRY_PORT' },
    killAtExit: options.killAtExit,
    progress,
    readyMs: 120_000, // 3-8 s as a rule; minutes where two cores are shared
    ready: ({ registry = 0 }) => registryAnswers(registry, basicAuth, secure),
    async prepare() {
      const command = java();
      const jar = await fetchRegistry({ downloads: options.downloads, progress });
      makeFolder(path.join(data, 'config'));
      const config = path.join(data, 'config', 'application.properties');
      await writeFile(config, applicationProperties(basicAuth), { mode: 0o600 });
      const args = [
        ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'],
        `-Dquarkus.http.host=${LOOPBACK}`,
        ...(await listens(ports.registry, secure)),
        // The same schema with its keys in another order is the same schema, as in Confluent's registry.
        '-Dapicurio.ccompat.use-canonical-hash=true',
        // WRITE_DELAY=0: by default a kill -9 loses an acknowledged schema and hands its id out again.
        `-Dapicurio.datasource.url=jdbc:h2:file:${path.join(data, 'db')};WRITE_DELAY=0`,
        '-jar',
        jar,
      ];
      return { command, args, cwd: data };
    },
  });
  const port = daemon.ports['registry'] ?? ports.registry;
  await setCompatibility({ port, auth: basicAuth, secure });
  const scheme = secure === undefined ? 'http' : 'https';
  return { ...daemon, port, address: `${LOOPBACK}:${port}`, url: `${scheme}://${LOOPBACK}:${port}${API}` };
}
