import { canonicalSchema, incompatibility } from '../../lib/avro.js';
import { type RegistryClient, RegistryError } from '../../lib/registry/client.js';
import { checkSchemas, SchemasRefused } from './check.js';
import {
  FOLDERS,
  readVersions,
  type SchemaFile,
  type SchemaFolder,
  type SchemaProblem,
  SCHEMAS,
  subjectOf,
  type TopicConfig,
} from './files.js';
import { type RecordSchema, walk } from './form.js';

const COMPATIBILITY = 'FULL_TRANSITIVE';
const TAKE_UP =
  'compare with `ssom-alert schemas list`; take their version into the folder under its number, and give yours the next one';

/** A folder's versions, and where they are registered. */
export interface RegisteredFolder extends SchemaFolder {
  readonly subject: string;
}

/** The folders that a topic has. */
export function foldersOfTopics(folders: readonly SchemaFolder[], config: TopicConfig): RegisteredFolder[] {
  return folders.flatMap((folder) => {
    const subject = subjectOf(folder.name, config);
    return subject === undefined ? [] : [{ ...folder, subject }];
  });
}

/**
 * Registers every version of every subject, in order, at compatibility FULL_TRANSITIVE. Doing it again changes nothing.
 * @returns the newest version's id by subject
 * @throws SchemasRefused, with nothing registered, for what `schemas check` or the registry finds wrong
 */
export async function registerSchemas(
  config: TopicConfig,
  registry: RegistryClient,
  schemas = SCHEMAS,
): Promise<Record<string, number>> {
  const { folders, problems } = checkSchemas(schemas);
  if (problems.length > 0) throw new SchemasRefused(problems);
  const wanted = foldersOfTopics(folders, config);
  // All subjects are looked at before the first is changed.
  const known = await Promise.all(wanted.map((folder) => findKnown(folder, registry)));
  const ids: Record<string, number> = {};
  for (const [index, { subject, versions }] of wanted.entries()) {
    for (const file of versions) {
      ids[subject] = known[index]!.get(file) ?? (await register(subject, file, registry));
      // A subject's own level can be set only once it exists.
      if (file === versions[0]) await registry.setCompatibility(subject, COMPATIBILITY);
    }
  }
  return ids;
}

/** What the registry says of the versions that it does not have; nothing is changed there. */
export async function askRegistry(
  folders: readonly SchemaFolder[],
  config: TopicConfig,
  registry: RegistryClient,
): Promise<SchemaProblem[]> {
  const problems: SchemaProblem[] = [];
  for (const { subject, versions } of foldersOfTopics(folders, config))
    for (const file of versions) {
      if ((await findId(subject, file, registry)) !== undefined) continue;
      if (await registry.isCompatible(subject, file.text)) continue;
      problems.push(...refusedByRegistry(subject, file).problems);
    }
  return problems;
}

/**
 * The ids of what the registry has of a folder.
 * @throws SchemasRefused if it would not take the others
 */
async function findKnown(
  { subject, versions }: RegisteredFolder,
  registry: RegistryClient,
): Promise<ReadonlyMap<SchemaFile, number>> {
  const found = await Promise.all(versions.map(async (file) => [file, await findId(subject, file, registry)] as const));
  const known = new Map(found.filter((each): each is [SchemaFile, number] => each[1] !== undefined));
  if (known.size > 0) await registry.setCompatibility(subject, COMPATIBILITY);
  const missing = versions.filter((file) => !known.has(file));
  const fits = await Promise.all(missing.map(({ text }) => registry.isCompatible(subject, text)));
  const refused = missing.find((_, index) => !fits[index]);
  if (refused !== undefined) throw refusedByRegistry(subject, refused);
  return known;
}

/** By what the registry takes for the same: to Apicurio a version that differs in docs alone is the one before. */
export async function findId(
  subject: string,
  { text }: SchemaFile,
  registry: RegistryClient,
): Promise<number | undefined> {
  try {
    return await registry.find(subject, text);
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return undefined;
    throw error;
  }
}

async function register(subject: string, file: SchemaFile, registry: RegistryClient): Promise<number> {
  try {
    return await registry.register(subject, file.text);
  } catch (error) {
    // It was compatible a moment ago.
    if (error instanceof RegistryError && error.status === 409) throw refusedByRegistry(subject, file, error);
    throw error;
  }
}

function refusedByRegistry(subject: string, { file }: SchemaFile, error?: Error): SchemasRefused {
  const why = error === undefined ? '' : ` (${error.message})`;
  const reason = `is not compatible with what the registry has of ${subject}, which is not in the folder: somebody else registered it${why}`;
  return new SchemasRefused([{ file, reason, remedy: TAKE_UP }]);
}

/** A version of one of our subjects that this release does not have: of a newer one, or somebody else's. */
export interface ForeignVersion {
  readonly subject: string;
  readonly version: number;
  readonly id: number;
  /** Why it and our newest cannot read each other; undefined: they can. */
  readonly conflict: string | undefined;
}

/** What stands in the registry under our subjects: levels that are not ours, and versions that are not ours. */
export async function findForeign(
  config: TopicConfig,
  registry: RegistryClient,
): Promise<{ levels: { subject: string; level: string }[]; versions: ForeignVersion[] }> {
  const levels: { subject: string; level: string }[] = [];
  const versions: ForeignVersion[] = [];
  for (const folder of Object.values(FOLDERS)) {
    const subject = subjectOf(folder, config)!;
    const ours = readVersions(folder).map(({ text }) => text);
    const level = await registry.compatibility(subject);
    if (level !== undefined && level !== COMPATIBILITY) levels.push({ subject, level });
    for (const { version, id, schema } of await registry.versions(subject)) {
      if (ours.includes(canonicalSchema(schema))) continue;
      const newest = ours.at(-1)!;
      versions.push({ subject, version, id, conflict: conflictOf(newest, schema) ?? conflictOf(schema, newest) });
    }
  }
  return { levels, versions };
}

function conflictOf(reader: string, writer: string): string | undefined {
  try {
    return incompatibility(reader, writer);
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Versions of our own record with a field or symbol that none of our files has, registered before our newest: two
 * people made the same version. A registry takes both where both are compatible, under two numbers.
 * @throws SchemasRefused, naming the version that won
 */
export async function refuseRivals(folders: readonly RegisteredFolder[], registry: RegistryClient): Promise<void> {
  const problems = [];
  for (const { subject, versions } of folders) {
    const newest = versions.at(-1);
    if (newest === undefined) continue;
    const registered = (await registry.versions(subject)).map((each) => ({
      ...each,
      schema: canonicalSchema(each.schema),
    }));
    const ownId = await findId(subject, newest, registry);
    const own = registered.find((each) => each.id === ownId)?.version ?? Infinity;
    const known = new Set(versions.flatMap(({ record }) => namesIn(record)));
    for (const { version, id, schema } of registered) {
      const theirs = JSON.parse(schema) as RecordSchema;
      if (version >= own || theirs.name !== newest.record.name || theirs.namespace !== newest.record.namespace)
        continue;
      const names = namesIn(theirs).filter((name) => !known.has(name));
      if (names.length === 0) continue;
      const stands = own === Infinity ? '' : `; yours stands behind it as version ${own}`;
      const reason = `comes second: somebody registered version ${version} of ${subject} (id ${id}) first, with ${names.join(', ')}${stands}`;
      problems.push({ file: newest.file, reason, remedy: TAKE_UP });
    }
  }
  if (problems.length > 0) throw new SchemasRefused(problems);
}

/** Of its fields and symbols. */
function namesIn(record: RecordSchema): string[] {
  const { fields, enums } = walk(record);
  return [
    ...fields.map(({ path }) => path),
    ...enums.flatMap((each) => each.enum.symbols.map((symbol) => `${each.path}=${symbol}`)),
  ];
}
