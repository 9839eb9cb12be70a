// The schema registry: Apicurio Registry, which speaks the API of Confluent's at /apis/ccompat/v7.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../make-folder.mjs';
import { startDaemon } from './daemon.mjs';
import { fetchRegistry } from './download.mjs';
import { StackError } from './errors.mjs';
import { defaultDir, pathsOf } from './paths.mjs';
import { choosePorts, LOOPBACK } from './ports.mjs';
import { java } from './tools.mjs';

/** @typedef {import('./stack.mjs').BasicAuth} BasicAuth */

const API = '/apis/ccompat/v7';
/** Old readers read new writers and the other way round. Apicurio's own default is NONE. */
const COMPATIBILITY = 'FULL_TRANSITIVE';

/** @param {BasicAuth | undefined} auth @returns {Record<string, string>} */
const authorization = (auth) =>
  auth ? { authorization: `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}` } : {};

/** @param {number} port @param {BasicAuth} [auth] */
export async function registryAnswers(port, auth) {
  const options = { headers: authorization(auth), signal: AbortSignal.timeout(2000) };
  const { status } = await fetch(`http://${LOOPBACK}:${port}${API}/subjects`, options);
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

/** @param {number} port @param {BasicAuth | undefined} auth */
async function setCompatibility(port, auth) {
  const answer = await fetch(`http://${LOOPBACK}:${port}${API}/config`, {
    method: 'PUT',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json', ...authorization(auth) },
    body: JSON.stringify({ compatibility: COMPATIBILITY }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!answer.ok) {
    throw new StackError(
      `registry: setting compatibility ${COMPATIBILITY} answered ${answer.status}: ${await answer.text()}`,
    );
  }
}

/**
 * @param {import('./stack.mjs').RegistryOptions} [options]
 * @returns {Promise<import('./stack.mjs').Registry>}
 */
export async function startRegistry(options = {}) {
  const { dir = defaultDir, name = 'registry', basicAuth, progress } = options;
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
    ready: ({ registry = 0 }) => registryAnswers(registry, basicAuth),
    async prepare() {
      const command = java();
      const jar = await fetchRegistry({ downloads: options.downloads, progress });
      makeFolder(path.join(data, 'config'));
      const config = path.join(data, 'config', 'application.properties');
      await writeFile(config, applicationProperties(basicAuth), { mode: 0o600 });
      const args = [
        ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'],
        `-Dquarkus.http.host=${LOOPBACK}`,
        `-Dquarkus.http.port=${ports.registry}`,
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
  await setCompatibility(port, basicAuth);
  return { ...daemon, port, address: `${LOOPBACK}:${port}`, url: `http://${LOOPBACK}:${port}${API}` };
}
