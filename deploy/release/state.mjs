// What of a checkout is bound by a release beside the protos: the schemas that are registered, and the migrations that
// databases have applied.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../tools/setup/common.mjs';

const MIGRATE = join('services', 'store', 'migrate.ts');

/**
 * @typedef {object} State
 * @property {Record<string, string>} schemas sha256 of each file by `SUBJECT/vN.avsc`
 * @property {Record<string, string>} migrations sha256 of each file by its name, in the order in which they are applied
 */

/** @param {string} path `SUBJECT/vN.avsc` */
export const schemaFile = (path) => `schemas/${path}`;

/** @param {string} name of a migration */
export const migrationFile = (name) => `services/store/migrations/${name}.ts`;

/** @param {string} path `SUBJECT/vN.avsc` @returns {number} N */
export const versionOf = (path) => Number(/\/v(\d+)\.avsc$/.exec(path)?.[1]);

/** @param {string} folder a checkout @returns {State} */
export function stateOf(folder) {
  const hashOf = (/** @type {string} */ path) => (existsSync(path) ? sha256(readFileSync(path)) : 'missing');
  const subjects = readdirSync(join(folder, 'schemas'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const schemas = subjects
    .flatMap(({ name }) => readdirSync(join(folder, 'schemas', name)).map((file) => `${name}/${file}`))
    .filter((path) => path.endsWith('.avsc'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return {
    schemas: Object.fromEntries(schemas.map((path) => [path, hashOf(join(folder, schemaFile(path)))])),
    migrations: Object.fromEntries(
      migrationsOf(folder).map((name) => [name, hashOf(join(folder, migrationFile(name)))]),
    ),
  };
}

/** @param {string} folder @returns {string[]} read from the source, as that of an old commit is not compiled */
function migrationsOf(folder) {
  const source = readFileSync(join(folder, MIGRATE), 'utf8');
  const imports = source.matchAll(/^import \* as (\w+) from '\.\/migrations\/([\w-]+)\.js';$/gm);
  const nameOf = new Map([...imports].map(([, variable, name]) => [variable, name]));
  const list = /^(?:export )?const MIGRATIONS\b[^=]*= \[([^\]]*)\]/m.exec(source)?.[1];
  const names = list?.match(/\w+/g)?.map((variable) => nameOf.get(variable));
  if (names === undefined || names.includes(undefined))
    throw new Error(`${MIGRATE}: the list MIGRATIONS of modules that it imports from ./migrations/ is not there`);
  return /** @type {string[]} */ (names);
}
