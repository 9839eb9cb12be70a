// What makes PostgreSQL ask who its clients are: TLS alone, SCRAM for all, and for the superuser a certificate as well.
import { randomBytes } from 'node:crypto';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { certificateFiles, LOCAL_NAMES } from './certificates.mjs';
import { ADMIN, kept, PRINCIPALS } from './secure-kafka.mjs';

/** As `ssom-alert database users` calls them. */
const PREFIX = 'ssom_';
const USERS = [...PRINCIPALS, 'reader'];

/** @param {string} name */
const userOf = (name) => `${PREFIX}${name.replaceAll('-', '_')}`;

/** @param {string} folder @param {string} name */
const passwordOf = (folder, name) =>
  kept(path.join(folder, `postgres-${name}.password`), () => randomBytes(24).toString('hex'));

/** @param {string} folder @returns {string} the superuser's */
export const adminPassword = (folder) => passwordOf(folder, ADMIN);

/** SQL for a new cluster: the users of the roles, who may do nothing yet. @param {string} folder */
export const createUsers = (folder) =>
  USERS.map((name) => `CREATE ROLE ${userOf(name)} LOGIN PASSWORD '${passwordOf(folder, name)}'\n`).join('');

/**
 * Writes what the server needs into its folder, and for each user a URL.
 * @param {{ folder: string, data: string, superuser: string, port: number, database: string, owner: { uid: number, gid:
 * number } | undefined }} server
 * @returns {Promise<Record<string, string>>} its settings
 */
export async function secureServer({ folder, data, superuser, port, database, owner }) {
  const server = await certificateFiles(folder, 'postgres', LOCAL_NAMES);
  const admin = await certificateFiles(folder, ADMIN);
  const own = (/** @type {string} */ name, /** @type {string} */ text) => {
    const file = path.join(data, name);
    writeFileSync(file, text, { mode: 0o600 });
    if (owner) chownSync(file, owner.uid, owner.gid);
    return file;
  };
  const read = (/** @type {string} */ file) => readFileSync(file, 'utf8');
  // The first line that fits a connection decides; one that no line fits is refused.
  const access = [
    `hostssl all ${superuser} all scram-sha-256 clientcert=verify-ca`,
    'hostssl all all all scram-sha-256',
  ];
  const url = (/** @type {string} */ user, /** @type {string} */ name, more = '') =>
    `postgres://${user}:${passwordOf(folder, name)}@localhost:${port}/${database}?sslmode=verify-full&sslrootcert=${server.authority}${more}\n`;
  const write = (/** @type {string} */ name, /** @type {string} */ text) =>
    writeFileSync(path.join(folder, `${name}.database-url`), text, { mode: 0o600 });
  for (const name of USERS) write(name, url(userOf(name), name));
  write(ADMIN, url(superuser, ADMIN, `&sslcert=${admin.certificate}&sslkey=${admin.key}`));
  return {
    ssl: 'on',
    ssl_cert_file: own('server.pem', read(server.certificate)),
    ssl_key_file: own('server-key.pem', read(server.key)),
    ssl_ca_file: own('ca.pem', read(server.authority)),
    hba_file: own('pg_hba.conf', `${access.join('\n')}\n`),
  };
}

/** TLS from the first byte on, as PostgreSQL 17 and later take it. @param {string} folder */
export const directTls = (folder) => ({
  ca: readFileSync(path.join(folder, 'ca.pem')),
  servername: 'localhost',
  ALPNProtocols: ['postgresql'],
});

/** Who may not begin without a password, and needs no certificate. */
export const PROBE_USER = userOf('reader');
