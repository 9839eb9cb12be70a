import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AvroCodec, canonicalSchema } from '../lib/avro.js';
import type { Config } from '../lib/config/load.js';
import { RegistryError, type RegistryClient } from '../lib/registry/client.js';
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

/** The topics, and the codecs of what is in them. */
export interface Events {
  readonly topics: { readonly alertCreated: string; readonly userAlert: string; readonly inboxChange: string };
  readonly alertCreated: AvroCodec<AlertCreatedEvent>;
  readonly userAlert: AvroCodec<UserAlertEvent>;
  readonly inboxChanged: AvroCodec<InboxChangedEvent>;
}

/**
 * Finds the ids of the schemas that we write. Afterwards the registry is asked only for versions that others wrote.
 * @throws if a schema is not registered, saying how to do it
 */
export async function openEvents(config: TopicConfig, registry: RegistryClient): Promise<Events> {
  const codec = async <T>(key: keyof TopicConfig): Promise<AvroCodec<T>> => {
    const subject = `${config[key]}-value`;
    const schema = readVersions(FOLDERS[key]).at(-1)!;
    try {
      const id = await registry.find(subject, schema);
      return new AvroCodec<T>(schema, id, (writer) => registry.schemaById(writer));
    } catch (error) {
      if (!(error instanceof RegistryError) || error.status !== 404) throw error;
      throw new Error(`our newest schema of ${subject} is not registered at ${registry.url}; run: ssom-alert migrate`, {
        cause: error,
      });
    }
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
