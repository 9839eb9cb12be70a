// What a checkout has against what was released, which release.json and protos.binpb say.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, sha256 } from '../tools/setup/common.mjs';
import { changelogProblems } from './changelog.mjs';
import { breakingProblems, formatProblems } from './protos.mjs';
import { migrationFile, schemaFile, stateOf, versionOf } from './state.mjs';

/** @typedef {import('./state.mjs').State} State */
/**
 * @typedef {object} Released
 * @property {string} version
 * @property {string} date of the release, as 2026-12-01
 * @property {string} commit
 * @property {string} protos sha256 of the image
 * @property {Record<string, string>} deprecated the day since which a field or enum value is, by type and number
 */
/** @typedef {Released & State} ReleaseRecord */

/** @param {string} folder a checkout */
export const recordFile = (folder) => join(folder, 'deploy', 'release', 'release.json');
/** @param {string} folder a checkout */
export const imageFile = (folder) => join(folder, 'deploy', 'release', 'protos.binpb');

/** @param {ReleaseRecord} released @param {State} state @returns {string[]} */
function schemaProblems({ version, commit, schemas }, state) {
  return Object.entries(schemas).flatMap(([path, hash]) => {
    if (state.schemas[path] === hash) return [];
    const file = schemaFile(path);
    const newest = Math.max(...Object.keys(schemas).filter(sameSubject(path)).map(versionOf));
    const what = state.schemas[path] === undefined ? 'is gone' : 'has changed';
    const why = 'records that were written with it lie in Kafka, and registries have it under an id of its own';
    const remedy = `git checkout ${commit.slice(0, 12)} -- ${file}, and make the change in v${newest + 1}.avsc`;
    return [`${file}: ${what} since release ${version}: ${why}: ${remedy}`];
  });
}

/** @param {string} path @returns {(other: string) => boolean} */
const sameSubject = (path) => (other) => other.split('/')[0] === path.split('/')[0];

/** @param {ReleaseRecord} released @param {State} state @returns {string[]} */
function migrationProblems({ version, commit, migrations }, state) {
  const released = Object.keys(migrations);
  const listed = Object.keys(state.migrations);
  const changed = released.flatMap((name) => {
    const hash = state.migrations[name];
    if (hash === migrations[name]) return [];
    const what = hash === undefined ? 'is not in the list any more' : hash === 'missing' ? 'is gone' : 'has changed';
    const why = 'databases that have applied it would differ from new ones';
    const remedy = `git checkout ${commit.slice(0, 12)} -- ${migrationFile(name)}, and make the change in a new migration at the end of the list`;
    return [`${migrationFile(name)}: ${what} since release ${version}: ${why}: ${remedy}`];
  });
  const kept = released.filter((name) => listed.includes(name));
  const early = kept.findIndex((name, index) => listed[index] !== name);
  if (early === -1) return changed;
  return [
    ...changed,
    `services/store/migrate.ts: ${listed[early]} stands before ${kept[early]}, which release ${version} has applied: ` +
      `put what is new at the end of the list, and leave the others in their order, as old databases have them`,
  ];
}

/** @param {string} folder a checkout @returns {ReleaseRecord} */
export function readRecord(folder) {
  /** @type {ReleaseRecord | undefined} */
  const released = readJson(recordFile(folder));
  const image = imageFile(folder);
  if (released !== undefined && existsSync(image) && sha256(readFileSync(image)) === released.protos) return released;
  throw new Error(
    'deploy/release: release.json and protos.binpb do not belong together, or one is missing: git checkout HEAD -- deploy/release',
  );
}

/** @param {string} folder a checkout @returns {Promise<string[]>} what is wrong, and what would be right */
export async function releaseProblems(folder) {
  const released = readRecord(folder);
  const state = stateOf(folder);
  const today = new Date().toISOString().slice(0, 10);
  const [format, breaking] = await Promise.all([
    formatProblems(folder),
    breakingProblems(folder, imageFile(folder), released.deprecated, today),
  ]);
  return [
    ...schemaProblems(released, state),
    ...migrationProblems(released, state),
    ...format,
    ...breaking,
    ...changelogProblems(readFileSync(join(folder, 'deploy', 'CHANGELOG.md'), 'utf8'), released.version),
  ];
}
