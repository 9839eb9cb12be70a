import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AvroCodec, canonicalSchema, incompatibility, type UnusableSchema } from '../lib/avro.js';
import type { Config } from '../lib/config/load.js';
import { type RegistryClient, RegistryError } from '../lib/registry/client.js';
import { ROOT } from '../lib/root.js';
import type { AlertCreatedEvent, InboxChangedEvent, UserAlertEvent } from './event-types.js';

export type TopicConfig = Pick<Config, 'topicAlertCreated' | 'topicUserAlert' | 'topicInboxChange'>;

/** Folders below schemas/; the subject is the configured topic's name with `-value` (TopicNameStrategy). */
const FOLDERS = {
  topicAlertCreated: 'alert-created-topic-value',
  topicUserAlert: 'user-alert-topic-value',
  topicInboxChange: 'inbox-change-topic-value',
} as const;

const COMPATIBILITY = 'FULL_TRANSITIVE';

/** The versions of a subject, oldest first, as canonical text. */
function readVersions(folder: string): string[] {
  const directory = join(ROOT, 'schemas', folder);
  return readdirSync(directory)
    .map((file) => ({ file, version: Number(/^v(\d+)\.avsc$/.exec(file)?.[1]) }))
    .filter(({ version }) => version > 0)
    .sort((a, b) => a.version - b.version)
    .map(({ file }) => canonicalSchema(readFileSync(join(directory, file), 'utf8')));
}

/**
 * Registers every version of every subject, in order, at compatibility FULL_TRANSITIVE. Doing it again changes nothing.
 * @returns the newest version's id by subject
 * @throws RegistryError 409 if a version is incompatible with what is registered
 */
export async function registerSchemas(config: TopicConfig, registry: RegistryClient): Promise<Record<string, number>> {
  const ids: Record<string, number> = {};
  for (const [key, folder] of Object.entries(FOLDERS)) {
    const subject = `${config[key as keyof TopicConfig]}-value`;
    for (const [index, schema] of readVersions(folder).entries()) {
      ids[subject] = await registry.register(subject, schema);
      // A subject's own level can be set only once it exists.
      if (index === 0) await registry.setCompatibility(subject, COMPATIBILITY);
    }
  }
  return ids;
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
  for (const [key, folder] of Object.entries(FOLDERS)) {
    const subject = `${config[key as keyof TopicConfig]}-value`;
    const ours = readVersions(folder);
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

/** The topics, and the codecs of what is in them. */
export interface Events {
  readonly topics: { readonly alertCreated: string; readonly userAlert: string; readonly inboxChange: string };
  readonly alertCreated: AvroCodec<AlertCreatedEvent>;
  readonly userAlert: AvroCodec<UserAlertEvent>;
  readonly inboxChanged: AvroCodec<InboxChangedEvent>;
}

/** @throws SchemaNotRegistered if the registry does not have it */
async function findId(registry: RegistryClient, subject: string, schema: string): Promise<number> {
  try {
    return await registry.find(subject, schema);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.status !== 404) throw error;
    throw new SchemaNotRegistered(subject, registry.url, error);
  }
}

/** The registry does not have what we write. */
export class SchemaNotRegistered extends Error {
  constructor(subject: string, url: string, cause: Error) {
    super(`our newest schema of ${subject} is not registered at ${url}; run: ssom-alert migrate`, { cause });
    this.name = 'SchemaNotRegistered';
  }
}

/**
 * Asks the registry again for the ids of what we write, and takes up those that are others: it may have been lost or
 * restored.
 * @returns the subjects that have another id now
 * @throws SchemaNotRegistered if a schema is not there and may not be registered at run time (SET_UP_AT_START)
 */
export async function renewIds(
  config: TopicConfig & Pick<Config, 'setUpAtStart'>,
  registry: RegistryClient,
  events: Events,
): Promise<string[]> {
  const codecs = [
    { subject: `${config.topicAlertCreated}-value`, codec: events.alertCreated },
    { subject: `${config.topicUserAlert}-value`, codec: events.userAlert },
    { subject: `${config.topicInboxChange}-value`, codec: events.inboxChanged },
  ];
  const find = () => Promise.all(codecs.map(({ subject, codec }) => findId(registry, subject, codec.schema)));
  let ids: number[];
  try {
    ids = await find();
  } catch (error) {
    if (!(error instanceof SchemaNotRegistered) || !config.setUpAtStart) throw error;
    await registerSchemas(config, registry);
    ids = await find();
  }
  const renewed = codecs.filter(({ codec }, index) => codec.schemaId !== ids[index]);
  for (const [index, { codec }] of codecs.entries()) if (codec.schemaId !== ids[index]) codec.takeId(ids[index]!);
  return renewed.map(({ subject }) => subject);
}

/**
 * Finds the ids of the schemas that we write. Afterwards the registry is asked for versions that others wrote, and now
 * and then for ours (renewIds).
 * @param onUnusable told of records whose schema cannot be had
 * @throws SchemaNotRegistered, saying how to do it
 */
export async function openEvents(
  config: TopicConfig,
  registry: RegistryClient,
  onUnusable?: (error: UnusableSchema) => void,
): Promise<Events> {
  const codec = async <T>(key: keyof TopicConfig): Promise<AvroCodec<T>> => {
    const schema = readVersions(FOLDERS[key]).at(-1)!;
    const id = await findId(registry, `${config[key]}-value`, schema);
    return new AvroCodec<T>(schema, id, (writer) => registry.schemaById(writer), onUnusable);
  };
  return {
    topics: {
      alertCreated: config.topicAlertCreated,
      userAlert: config.topicUserAlert,
      inboxChange: config.topicInboxChange,
    },
    alertCreated: await codec<AlertCreatedEvent>('topicAlertCreated'),
    userAlert: await codec<UserAlertEvent>('topicUserAlert'),
    inboxChanged: await codec<InboxChangedEvent>('topicInboxChange'),
  };
}
