import { canonicalSchema } from '../../lib/avro.js';
import type { Config } from '../../lib/config/load.js';
import type { RegistryClient } from '../../lib/registry/client.js';
import { readSchemas, type SchemaFolder, SCHEMAS, subjectOf, type TopicConfig } from './files.js';
import { readWriteVersions, writtenVersion } from './meaning.js';
import { findId } from './register.js';

export interface ListedVersion {
  /** Of the file; null: only the registry has it. */
  readonly version: number | null;
  /** Null: not registered, or nobody was asked. */
  readonly id: number | null;
  /** The version under which the registry has it. */
  readonly registered: number | null;
  readonly state: '' | 'registered' | 'not registered' | 'not among the files';
  readonly isWritten: boolean;
}

export interface ListedSubject {
  readonly folder: string;
  /** Undefined: no topic has it. */
  readonly subject: string | undefined;
  readonly versions: readonly ListedVersion[];
}

/** Every version of the files, and those that the registry has besides. */
export async function listSchemas(
  config: TopicConfig & Pick<Config, 'schemaWriteVersions'>,
  registry: RegistryClient | undefined,
  schemas = SCHEMAS,
): Promise<ListedSubject[]> {
  const held = readWriteVersions(config.schemaWriteVersions);
  const listed: ListedSubject[] = [];
  for (const folder of readSchemas(schemas).folders) {
    const subject = subjectOf(folder.name, config);
    const written = subject === undefined ? undefined : writtenVersion(folder, held);
    const versions = await versionsOf(folder, registry === undefined ? undefined : subject, registry);
    listed.push({
      folder: folder.name,
      subject,
      versions: versions.map((each) => ({
        ...each,
        isWritten: each.version !== null && each.version === written?.version,
      })),
    });
  }
  return listed;
}

async function versionsOf(
  { versions }: SchemaFolder,
  subject: string | undefined,
  registry: RegistryClient | undefined,
): Promise<Omit<ListedVersion, 'isWritten'>[]> {
  if (registry === undefined || subject === undefined)
    return versions.map(({ version }) => ({ version, id: null, registered: null, state: '' }));
  const registered = await registry.versions(subject);
  const others = new Map(registered.map((each) => [canonicalSchema(each.schema), each]));
  const files = await Promise.all(
    versions.map(async (file) => {
      const id = await findId(subject, file, registry);
      others.delete(file.text);
      const found = registered.find((each) => each.id === id);
      if (found === undefined)
        return { version: file.version, id: null, registered: null, state: 'not registered' as const };
      return { version: file.version, id: found.id, registered: found.version, state: 'registered' as const };
    }),
  );
  const foreign = [...others.values()].map(({ id, version }) => ({
    version: null,
    id,
    registered: version,
    state: 'not among the files' as const,
  }));
  return [...files, ...foreign];
}
